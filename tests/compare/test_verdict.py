"""The rule of the five per cent, and when one camera is enough."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.compare.rows import COMPARED
from metafusion_yolo.compare.verdict import recommend, tabulate

NAMES = {0: "person", 1: "car"}


def image(found: int, boxes: int = 4) -> dict[str, np.ndarray]:
    """Return the evaluation of an image in which so many of the boxes, of one class, are found."""
    tp = np.ones((found, 10), bool)
    return {"tp": tp, "conf": np.full(found, 0.9), "pred_cls": np.zeros(found), "target_cls": np.zeros(boxes)}


def results(images: int = 40, noise: float = 0.0, **shares: float) -> dict:
    """Return results of all rows, each finding about the given share of the boxes of every image."""
    rng = np.random.default_rng(0)
    spread = noise * rng.normal(size=(len(COMPARED), images))
    return {
        row: {
            f"{i}.jpg": [image(int(np.clip(round(4 * (shares.get(row, 0.5) + spread[k, i])), 0, 4)))]
            for i in range(images)
        }
        for k, row in enumerate(COMPARED)
    }


def table_of(found: dict, resamples: int):
    return tabulate({row: {"both": images} for row, images in found.items()}, NAMES, resamples)


def verdict(**kwargs):
    return recommend(table_of(results(**kwargs), 200))


def test_complementary_cameras_ask_for_detection_guided_fusion() -> None:
    found = verdict(visible=0.5, infrared=0.5, average=0.75, early=0.75, universal=0.75, guided=1.0)
    assert found.choice == "guided"
    assert found.sentence.startswith("Use detection-guided fusion: mAP50 99.5, ")
    assert "universal fusion falls 2" in found.sentence and "more than 5%" in found.sentence
    assert "below the best alternative, detection-guided fusion (99.5)" in found.rule


def test_universal_fusion_is_taken_within_five_per_cent() -> None:
    found = verdict(visible=0.5, infrared=0.5, average=0.75, early=0.75, universal=1.0, guided=1.0)
    assert found.choice == "universal"
    assert "no alternative is more than 5% better" in found.sentence


@pytest.mark.parametrize("camera", ["infrared", "visible"])
def test_one_camera_is_enough_where_fusion_is_not_resolved_to_be_better(camera) -> None:
    found = verdict(images=20, noise=0.25, **{camera: 0.75}, universal=0.5, guided=0.8)
    assert found.choice == camera
    assert found.sentence.startswith(f"{camera.capitalize()} alone is enough: it reaches mAP50")
    assert "is not resolved on these 20 pairs" in found.sentence


def test_fusion_that_reaches_the_same_is_not_called_an_advantage() -> None:
    found = verdict(infrared=1.0, universal=0.5, guided=1.0)
    assert found.choice == "infrared"
    assert "detection-guided fusion is not above it: 0.0 points" in found.sentence


def test_fusion_that_is_resolved_to_be_worse_is_called_so() -> None:
    found = verdict(infrared=1.0, universal=0.5, guided=0.75)
    assert found.choice == "infrared"
    assert "detection-guided fusion is 25." in found.sentence and "below it" in found.sentence


@pytest.mark.parametrize(("row", "name"), [("early", "early fusion"), ("false-colour", "false colour")])
def test_a_simpler_way_that_is_better_takes_its_place(row, name) -> None:
    found = verdict(visible=0.25, infrared=0.25, average=0.25, universal=0.5, guided=0.75, **{row: 1.0})
    assert found.choice == row
    assert found.sentence.startswith(f"Use {name}: mAP50 99.5")


@pytest.mark.parametrize(
    ("rules", "ending"),
    [
        ({"average": 1.0}, " The average image (99.5), with nothing to learn, is not clearly different from it."),
        ({"false-colour": 1.0}, " False colour (99.5), with nothing to learn, is not clearly different from it."),
        (
            {"average": 1.0, "false-colour": 1.0},
            (
                " The average image (99.5) and false colour (99.5), with nothing to learn, are not clearly different "
                "from it."
            ),
        ),
    ],
)
def test_a_rule_that_does_as_well_is_named(rules, ending) -> None:
    alike = verdict(visible=0.5, infrared=0.5, universal=0.75, guided=1.0, **rules)
    assert alike.choice == "guided"
    assert alike.sentence.endswith(ending)
    worse = verdict(visible=0.5, infrared=0.5, universal=0.75, guided=1.0, **dict.fromkeys(rules, 0.75))
    assert "nothing to learn" not in worse.sentence


def test_nothing_is_recommended_before_anything_is_learned() -> None:
    found = verdict(**dict.fromkeys(COMPARED, 0.0))
    assert found.choice == ""
    assert "only mAP50 0.0" in found.sentence and "pretrained=yolov8n.pt" in found.sentence


def test_classes_without_a_box_do_not_count() -> None:
    table = table_of(results(guided=1.0), 50)
    assert [*table.measures["guided"]] == ["person", "mAP50", "mAP50-95"]
    assert table.reached("guided") == pytest.approx(99.5, abs=0.1)


def test_the_interval_of_a_difference_is_that_of_the_same_images() -> None:
    rng = np.random.default_rng(1)
    shares = rng.integers(0, 4, 60)
    rows = {row: {f"{i}": [image(int(s) + (row == "guided"))] for i, s in enumerate(shares)} for row in COMPARED}
    table = table_of(rows, 200)
    gap = table.between["guided", "infrared"]
    own = table.measures["guided"]["mAP50"]
    assert gap.low > 0  # always one more
    assert gap.high - gap.low < own.high - own.low


def test_rows_tested_on_different_images_are_refused() -> None:
    rows = results()
    rows["early"].popitem()
    with pytest.raises(ValueError, match="tested on different images"):
        table_of(rows, 10)


def test_pairs_without_boxes_are_refused() -> None:
    rows = {row: {"a": [image(0, boxes=0)]} for row in COMPARED}
    with pytest.raises(ValueError, match="needs labels"):
        table_of(rows, 10)


def test_nobody_trains_for_less_than_nothing() -> None:
    found = verdict(visible=0.25, infrared=0.25, average=0.5, universal=0.5, guided=0.5, untrained=0.75)
    assert found.choice == "untrained"
    assert found.sentence.startswith("Do not train yet: the detector without any training reaches mAP50 ")
    assert "is 2" in found.sentence and "below it" in found.sentence


def test_what_training_is_worth_is_said() -> None:
    found = verdict(visible=0.25, infrared=0.25, average=0.5, universal=0.5, guided=1.0, untrained=0.5)
    assert found.choice == "guided"
    assert "Training is worth 5" in found.sentence and "over the detector without any training" in found.sentence


def test_no_advice_that_was_followed() -> None:
    table = table_of(results(**dict.fromkeys(COMPARED, 0.0)), 20)
    assert "pretrained" in recommend(table).sentence
    assert "pretrained" not in recommend(table, started=True).sentence


def test_rows_are_ranked() -> None:
    table = table_of(results(**{row: k / 8 for k, row in enumerate(COMPARED)}), 20)
    reached = [table.reached(row) for row in table.ranked]
    assert reached == sorted(reached, reverse=True) and {*table.ranked} == {*COMPARED}


def test_a_spoilt_camera_is_told_as_the_mean_over_the_corruptions() -> None:
    views = {
        row: {"both": images, "night 2 fused": results(**{row: 1.0})[row], "fog 2 fused": results(**{row: 0.0})[row]}
        for row, images in results().items()
    }
    table = tabulate(views, NAMES, 50)
    assert all(estimate.value == pytest.approx(99.5 / 2, abs=0.1) for estimate in table.spoilt.values())
    assert table.reached("guided") == pytest.approx(50, abs=1)
