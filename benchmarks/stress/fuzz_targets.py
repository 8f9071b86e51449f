"""What `fuzz.py` damages, what reads it, and what the reader is documented to raise."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
import yaml
from mutate import mutate, mutate_checkpoint, mutate_text
from onnx import TensorProto, helper
from PIL import Image
from ultralytics.utils import LOGGER

from metafusion_yolo import MetaFusionYOLO, PairError
from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.data.listing import read_list, read_pair_list
from metafusion_yolo.data.reading import PairReader, image_size, read_stack
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources.videos import VideoReader
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel
from metafusion_yolo.prepare.check.files import read_source
from metafusion_yolo.prepare.check.labels import inspect_labels
from metafusion_yolo.prepare.convert.coco import read_json
from metafusion_yolo.prepare.convert.voc import read_xml
from metafusion_yolo.runtime import Detector
from metafusion_yolo.support.resources import find_model_yaml

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NOTHING = ()


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        name: What it is called in the table.
        suffix: Of its files.
        damage: Makes a case from a random generator.
        read: Reads it as the product does.
        documented: What that may raise.
        names_file: Whether the error must name the file.
    """

    name: str
    suffix: str
    damage: Callable[[np.random.Generator], bytes]
    read: Callable[[Path], Any]
    documented: tuple[type[Exception], ...]
    names_file: bool = True


def targets(folder: Path) -> list[Target]:
    """Return all kinds, those that are cheap and those that matter more than once.

    Args:
        folder: Where the cases will be written, and what is beside them.
    """
    LOGGER.setLevel("ERROR")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    colour = cv2.GaussianBlur(rng.integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3)
    counts = (cv2.GaussianBlur(rng.random((48, 64)), (0, 0), 3) * 900 + 7000).astype(np.uint16)
    for camera, image in (("images", colour), ("infrared", counts)):
        (folder / camera).mkdir()
        cv2.imwrite(str(folder / camera / "0.png"), image)
    beside = folder / "images" / "0.png"
    grey = colour[..., 0]
    images = {
        ".png": [encode(".png", colour), encode(".png", counts), encode(".png", grey)],
        ".jpg": [encode(".jpg", colour), encode(".jpg", grey), *real("*.jpg")],
        ".tiff": [encode(".tiff", counts), encode(".tiff", colour), encode(".tiff", counts.astype(np.float32))],
        ".npy": [saved(counts), saved(counts.astype(np.float32)), saved(grey)],
        ".bmp": [encode(".bmp", colour)],
        ".webp": [encode(".webp", colour)],
    }
    kinds = [
        Target(s[1:], s, partial(mutate, seeds=seeds), partial(read_pair, beside), (PairError,))
        for s, seeds in images.items()
    ]
    stack = io.BytesIO()
    Image.fromarray(np.dstack((colour, grey))).save(stack, "PNG")
    kinds.append(Target("stacked", ".png", partial(mutate, seeds=[stack.getvalue()]), read_stack, (PairError,)))

    description = {"path": str(folder), "train": "images", "val": "images", "names": {0: "person", 1: "car"}}
    cameras = {"infrared": "infrared", "thermal": {"normalize": "fixed", "range": [7000, 9000], "invert": True}}
    cameras["registration"] = {"matrix": [[1.02, 0, -14], [0, 1.02, 6], [0, 0, 1]], "visible": [64, 48]}
    dataset = yaml.safe_dump({**description, **cameras}).encode()
    model = find_model_yaml("metafusion-yolov8n.yaml").read_bytes()
    label = b"0 0.5 0.5 0.2 0.3\n1 0.25 0.25 0.1 0.1\n0 0.7 0.2 0.05 0.4\n"
    polygon = b"0 0.5 0.5 0.2 0.3 0.1 0.1\n1 0.25 0.25 0.1 0.1 0.2 0.2\n"
    pairs = b"visible,infrared\nimages/0.png,infrared/0.png\n"
    coco = json.dumps(
        {
            "images": [{"id": 1, "file_name": "a/0.png"}],
            "categories": [{"id": 1, "name": "car"}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        },
        indent=1,
    ).encode()
    box = b"<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    xml = b"<annotation><object><name>car</name>" + box + b"</object></annotation>"
    bomb = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
    )
    xml_bomb = bomb + b"]><annotation><object><name>&j;</name></object></annotation>"
    texts = (
        ("labels", ".txt", [label, polygon, b""], read_label, NOTHING, True),
        ("data-set", ".yaml", [dataset], read_dataset, (ValueError, FileNotFoundError), False),
        ("model", ".yaml", [model], read_model, (ValueError, TypeError, FileNotFoundError), False),
        ("list", ".txt", [b"images/0.png\n./images/0.png\n"], read_list, (FileNotFoundError, ValueError), True),
        (
            "pair list",
            ".csv",
            [pairs, pairs.replace(b",", b";")],
            read_pair_list,
            (FileNotFoundError, ValueError),
            True,
        ),
        ("coco", ".json", [coco], read_json, (ValueError,), True),
        ("voc", ".xml", [xml, xml_bomb], read_xml, (LabelError,), False),
    )
    kinds += [
        Target(name, suffix, partial(mutate_text, seeds=seeds), read, documented, names)
        for name, suffix, seeds, read, documented, names in texts
    ]
    kinds += [
        Target("video", f".{end}", partial(mutate, seeds=[video(colour, end, code)]), read_video, (FileNotFoundError,))
        for end, code in (("avi", "MJPG"), ("mp4", "mp4v"))
    ]
    seeds, canary = [checkpoint()], str(folder / "canary")
    kinds.append(
        Target(
            "checkpoint", ".pt", partial(mutate_checkpoint, seeds=seeds, canary=canary), MetaFusionYOLO, (TypeError,)
        )
    )
    damage = partial(mutate_onnx, seed=tiny_onnx())
    kinds += [
        Target("runtime", ".onnx", damage, Detector, (ValueError,)),
        Target("export", ".onnx", damage, load_export, (ValueError, TypeError), names_file=False),
    ]
    return kinds


def encode(suffix: str, image: np.ndarray) -> bytes:
    """Return an image as a file."""
    return cv2.imencode(suffix, image)[1].tobytes()


def saved(array: np.ndarray) -> bytes:
    """Return an array as a file of NumPy."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def real(pattern: str) -> list[bytes]:
    """Return some real images where there are any."""
    return [file.read_bytes() for file in sorted((SHARED / "roadscene" / "infrared" / "val").glob(pattern))[:2]]


def video(image: np.ndarray, suffix: str, codec: str) -> bytes:
    """Return a video of 12 frames as a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"video.{suffix}"
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*codec), 10, image.shape[1::-1])
        for i in range(12):
            writer.write(np.roll(image, i, 1))
        writer.release()
        return file.read_bytes()


def checkpoint() -> bytes:
    """Return a checkpoint of ours as a file."""
    stream = io.BytesIO()
    model = FusionDetectionModel("metafusion-yolov8n.yaml", verbose=False).half()
    torch.save({"model": model, "ema": None, "epoch": 3, "train_args": {"data": "pairs.yaml", "imgsz": 64}}, stream)
    return stream.getvalue()


def tiny_onnx() -> onnx.ModelProto:
    """Return a graph with the metadata of our exports; it does next to nothing."""
    shape = [1, 4, 32, 32]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("images", "output0")]
    graph = helper.make_graph([helper.make_node("Relu", ["images"], ["output0"])], "tiny", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rig = Rig(thermal=Thermal("fixed", (7000.0, 9000.0))).to_yaml()
    metadata = {
        "names": {0: "person"},
        "imgsz": [32, 32],
        "stride": 32,
        "batch": 1,
        "channels": 4,
        "args": {"dynamic": False},
    }
    helper.set_model_props(model, {key: str(value) for key, value in (metadata | {"pair_input": rig}).items()})
    return model


def mutate_onnx(rng: np.random.Generator, seed: onnx.ModelProto) -> bytes:
    """Damage the file, or what its metadata say."""
    if rng.random() < 0.3:
        return mutate(rng, [seed.SerializeToString()])
    damaged = onnx.ModelProto()
    damaged.CopyFrom(seed)
    entry = damaged.metadata_props[rng.integers(len(damaged.metadata_props))]
    entry.value = mutate_text(rng, [entry.value.encode()]).decode(errors="replace")
    return damaged.SerializeToString()


# Readers -------------------------------------------------------------------------------------------------------------
def read_pair(beside: Path, file: Path) -> None:
    """Read a file as prediction and training do: checked and decoded, on either side of a pair."""
    reader = PairReader()
    for visible, infrared in ((str(beside), str(file)), (str(file), str(beside))):
        if file.suffix == ".npy" and visible == str(file):
            continue
        image_size(file)
        problem, _ = reader.check(visible, infrared)
        if problem:
            raise PairError(problem)
        pair = reader.read(visible, infrared)
        if pair.dtype != np.uint8 or pair.shape[2] != 4:
            raise RuntimeError(f"a pair of {pair.dtype} {pair.shape}")


def read_label(file: Path) -> None:
    """Read labels as the check does; what it lets pass must be boxes of the image."""
    labels, _ = inspect_labels(str(file), 2, (64, 48), ("", ""))
    if not np.isfinite(labels.boxes_xywhn).all() or not set(labels.classes) <= {0, 1}:
        raise RuntimeError(f"labels {labels}")


def read_dataset(file: Path) -> None:
    """Read a data-set YAML as prediction and as training do."""
    Rig.of_file(file)
    read_source(file)


def read_model(file: Path) -> None:
    """Build a model from its YAML."""
    FusionDetectionModel(load_model_yaml(str(file)), verbose=False)


def load_export(file: Path) -> None:
    """Load an export as prediction does; the graph itself is not what a detector is."""
    model = MetaFusionYOLO(file)
    predictor = model.task_map["detect"]["predictor"](overrides={"verbose": False, "device": "cpu"})
    predictor.setup_model(str(file), verbose=False)


def read_video(file: Path) -> Sequence[Any]:
    """Decode a video as far as it goes."""
    opened = VideoReader(str(file))
    frames = [frame for frame, _ in zip(opened, range(500), strict=False)]
    list(opened.sample())
    opened.capture.release()
    return frames
