"""The log-average miss rate against a loop over thresholds, and by hand."""

import numpy as np
import pytest

from metafusion_yolo.evaluation.miss_rate import log_average_miss_rate


def naive(hits: list[bool], scores: list[float], objects: int, images: int) -> float:
    """Try every threshold, and at each number of false alarms keep the lowest miss rate that it allows."""
    rates = []
    for exponent in range(9):
        allowed = 10 ** (-2 + exponent / 4)
        best = 1.0
        for threshold in scores:
            kept = [hit for hit, score in zip(hits, scores, strict=True) if score >= threshold]
            if kept.count(False) / images <= allowed:
                best = min(best, 1 - kept.count(True) / objects)
        rates.append(max(best, 1e-10))
    return float(np.prod(np.array(rates) ** (1 / 9)))


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_loop_over_thresholds(seed) -> None:
    rng = np.random.default_rng(seed)
    count, images = int(rng.integers(0, 60)), int(rng.integers(1, 40))
    scores = rng.permutation(np.linspace(0.01, 0.99, count)) if count else np.zeros(0)
    hits = rng.random(count) < scores
    objects = int(hits.sum() + rng.integers(1, 10))
    expected = naive(hits.tolist(), scores.tolist(), objects, images)
    assert log_average_miss_rate(hits, scores, objects, images) == pytest.approx(expected, rel=1e-12)


def test_known_values() -> None:
    def rate(hits: list[bool], objects: int, images: int) -> float:
        return log_average_miss_rate(np.array(hits, bool), np.linspace(0.9, 0.1, len(hits)), objects, images)

    assert rate([], 3, 10) == 1  # nothing found
    assert rate([True, True], 2, 10) == pytest.approx(1e-10)  # all found
    assert rate([True, False, True], 4, 1000) == pytest.approx(0.5)  # both hits before 0.01 false alarms an image
    assert rate([False, True], 1, 10) == pytest.approx(1e-10 ** (5 / 9))  # missed at the four points below 0.1
    assert rate([False, True], 1, 1) == pytest.approx(1e-10 ** (1 / 9))  # found at one false alarm an image only


@pytest.mark.parametrize(("objects", "images"), [(0, 1), (1, 0)])
def test_without_objects_or_images_there_is_none(objects, images) -> None:
    with pytest.raises(ValueError, match="expected at least one object and one image"):
        log_average_miss_rate(np.zeros(0, bool), np.zeros(0), objects, images)
