"""Reading a label file as the host does, but with a reason for each row that it would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ultralytics.utils.ops import segments2boxes

from metafusion_yolo.data.registration import Size
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.support.errors import UserValueError

TOLERANCE = 0.01  # by which the host lets coordinates leave 0 to 1
DUPLICATE = 0.95  # IoU above which two boxes of a class are one
TINY = 2.0  # pixels

Pair = tuple[str, str]


@dataclass(frozen=True)
class Labels:
    """The usable boxes of an image.

    Attributes:
        classes: (K,) int64.
        boxes_xywhn: (K, 4) float64, normalised.
    """

    classes: np.ndarray
    boxes_xywhn: np.ndarray


NO_LABELS = Labels(np.zeros(0, np.int64), np.zeros((0, 4)))


def read_labels(file: str, class_count: int, size: Size, pair: Pair) -> tuple[Labels, list[Case]]:
    """Read a label file and find what is wrong with it.

    Args:
        file: The label file, which exists.
        class_count: Number of classes; they count from 0.
        size: (width, height) of the visible image in pixels.
        pair: Visible and infrared image, to show with what is found.

    Returns:
        Labels without the rows that are refused, and what was found.
    """
    try:
        rows = [row.split() for row in Path(file).read_text(encoding="utf-8-sig").splitlines() if row.strip()]
        classes, boxes = _parse(rows)
    except (OSError, ValueError) as error:  # a UnicodeDecodeError is a ValueError
        return NO_LABELS, [Case("label-malformed", file, str(error), pair)]
    cases, usable = [], np.ones(len(classes), bool)
    for i, kind, text in _refused(classes, boxes, class_count):
        usable[i] = False
        cases.append(Case(kind, file, f"line {i + 1}: {text}", pair, boxes_xywhn=_drawable(boxes[i])))
    lines = np.flatnonzero(usable)
    labels = Labels(classes[usable].astype(np.int64), boxes[usable])
    for i, kind, text in _doubtful(labels, size):
        cases.append(Case(kind, file, f"line {lines[i] + 1}: {text}", pair, boxes_xywhn=_drawable(boxes[lines[i]])))
    return labels, cases


def _parse(rows: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return classes (K,) and boxes (K, 4) of rows of boxes, or of polygons.

    Raises:
        ValueError: If a row is neither, or not of numbers, with its line.
    """
    values = []
    for i, row in enumerate(rows, start=1):
        if len(row) != 5 and (len(row) < 7 or len(row) % 2 == 0):
            raise UserValueError(f"line {i} has {len(row)} columns; expected 'class x y width height', or a polygon")
        if len(row) != len(rows[0]) and 5 in (len(row), len(rows[0])):
            raise UserValueError(
                f"line {i} has {len(row)} columns, the first {len(rows[0])}; do not mix boxes and polygons"
            )
        try:
            numbers = np.array([float(word) for word in row])
        except ValueError:
            raise UserValueError(f"line {i} is not made of numbers: '{' '.join(row)[:60]}'") from None
        if not np.isfinite(numbers).all() or numbers[0] % 1:
            raise UserValueError(f"line {i} has no whole class and finite numbers: '{' '.join(row)[:60]}'")
        values.append(numbers)
    if not values:
        return np.zeros(0), np.zeros((0, 4))
    classes = np.array([v[0] for v in values])
    if len(values[0]) == 5:
        return classes, np.array([v[1:] for v in values])
    return classes, np.asarray(segments2boxes([v[1:].reshape(-1, 2) for v in values]), np.float64)


def _refused(classes: np.ndarray, boxes: np.ndarray, class_count: int) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of what training cannot use."""
    for i, (cls, box) in enumerate(zip(classes, boxes, strict=True)):
        if not 0 <= cls < class_count:
            yield i, "label-unknown-class", f"class {cls:g}, expected 0 to {class_count - 1}"
        elif box.max() > 1 + TOLERANCE or box[:2].min() < -TOLERANCE:
            yield i, "label-out-of-range", f"x, y, width, height = {', '.join(f'{v:g}' for v in box)}"
        elif box[2:].min() <= 0:
            yield i, "label-degenerate", f"width {box[2]:g}, height {box[3]:g}"


def _doubtful(labels: Labels, size: Size) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of what training uses, but hardly as it was meant."""
    boxes = labels.boxes_xywhn
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    for i in np.flatnonzero(np.maximum(-low, high - 1).max(1, initial=0) > TOLERANCE):
        yield int(i), "label-outside", f"{max(-low[i].min(), high[i].max() - 1):.1%} beyond the border"
    sides = (boxes[:, 2:] * size).min(1, initial=np.inf)
    for i in np.flatnonzero(sides < TINY):
        yield int(i), "label-tiny", f"{boxes[i, 2] * size[0]:.1f} x {boxes[i, 3] * size[1]:.1f} px"
    overlap = (np.minimum(high[:, None], high) - np.maximum(low[:, None], low)).clip(0).prod(2)
    area = boxes[:, 2:].prod(1)
    twins = (overlap > DUPLICATE * (area[:, None] + area - overlap)) & (labels.classes[:, None] == labels.classes)
    for i in np.flatnonzero(np.triu(twins, 1).any(0)):
        yield int(i), "label-duplicate", f"class {labels.classes[i]} is there already"


def _drawable(box: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return a box to draw; none that no image could hold."""
    return (tuple(box.tolist()),) if np.abs(box).max() < 2 else ()
