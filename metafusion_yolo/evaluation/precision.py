"""Average precision pooled over folds, with bootstrap intervals over images."""

from collections.abc import Sequence

import numpy as np
from ultralytics.utils.metrics import ap_per_class, compute_ap

Image = dict[str, np.ndarray]  # tp (N, 10), conf (N,), pred_cls (N,), target_cls (K,) of one image
EMPTY = {"tp": np.zeros((0, 10), bool), "conf": np.zeros(0), "pred_cls": np.zeros(0), "target_cls": np.zeros(0)}
MEASURES = ("mAP50", "mAP50-95")


def average_precision(images: Sequence[Image], classes: dict[int, str]) -> dict[str, float]:
    """Return AP50 by class name, mAP50 and mAP50-95, in percent, of detections pooled over images.

    The host computes the precision. A class without a box in these images counts as 0.
    """
    pooled = {key: np.concatenate([image[key] for image in images]) for key in EMPTY}
    results = ap_per_class(pooled["tp"], pooled["conf"], pooled["pred_cls"], pooled["target_cls"])
    by_class = dict(zip(results[6].tolist(), results[5], strict=True))
    chosen = {name: 100 * by_class.get(c, np.zeros(10)) for c, name in classes.items()}
    mean = np.mean([*chosen.values()], 0)
    return {**{name: ap[0] for name, ap in chosen.items()}, "mAP50": mean[0], "mAP50-95": mean.mean()}


def resampled(
    images: Sequence[Sequence[Image]], classes: dict[int, str], resamples: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return the values (resamples,) of every measure when the images are resampled with replacement.

    Args:
        images: The evaluations of each image, one per training seed; they are drawn together.
        classes: Name of each class that counts.
        resamples: Number of resamples, each with as many images as there are.
        seed: The same seed draws the same images, so that rows can be subtracted from one another.
    """
    draws = np.random.default_rng(seed).integers(len(images), size=(resamples, len(images)))
    times = np.array([np.bincount(draw, minlength=len(images)) for draw in draws])
    pooled = {key: np.concatenate([e[key] for image in images for e in image]) for key in EMPTY}
    of_boxes, of_targets = (
        np.repeat(np.arange(len(images)), [sum(len(e[key]) for e in image) for image in images])
        for key in ("conf", "target_cls")
    )
    order = np.argsort(-pooled["conf"], kind="stable")
    values = {}
    for c, name in classes.items():
        boxes = order[pooled["pred_cls"][order] == c]
        there = times[:, of_targets[pooled["target_cls"] == c]].sum(1)
        hits, image = pooled["tp"][boxes], of_boxes[boxes]
        values[name] = 100 * np.array([_drawn_ap(hits, n[image], t) for n, t in zip(times, there, strict=True)])
    mean = np.mean([*values.values()], 0)
    return {**{name: ap[:, 0] for name, ap in values.items()}, "mAP50": mean[:, 0], "mAP50-95": mean.mean(1)}


def _drawn_ap(hits: np.ndarray, times: np.ndarray, there: int) -> np.ndarray:
    """Return the AP (T,) of one class when each detection counts as often as it was drawn.

    It is what the host's `ap_per_class` returns for that many copies. Precision only matters at a hit and just before
    it, so detections that hit nothing give no points of their own.

    Args:
        hits: Whether each detection is right at each of T overlaps, (N, T) bool, by falling confidence.
        times: How often each detection is drawn, (N,).
        there: Number of labelled boxes.
    """
    kept = hits.any(1) & (times > 0)
    if not there or not kept.any():
        return np.zeros(hits.shape[1])
    points = times[kept] + 1
    first = np.cumsum(points) - points
    before = (np.cumsum(times) - times)[kept]
    ranks = np.arange(points.sum()) + np.repeat(before - first, points)
    found = np.repeat(hits[kept], points, axis=0)
    found[first] = False
    found = found.cumsum(0)
    curves = zip((found / there).T, (found / np.maximum(ranks, 1)[:, None]).T, strict=True)
    return np.array([compute_ap(recall, precision)[0] for recall, precision in curves])


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the central 95 % of resampled values."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def with_missing(
    both: Sequence[Image], visible: Sequence[Image], infrared: Sequence[Image], share: float, seed: int = 0
) -> list[Image]:
    """Return the evaluation of each image when a share of the pairs lacks a camera, alternating between the two.

    Args:
        both: Evaluations with both cameras, one per image.
        visible: Evaluations with the visible camera alone.
        infrared: Evaluations with the infrared camera alone.
        share: Share of the pairs that lack a camera, [0, 1].
        seed: Selects these pairs.
    """
    order = np.random.default_rng(seed).permutation(len(both))
    left = {int(i): (visible, infrared)[n % 2] for n, i in enumerate(order[: round(share * len(both))])}
    return [left.get(i, both)[i] for i in range(len(both))]
