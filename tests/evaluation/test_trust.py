"""What is said of a fusion with one camera spoilt."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.evaluation.corruptions import KINDS, STRENGTHS
from metafusion_yolo.evaluation.trust import (
    AVERAGE,
    FUSED,
    WeightChange,
    clean_figures,
    judge_trust,
    response,
    trust_lines,
    view,
    weight_change,
)

NAMES = {0: "person"}


def image(found: bool) -> dict[str, np.ndarray]:
    hits = np.full((1, 10), found)
    return {"tp": hits, "conf": np.array([0.9]), "pred_cls": np.zeros(1), "target_cls": np.zeros(1)}


def judged(fall: float | None, visible_fall: float | None = None):
    """Return figures: the fused image and the well camera find all, the spoilt one nothing, the average half."""
    found = {name: [image(True), image(True)] for name in ("both", "visible", "infrared", AVERAGE)}
    changes = {}
    for kind, (camera, _) in KINDS.items():
        for strength in STRENGTHS:
            found[view(kind, strength)] = [image(True), image(True)]
            found[view(kind, strength, camera)] = [image(False), image(False)]
            found[view(kind, strength, AVERAGE)] = [image(True), image(False)]
            if fall is not None:
                less = fall if camera == "infrared" or visible_fall is None else visible_fall
                nowhere = float("nan")
                changes[view(kind, strength)] = [WeightChange(0.6 - less, 0.6, nowhere, nowhere)] * 2
    return judge_trust(found, changes, NAMES), clean_figures(found, NAMES)


def test_each_view_has_its_figure() -> None:
    rows, clean = judged(0.4)
    assert len(rows) == len(KINDS) * len(STRENGTHS)
    assert [*clean] == [FUSED, "visible", "infrared", AVERAGE] == [*rows[0].mAP50]
    for row in rows:
        well = {"visible": "infrared", "infrared": "visible"}[row.camera]
        assert row.mAP50[FUSED] == row.mAP50[well] == pytest.approx(0.995)
        assert row.mAP50[row.camera] == 0 < row.mAP50[AVERAGE] < 0.6
        assert (row.inside, row.inside_before) == pytest.approx((0.2, 0.6))
        assert row.outside is None


def test_the_sentence_is_honest() -> None:
    assert response(judged(0.4)[0]).startswith("The weights respond: where a camera is spoilt, its weight falls")
    assert response(judged(0.0)[0]).startswith("The weights do not respond to a camera that is spoilt")
    assert "do not respond to the visible camera that is spoilt" in response(judged(0.4, 0.02)[0])
    assert "-0.00" not in response(judged(-1e-9)[0])
    assert response(judged(None)[0]) == "This model does not output weights"


def test_a_line_a_kind() -> None:
    lines = trust_lines(judged(0.4)[0], 0.995)
    assert len(lines) == len(KINDS) + 3
    assert "infrared: washed out" in lines[5] and lines[5].endswith("0.60 -> 0.20")
    assert "weight" not in trust_lines(judged(None)[0], 0.995)[0]


def test_weights_are_compared_inside_and_outside_of_the_region_without_the_letterbox() -> None:
    before, after = np.full((4, 8), 0.7), np.full((4, 8), 0.7)
    after[:, :4] = 0.1
    after[0] = 0.0  # letterbox
    region, content = np.zeros((16, 32)), np.ones((16, 32), bool)
    region[:, :16] = 1
    content[:4] = False
    assert weight_change(before, after, region, content) == pytest.approx((0.1, 0.7, 0.7, 0.7))
    assert np.isnan(weight_change(before, after, np.ones((16, 32)), content).outside)
