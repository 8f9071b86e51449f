"""The COCO detector behind an untrained front-end, on real pairs."""

from __future__ import annotations

import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from tests.conftest import EXPORT_IMGSZ

pytestmark = pytest.mark.slow


def test_a_stock_checkpoint_detects_on_fused_images_before_any_training(coco, roadscene):
    results = coco.predict(roadscene / "images" / "val", imgsz=320, verbose=False)
    names = [result.names[int(c)] for result in results for c in result.boxes.cls]
    assert {"person", "car"} <= set(names)


def test_fused_images_have_the_size_of_every_source(coco, tno):
    results = coco.predict(tno / "images", infrared=tno / "infrared", imgsz=320, verbose=False)
    assert len({result.orig_shape for result in results}) > 1
    for result in results:
        assert result.fused.shape[:2] == result.orig_shape
        assert result.fused.std() > 5  # nothing washed out to an even grey


def test_onnx_gives_the_same_boxes_on_ten_real_pairs(coco, onnx, roadscene):
    source = sorted((roadscene / "images" / "val").iterdir())[:10]
    options = {"imgsz": EXPORT_IMGSZ, "conf": 0.1, "rect": False, "verbose": False}
    export = MetaFusionYOLO(onnx)
    boxes = 0
    for first, second in zip(coco.predict(source, **options), export.predict(source, **options), strict=True):
        assert torch.equal(first.boxes.cls, second.boxes.cls)
        if len(first):
            boxes += len(first)
            assert (first.boxes.xyxy - second.boxes.xyxy).abs().max() < 1
            assert (first.boxes.conf - second.boxes.conf).abs().max() < 0.01
    assert boxes > 10
