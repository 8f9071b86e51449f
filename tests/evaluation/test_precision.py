"""Pooled average precision, its bootstrap, and the curve of missing cameras."""

import numpy as np
import pytest

NAMES = {0: "person", 2: "car"}


def image(hits: list[bool], cls: int = 0, boxes: int = 2, confidence: float = 0.9) -> dict[str, np.ndarray]:
    """Return the evaluation of an image with detections that hit a box at every threshold or at none."""
    tp = np.repeat(np.array(hits, bool)[:, None], 10, 1)
    conf = confidence - 0.01 * np.arange(len(hits))
    return {"tp": tp, "conf": conf, "pred_cls": np.full(len(hits), cls), "target_cls": np.full(boxes, cls)}


def test_all_found_is_100_and_a_class_never_found_0() -> None:
    from metafusion_yolo.evaluation.precision import average_precision

    ap = average_precision([image([True, True]), image([], cls=2)], NAMES)
    assert ap["person"] == pytest.approx(99.5, abs=0.1)  # the host's interpolation ends just below 100
    assert (ap["car"], ap["mAP50"]) == (0, pytest.approx(ap["person"] / 2))


def test_detections_are_ranked_over_all_images() -> None:
    from metafusion_yolo.evaluation.precision import average_precision

    sure, unsure = image([True, True]), image([False, False], boxes=0, confidence=0.3)
    wrong = image([False, False], boxes=0, confidence=0.99)
    assert average_precision([sure, unsure], {0: "p"})["p"] > average_precision([sure, wrong], {0: "p"})["p"] + 20


def test_the_bootstrap_draws_the_same_images_for_every_row() -> None:
    from metafusion_yolo.evaluation.precision import interval, resampled

    good, bad = image([True, True]), image([False])
    rows = [resampled([[good], [bad], [good], [bad]], {0: "p"}, 50) for _ in range(2)]
    np.testing.assert_array_equal(rows[0]["mAP50"], rows[1]["mAP50"])
    low, high = interval(rows[0]["mAP50"])
    assert low < 50 < high
    assert resampled([[good], [good]], {0: "p"}, 5)["mAP50"].std() == 0


def test_the_seeds_of_an_image_are_drawn_together() -> None:
    from metafusion_yolo.evaluation.precision import resampled

    values = resampled([[image([True, True]), image([])]] * 3, {0: "p"}, 5)["mAP50"]
    assert values.std() == 0
    assert values[0] == pytest.approx(50, abs=1)


def test_the_bootstrap_is_the_hosts_precision_of_the_copies() -> None:
    from metafusion_yolo.evaluation.precision import average_precision, resampled

    rng = np.random.default_rng(0)
    images = []
    for _ in range(12):
        seeds = []
        for _ in range(2):
            n = rng.integers(0, 9)
            overlap = rng.integers(0, 11, n) * rng.integers(0, 2, n)
            tp = overlap[:, None] > np.arange(10)
            found = {"tp": tp, "conf": rng.random(n), "pred_cls": rng.integers(0, 3, n)}
            seeds.append({**found, "target_cls": rng.integers(0, 3, rng.integers(0, 9))})
        images.append(seeds)
    values = resampled(images, NAMES, 20, seed=3)
    draws = np.random.default_rng(3).integers(12, size=(20, 12))
    for k, draw in enumerate(draws):
        expected = average_precision([e for i in draw for e in images[i]], NAMES)
        assert {m: v[k] for m, v in values.items()} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("share", "missing"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_a_share_of_the_pairs_lacks_each_camera_in_turn(share, missing) -> None:
    from metafusion_yolo.evaluation.precision import with_missing

    views = [[{"view": view} for _ in range(8)] for view in ("both", "visible", "infrared")]
    seen = [evaluation["view"] for evaluation in with_missing(*views, share)]
    assert (seen.count("visible"), seen.count("infrared")) == (missing - missing // 2, missing // 2)
    assert seen == [evaluation["view"] for evaluation in with_missing(*views, share)]
