"""Where labels of outlined objects stand, so that they hide little of any object and nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

ROWS = 6  # how far a label may step aside, in label heights
STEP, SHRINK = 0.03, 0.06  # what a row aside and a smaller or shorter label cost, in shares of an object hidden


class Place(NamedTuple):
    """Where a label stands, pixels, and which of its sizes it has."""

    left: int
    top: int
    right: int
    bottom: int
    choice: int


def place_labels(
    boxes_xyxy: np.ndarray,
    sizes: Sequence[Sequence[tuple[int, int]]],
    shape: tuple[int, ...],
    spared: np.ndarray | None = None,
) -> list[Place | None]:
    """Find a place for each label: inside the image, on no other label, and over as little of any object as can be.

    Args:
        boxes_xyxy: (K, 4), pixels, the most important first.
        sizes: Sizes (width, height) that each label may have, the preferred first.
        shape: (H, W, ...) of the image.
        spared: (N, 4), further areas that labels hide only where all else is worse.

    Returns:
        A place for each label, None for one without sizes or without a place.
    """
    taken = np.zeros((0, 4))
    kept = boxes_xyxy if spared is None else np.vstack((boxes_xyxy, spared))
    areas = np.maximum(np.prod(kept[:, 2:] - kept[:, :2], 1), 1)
    places: list[Place | None] = []
    for box, options in zip(boxes_xyxy, sizes, strict=True):
        best, least = None, np.inf
        for choice, (width, height) in enumerate(options):
            spots, cost = _candidates(box, width, height, shape)
            cost = cost + (_overlap(spots, kept) / areas).sum(1) + SHRINK * choice
            cost[(_overlap(spots, taken) > 0).any(1)] = np.inf
            if len(cost) and cost.min() < least:
                left, top, right, bottom = spots[cost.argmin()].tolist()
                best, least = Place(left, top, right, bottom, choice), cost.min()
        places.append(best)
        if best:
            taken = np.vstack((taken, best[:4]))
    return places


def _candidates(box: np.ndarray, width: int, height: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return rectangles (N, 4) around and in a box that lie in the image, and the cost of their distance (N,)."""
    left, top, right, bottom = np.round(box + np.array((-1, -1, 1, 1)))
    columns = (left, right - width, (left + right - width) / 2, left - width, right)
    spots: list[tuple[float, float, float]] = []
    for row in range(ROWS):
        aside = row * (height + 2)
        beside = columns[: 5 if row else 3]  # the corners count from the second row on, with a line to the box
        spots += [(x, y, row) for y in (top - height - aside, bottom + aside) for x in beside]
    spots += [(x, y, 0.5) for x, y in product((right, left - width), (top, bottom - height))]  # at its sides
    within = max(top, 0), min(bottom, shape[0]) - height
    spots += [(left, y, 1.5) for y in within]
    x, y, rows = np.array(spots).T
    x = x.clip(0, shape[1] - width)
    inside = (y >= 0) & (y + height <= shape[0]) & (width <= shape[1])
    found = np.stack((x, y, x + width, y + height), 1).astype(int)
    return found[inside], (STEP * rows + 1e-4 * np.arange(len(rows)))[inside]


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the areas (N, M) that rectangles (N, 4) and (M, 4) share."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.asarray((high - low).clip(0).prod(-1))
