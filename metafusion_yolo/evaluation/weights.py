"""Weight of the infrared camera inside and outside the labelled boxes."""

from dataclasses import dataclass

import numpy as np

BINS = 20
EDGES = np.linspace(0, 1, BINS + 1)
CELL = 4  # pixels of the network's input per weight, in each direction


@dataclass(frozen=True)
class PairWeights:
    """Weights of the infrared camera in one pair, [0, 1].

    Attributes:
        boxes: Mean weight in each labelled box (K,).
        outside: Mean weight outside all boxes, NaN if they cover the image.
        inside_counts: Histogram of the weights inside any box (20,).
        outside_counts: Histogram of the weights outside all boxes (20,).
    """

    boxes: np.ndarray
    outside: float
    inside_counts: np.ndarray
    outside_counts: np.ndarray


def weigh_boxes(infrared_weight: np.ndarray, boxes_xyxy: np.ndarray, area: tuple[int, int, int, int]) -> PairWeights:
    """Split a weight map by labelled boxes.

    Args:
        infrared_weight: Weight of the infrared camera (H / 4, W / 4), [0, 1].
        boxes_xyxy: Labelled boxes (K, 4), pixels of the network's input.
        area: x, y, x, y of the image inside its letterbox, pixels.
    """
    x0, y0, x1, y1 = _cells(area)
    inside = np.zeros(infrared_weight.shape, bool)
    means = []
    for box in boxes_xyxy:
        left, top, right, bottom = _cells(box)
        cells = slice(min(top, y1 - 1), max(bottom, top + 1)), slice(min(left, x1 - 1), max(right, left + 1))
        inside[cells] = True
        means.append(float(infrared_weight[cells].mean()))
    shown, inside = infrared_weight[y0:y1, x0:x1], inside[y0:y1, x0:x1]
    outer = shown[~inside]
    counts = [np.histogram(values, EDGES)[0] for values in (shown[inside], outer)]
    return PairWeights(np.array(means), float(outer.mean()) if outer.size else float("nan"), counts[0], counts[1])


def _cells(box: np.ndarray | tuple[int, ...]) -> tuple[int, ...]:
    """Return the cells whose centres a box covers: first x, first y, end x, end y."""
    return tuple(max(0, round(float(v) / CELL)) for v in box)
