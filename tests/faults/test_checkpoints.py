"""Checkpoints and exports that are missing, broken, of another kind, of another version, or hostile."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from tests.faults.catalogue import Area, Fault, Plant
from tests.faults.plants import archive, cut, folder, link, written

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


def raw_pickle() -> bytes:
    stream = io.BytesIO()
    pickle.dump({"model": Hostile()}, stream, protocol=2)
    return stream.getvalue()


def another_host(root: Path) -> None:
    """Let an old host be found first."""
    written("ultralytics-8.3.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ultralytics\nVersion: 8.3.0\n")(root)


AREA = Area(
    "Checkpoints, exports and versions",
    "Nothing that a checkpoint asks for is run while it is read.",
    [
        Fault(
            "checkpoint that does not exist",
            "predict source=images/train model=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "checkpoint that does not exist, tracking",
            "track source=images/train model=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "checkpoint that does not exist, fusion",
            "fuse source=images/train model=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "checkpoint that does not exist, export",
            "export model=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "checkpoint that does not exist, benchmark",
            "benchmark model=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
        ),
        Fault(
            "stock checkpoint that does not exist",
            f"{TRAIN} model=yolov8n.pt",
            "no checkpoint 'yolov8n.pt' here, and it cannot be downloaded; put the file here, or give the path of one",
        ),
        Fault(
            "stock checkpoint",
            "predict source=images/train model=stock.pt",
            "'stock.pt' reads single images, so a fusion front-end goes ahead of it, and each camera gets its first "
            "layers for itself, up to P3. It was trained on synthetic pairs; train both on your own pairs for better "
            "results",
            code=0,
        ),
        Fault(
            "model that has learned nothing",
            "predict source=images/train model=metafusion-yolov8n.yaml",
            "WARNING the detector of 'metafusion-yolov8n.yaml' has random weights and will find nothing; give "
            "pretrained=yolov8n.pt, or a checkpoint as model=",
            code=0,
        ),
        Fault(
            "model without a suffix",
            "predict source=images/train model=best",
            "no model 'best'; give a checkpoint (.pt), an export (.onnx, ...) or a model YAML",
        ),
        Fault(
            "folder instead of a model",
            "predict source=images/train model=images",
            "'images' is a folder, but not an export; give a checkpoint (.pt), an export (.onnx, ...) or a model YAML",
        ),
        Fault(
            "folder under the name of a checkpoint",
            PREDICT,
            "no checkpoint 'other.pt'; give the path of one, such as yolov8n.pt",
            folder("other.pt"),
        ),
        Fault(
            "link to itself",
            PREDICT,
            "no checkpoint 'other.pt'; give the path of one, such as yolov8n.pt",
            link("other.pt", "other.pt"),
        ),
        Fault(
            "empty file",
            PREDICT,
            "'other.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            written("other.pt"),
        ),
        Fault(
            "text",
            PREDICT,
            "'other.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            written("other.pt", "no checkpoint\n"),
        ),
        Fault(
            "half a checkpoint",
            "predict source=images/train model=best.pt",
            "'best.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            cut("best.pt"),
        ),
        Fault(
            "archive",
            PREDICT,
            "'other.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            archive,
        ),
        Fault(
            "dictionary without a model",
            PREDICT,
            "'other.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            saved({"weights": torch.zeros(3)}),
        ),
        Fault(
            "tensor in the place of a model",
            PREDICT,
            "'other.pt' is not a checkpoint of metafusion_yolo or Ultralytics (…); give another file",
            changed(model=torch.zeros(3)),
        ),
        Fault(
            "checkpoint that runs a command",
            PREDICT,
            "'other.pt' was not loaded: it asks for posix.system, which no checkpoint of a detector "
            "needs and which could run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0",
            saved({"model": Hostile()}),
            process=True,
        ),
        Fault(
            "pickle that runs a command",
            PREDICT,
            "'other.pt' was not loaded: it asks for posix.system, which no checkpoint of a detector "
            "needs and which could run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0",
            written("other.pt", raw_pickle()),
        ),
        Fault(
            "checkpoint that runs a command, training",
            f"{TRAIN} pretrained=other.pt",
            "'other.pt' was not loaded: it asks for posix.system, which no checkpoint of a detector "
            "needs and which could run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0",
            saved({"model": Hostile()}),
        ),
        Fault(
            "checkpoint that runs a command, distillation",
            f"{TRAIN} distill_model=other.pt",
            "'other.pt' was not loaded: it asks for posix.system, which no checkpoint of a detector "
            "needs and which could run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0",
            saved({"model": Hostile()}),
        ),
        Fault(
            "checkpoint that runs a command, comparison",
            "compare data=data.yaml pretrained=other.pt",
            "'other.pt' was not loaded: it asks for posix.system, which no checkpoint of a detector "
            "needs and which could run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0",
            saved({"model": Hostile()}),
        ),
        Fault(
            "checkpoint of a later version",
            PREDICT,
            "'other.pt' is from another version of metafusion_yolo, with "
            "metafusion_yolo.nn.fusion.FusionNew; use that version, or train again",
            of_a_later_version,
        ),
        Fault(
            "host of another version",
            "predict source=images/train model=best.pt",
            "this needs ultralytics>=8.4.190,<8.5, but 8.3.0 is installed: pip install 'ultralytics>=8.4.190,<8.5'",
            another_host,
            process=True,
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
