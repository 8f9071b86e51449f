"""Exports of the COCO detector behind an untrained front-end, which finds people and cars on real pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.engine._host import INPUT_KEY, input_description

from ..conftest import SHARED

IMGSZ = 320


@pytest.fixture(scope="session")
def coco(tmp_path_factory) -> MetaFusionYOLO:
    """Fused detector with the weights of a stock one, saved to a file of its own folder."""
    weights = SHARED / "weights" / "yolov8n.pt"
    if not weights.is_file():
        pytest.skip(f"no stock weights at '{weights}'")
    model = MetaFusionYOLO("metafusion-yolov8n.yaml").load(weights)
    file = tmp_path_factory.mktemp("coco") / "coco.pt"
    model.save(file)
    return MetaFusionYOLO(file)


@pytest.fixture(scope="session")
def export(coco, tmp_path_factory) -> Callable[..., Path]:
    """Return the function that exports the detector, each time to a folder of its own."""

    def run(cameras: dict | None = None, **kwargs) -> Path:
        file = tmp_path_factory.mktemp("export") / "coco.pt"
        coco.model.yaml[INPUT_KEY] = input_description(Rig.from_yaml(cameras or {}))
        coco.save(file)
        return Path(MetaFusionYOLO(file).export(**{"format": "onnx", "imgsz": IMGSZ, **kwargs}))

    return run


@pytest.fixture(scope="session")
def onnx(export) -> Path:
    return export()
