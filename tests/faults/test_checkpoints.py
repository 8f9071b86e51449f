"""Checkpoints and exports that are missing, broken, of another kind, of another version, or hostile."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper

from tests.faults.catalogue import Area, Fault, Plant
from tests.faults.plants import cut, folder, link, written

PREDICT = "predict source=images/train model=other.pt"
TRAIN = "train data=data.yaml"


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch run-by-the-pickle",)


def saved(content: Any) -> Plant:
    """Save something by PyTorch."""
    return lambda root: torch.save(content, root / "other.pt")


def changed(**keys: Any) -> Plant:
    """Save the fused checkpoint with other keys."""
    return lambda root: torch.save({**torch.load(root / "best.pt", weights_only=False), **keys}, root / "other.pt")


def of_a_later_version(root: Path) -> None:
    """Save the fused checkpoint with a class that this version does not have."""
    source, target = zipfile.ZipFile(root / "best.pt"), zipfile.ZipFile(root / "other.pt", "w")
    with source, target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"\nFusionNet\n", b"\nFusionNew\n"))


def archive(root: Path) -> None:
    with zipfile.ZipFile(root / "other.pt", "w") as file:
        file.writestr("readme.txt", "no checkpoint")


def onnx_of_three_channels(root: Path) -> None:
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in ("images", "output0")]
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["output0"])], "stock", sides[:1], sides[1:])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), root / "stock.onnx")


def raw_pickle() -> bytes:
    stream = io.BytesIO()
    pickle.dump({"model": Hostile()}, stream, protocol=2)
    return stream.getvalue()


def another_host(root: Path) -> None:
    """Let an old host be found first."""
    written("ultralytics-8.3.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ultralytics\nVersion: 8.3.0\n")(root)


AREA = Area(
    "Checkpoints, exports and versions",
    "Nothing that a checkpoint asks for is run while it is read. `best.pt` is a fused detector, `stock.pt` a YOLOv8 of "
    "Ultralytics; the machine has no network.",
    [
        Fault("checkpoint that does not exist", "predict source=images/train model=nowhere.pt", "?"),
        Fault("checkpoint that does not exist, tracking", "track source=images/train model=nowhere.pt", "?"),
        Fault("checkpoint that does not exist, fusion", "fuse source=images/train model=nowhere.pt", "?"),
        Fault("checkpoint that does not exist, export", "export model=nowhere.pt", "?"),
        Fault("checkpoint that does not exist, benchmark", "benchmark model=nowhere.pt", "?"),
        Fault("stock checkpoint that does not exist", f"{TRAIN} model=yolov8n.pt", "?"),
        Fault("stock checkpoint", "predict source=images/train model=stock.pt", "?"),
        Fault("stock checkpoint, validation", "val data=data.yaml model=stock.pt", "?"),
        Fault("model without a suffix", "predict source=images/train model=best", "?"),
        Fault("folder instead of a model", "predict source=images/train model=images", "?"),
        Fault("folder under the name of a checkpoint", PREDICT, "?", folder("other.pt")),
        Fault("link to itself", PREDICT, "?", link("other.pt", "other.pt")),
        Fault("empty file", PREDICT, "?", written("other.pt")),
        Fault("text", PREDICT, "?", written("other.pt", "no checkpoint\n")),
        Fault("half a checkpoint", "predict source=images/train model=best.pt", "?", cut("best.pt")),
        Fault("archive", PREDICT, "?", archive),
        Fault("dictionary without a model", PREDICT, "?", saved({"weights": torch.zeros(3)})),
        Fault("tensor in the place of a model", PREDICT, "?", changed(model=torch.zeros(3))),
        Fault("checkpoint that runs a command", PREDICT, "?", saved({"model": Hostile()})),
        Fault("pickle that runs a command", PREDICT, "?", written("other.pt", raw_pickle())),
        Fault("checkpoint that runs a command, training", f"{TRAIN} pretrained=other.pt", "?", saved({"model": Hostile()})),
        Fault("checkpoint that runs a command, distillation", f"{TRAIN} distill_model=other.pt", "?", saved({"model": Hostile()})),
        Fault("checkpoint that runs a command, comparison", "compare data=data.yaml pretrained=other.pt", "?", saved({"model": Hostile()})),
        Fault("checkpoint of a later version", PREDICT, "?", of_a_later_version),
        Fault("host of another version", "predict source=images/train model=best.pt", "?", another_host, process=True),
        Fault("start that does not exist", f"{TRAIN} pretrained=nowhere.pt", "?"),
        Fault("start that cannot be downloaded", f"{TRAIN} pretrained=yolov8n.pt", "?"),
        Fault("start that cannot be downloaded, comparison", "compare data=data.yaml pretrained=yolov8n.pt", "?"),
        Fault("start that cannot be downloaded, demo", "demo pretrained=yolov8n.pt", "?"),
        Fault("start at an address that does not answer", f"{TRAIN} pretrained=https://nowhere.invalid/a.pt", "?"),
        Fault("start that is a YAML", f"{TRAIN} pretrained=data.yaml", "?"),
        Fault("start that is an archive", f"{TRAIN} pretrained=other.pt", "?", archive),
        Fault("teacher that does not exist", f"{TRAIN} distill_model=nowhere.pt", "?"),
        Fault("teacher that reads three channels", f"{TRAIN} distill_model=stock.pt", "?"),
        Fault("run to resume that is finished", "train resume=best.pt", "?"),
        Fault("run to resume that does not exist", "train resume=nowhere.pt", "?"),
        Fault("run to resume that is a YAML", "train resume=True model=metafusion-yolov8n.yaml", "?"),
        Fault("export that does not exist", "predict source=images/train model=nowhere.onnx", "?"),
        Fault("export that is text", "predict source=images/train model=other.onnx", "?", written("other.onnx", "no model")),
        Fault("export that reads three channels", "predict source=images/train model=stock.onnx", "?", onnx_of_three_channels),
        Fault("export that is text, TorchScript", "predict source=images/train model=other.torchscript", "?", written("other.torchscript", "no model")),
        Fault("folder of an export that is empty", "predict source=images/train model=other_openvino_model", "?", folder("other_openvino_model")),
        Fault("export whose package is not installed", "predict source=images/train model=other.engine", "?", written("other.engine", "x")),
        Fault("training of an export", f"{TRAIN} model=stock.onnx", "?", onnx_of_three_channels),
        Fault("fusion by an export", "fuse source=images/train model=stock.onnx", "?", onnx_of_three_channels),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
