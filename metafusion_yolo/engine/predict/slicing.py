"""Small objects in large pairs: cut both images into the same overlapping slices, and merge their boxes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from metafusion_yolo.options import SlicingOptions

Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels

EDGE = 0.03  # share of a slice's side: a box this close to an inner edge counts as cut by it
AGREEMENT = 0.5  # IoU from which boxes of different slices are one object; they agree less than those of one image


class Slicing(SlicingOptions):
    """How a pair is cut. The whole pair is used too, for objects that are larger than an overlap."""

    def windows(self, height: int, width: int) -> list[Window]:
        """Return the slices of a pair of (height, width) pixels, evenly spread; none if one slice would cover it.

        Examples:
            >>> Slicing(size=64, overlap=0.25).windows(64, 160)
            [(0, 0, 64, 64), (48, 0, 112, 64), (96, 0, 160, 64)]
        """
        if self.size == 0 or (height <= self.size and width <= self.size):
            return []
        corners = [(left, top) for top in self._starts(height) for left in self._starts(width)]
        return [(x, y, min(x + self.size, width), min(y + self.size, height)) for x, y in corners]

    def _starts(self, length: int) -> list[int]:
        """Return where slices start along a side of `length` pixels."""
        free = max(0, length - self.size)
        steps = math.ceil(free / max(1, self.size * (1 - self.overlap)))
        return [round(free * i / steps) for i in range(steps + 1)] if steps else [0]


def cut(pair: np.ndarray, window: Window) -> np.ndarray:
    """Return a slice (h, w, 4) of a pair (H, W, 4)."""
    left, top, right, bottom = window
    return np.ascontiguousarray(pair[top:bottom, left:right])


def place(boxes: Tensor, window: Window, height: int, width: int) -> Tensor:
    """Move the boxes of a slice to their place in the pair, and drop those that an inner edge of the slice cuts.

    A dropped object is whole in the next slice if it is smaller than the overlap, else in the whole pair.

    Args:
        boxes: (K, 6) x1, y1, x2, y2 in pixels of the slice, score, class.
        window: The slice.
        height: Height of the pair in pixels.
        width: Width of the pair in pixels.

    Returns:
        (K', 6), in pixels of the pair.
    """
    left, top, right, bottom = window
    margin = EDGE * max(right - left, bottom - top)
    boxes = boxes.clone()
    boxes[:, [0, 2]] += left
    boxes[:, [1, 3]] += top
    x1, y1, x2, y2 = boxes[:, :4].unbind(1)
    whole = torch.ones_like(x1, dtype=torch.bool)
    if left > 0:
        whole &= x1 > left + margin
    if top > 0:
        whole &= y1 > top + margin
    if right < width:
        whole &= x2 < right - margin
    if bottom < height:
        whole &= y2 < bottom - margin
    return boxes[whole]


def merge(boxes: Tensor, iou: float, max_det: int, agnostic: bool = False) -> Tensor:
    """Keep the box with the highest score of each object.

    Args:
        boxes: (K, 6) x1, y1, x2, y2, score, class, of the whole pair and of its slices.
        iou: IoU from which boxes are one object; `AGREEMENT` if it is higher.
        max_det: Largest number of boxes to keep.
        agnostic: Whether boxes of different classes can be one object.

    Returns:
        (K', 6), highest score first.
    """
    from torchvision.ops import batched_nms  # takes seconds to import

    classes = torch.zeros_like(boxes[:, 5]) if agnostic else boxes[:, 5]
    return boxes[batched_nms(boxes[:, :4].float(), boxes[:, 4].float(), classes, min(iou, AGREEMENT))[:max_det]]
