"""One tiny run that the engine tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.synthetic import write_dataset
from tests.conftest import TINY

IMGSZ = 64
TRAIN_ARGS = {
    "imgsz": IMGSZ,
    "batch": 4,
    "pretrained": False,
    "optimizer": "AdamW",
    "lr0": 0.001,
    "nbs": 4,
    "warmup_epochs": 0,
    "verbose": False,
    "exist_ok": True,
}


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    data: Path
    folder: Path
    trainer: object

    @property
    def best(self) -> Path:
        return self.folder / "weights" / "best.pt"

    @property
    def source(self) -> Path:
        return self.data.parent / "images" / "val"


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("synthetic"), train=8, val=4, imgsz=IMGSZ)


@pytest.fixture(scope="session")
def run(tmp_path_factory, tiny_data) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    model = MetaFusionYOLO(TINY)
    model.train(data=str(tiny_data), epochs=5, project=str(folder), name="train", plots=False, **TRAIN_ARGS)
    return Run(tiny_data, folder / "train", model.trainer)
