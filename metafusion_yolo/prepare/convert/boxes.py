"""Boxes of a published data set to YOLO labels: clipped to the image, normalised, merged over the cameras."""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import torch

from metafusion_yolo.prepare.convert.formats import Box, Corners, Outline
from metafusion_yolo.support.words import spelling

Remark = Callable[[str], None]
SAME = 0.5  # IoU from which a visible and an infrared box of a class are the same object
MIN_SIDE = 1.0  # pixels
ROUNDING = 0.5  # pixels by which a box may leave the image without a remark


def to_labels(
    boxes: Sequence[Box], numbers: Mapping[str, int], size: tuple[int, int], border: int, remark: Remark
) -> np.ndarray:
    """Return the labels of one camera.

    Args:
        boxes: K boxes as published.
        numbers: Class indices by :func:`spelling` of their names.
        size: (width, height) of the written image in pixels.
        border: Pixels cut off on each side of the published image.
        remark: Called with the reason for each box that is left out or changed.

    Returns:
        (at most K, 5) float64: class, left, top, right, bottom in [0, 1].
    """
    rows = []
    width, height = size
    for box in boxes:
        number = numbers.get(spelling(box.name))
        if box.skip or number is None or box.xyxy is None:
            no_class = f"object of a class that is not converted, '{box.name}'"
            remark(box.skip or (no_class if number is None else "object without a box"))
            continue
        published = np.array(box.xyxy, np.float64) - border
        if not np.isfinite(published).all() or (published[2:] - published[:2]).min() < MIN_SIDE:
            remark("box less than 1 pixel wide or high")
            continue
        cut = published.clip(0, [width, height, width, height])
        if (cut[2:] - cut[:2]).min() < MIN_SIDE:
            remark("box outside the image")
            continue
        if np.abs(cut - published).max() > ROUNDING:
            remark("box cut to the image (kept)")
        rows.append((number, *(cut / [width, height, width, height])))
    return np.array(rows, np.float64).reshape(-1, 5)


def to_outlines(
    boxes: Sequence[Box],
    numbers: Mapping[str, int],
    size: tuple[int, int],
    border: int,
    remark: Remark,
    corners: int | None = None,
) -> list[tuple[int, np.ndarray]]:
    """Return class and outline (N, 2), [0, 1], of each object of one camera; a box without one gives its corners.

    Args:
        boxes: As for :func:`to_labels`, which judges them.
        numbers: As there.
        size: As there.
        border: As there.
        remark: As there.
        corners: Corners of every outline, which are put in order around it; None for any number from three.
    """
    rows = []
    for box in boxes:
        labels = to_labels([box], numbers, size, border, remark)
        if not len(labels):
            continue
        published = np.array(box.outline if box.outline is not None else _around(box.xyxy), np.float64) - border
        points = published.clip(0, size)
        _, sides, _ = cv2.minAreaRect(points.astype(np.float32))
        if len(points) < 3 or min(sides) < MIN_SIDE or corners not in (None, len(points)):
            remark("object without an outline that can be used")
            continue
        if corners:
            centred = points - points.mean(0)
            points = points[np.arctan2(centred[:, 1], centred[:, 0]).argsort(kind="stable")]
        rows.append((int(labels[0, 0]), points / size))
    return rows


def _around(box: Corners | None) -> Outline:
    """Return the corners of a box."""
    left, top, right, bottom = box or (0, 0, 0, 0)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def union(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Merge the labels of the two cameras.

    A visible and an infrared box of one class with an IoU of at least 0.5 are the same object, and its box is their
    mean; boxes with the largest IoU are matched first. All other boxes are kept.

    Args:
        visible: (K, 5) float64: class, left, top, right, bottom.
        infrared: (M, 5) float64.

    Returns:
        (at most K + M, 5): the visible boxes, merged or not, then those of the infrared camera alone.

    Examples:
        >>> union(np.array([[0, 0, 0, 0.4, 0.4]]), np.array([[0, 0, 0, 0.4, 0.6], [1, 0, 0, 0.4, 0.4]])).tolist()
        [[0.0, 0.0, 0.0, 0.4, 0.5], [1.0, 0.0, 0.0, 0.4, 0.4]]
    """
    from torchvision.ops import box_iou  # exact for small boxes in shares of the image; takes seconds to import

    overlap = box_iou(*(torch.from_numpy(labels[:, 1:]) for labels in (visible, infrared))).numpy() * (
        visible[:, None, 0] == infrared[None, :, 0]
    )
    merged, free = visible.copy(), np.ones(len(infrared), bool)
    while overlap.size and overlap.max() >= SAME:
        i, j = np.unravel_index(overlap.argmax(), overlap.shape)
        merged[i] = (visible[i] + infrared[j]) / 2
        free[j] = False
        overlap[i, :] = overlap[:, j] = 0
    return np.concatenate([merged, infrared[free]])
