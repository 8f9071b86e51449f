"""What a pair is predicted to show does not depend on the pairs beside it."""

from __future__ import annotations

import logging
import random

import pytest
import torch

from metafusion_yolo import MetaFusionYOLO

PIXELS, SCORE = 0.01, 1e-4  # by which a box and its score may move: sums of float32 in another order


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"rect": False}], ids=["least border", "square"])
def test_batch_and_order_do_not_move_a_box_of_real_pairs(options, coco, roadscene):
    files = sorted((roadscene / "images" / "val").iterdir())[:16]
    options = {"imgsz": 320, "conf": 0.1, "verbose": False, **options}
    alone = {result.path: result for result in coco.predict(files, batch=1, **options)}
    assert sum(map(len, alone.values())) > 30
    moved = torch.zeros(2)
    for batch in (2, 3, 16):
        random.Random(batch).shuffle(files)
        for result in coco.predict(files, batch=batch, **options):
            one = alone[result.path]
            assert torch.equal(result.boxes.cls, one.boxes.cls)
            for i, key in enumerate(("xyxy", "conf")):
                moved[i] = max(moved[i], *(getattr(result.boxes, key) - getattr(one.boxes, key)).abs().flatten(), 0)
    logging.getLogger(__name__).info("moved by at most %.2g pixels, %.2g in score", *moved)
    assert moved[0] < PIXELS and moved[1] < SCORE


@pytest.mark.parametrize("batch", [2, 5])
def test_a_pair_gets_no_border_on_account_of_another(batch, run, make_pair_folder):
    model = MetaFusionYOLO(run.best)
    files = [str(file) for file in make_pair_folder(9, sizes=((48, 64), (64, 40), (64, 40), (30, 60))).visible]
    options = {"imgsz": 64, "conf": 0.0005, "max_det": 5, "verbose": False}
    alone = {result.path: result for result in model.predict(files, **options)}
    assert sum(map(len, alone.values())) > 9
    for order in (files, files[::-1]):
        together = model.predict(order, batch=batch, **options)
        assert [result.path for result in together] == order
        for result in together:
            torch.testing.assert_close(result.boxes.data, alone[result.path].boxes.data, atol=1e-4, rtol=1e-4)
            assert (result.fused == alone[result.path].fused).mean() > 0.999
