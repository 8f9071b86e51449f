"""Faults of a label file: rows that the host rejects, and rows that are probably a mistake."""

from collections.abc import Iterator

import numpy as np
import torch
from torchvision.ops import box_iou

from metafusion_yolo.data.labels import NO_LABELS, LabelError, Labels, read_labels
from metafusion_yolo.data.registration import Size
from metafusion_yolo.prepare.check.findings import Case

TOLERANCE = 0.01  # by which coordinates may leave [0, 1], as for the host
DUPLICATE = 0.95  # IoU above which two boxes of a class are duplicates
TINY = 2.0  # pixels

Pair = tuple[str, str]


def inspect_labels(file: str, class_count: int, size: Size, pair: Pair) -> tuple[Labels, list[Case]]:
    """Find the faults of a label file.

    Args:
        file: An existing label file.
        class_count: Number of classes.
        size: (width, height) of the visible image in pixels.
        pair: Visible and infrared image, shown with each fault.

    Returns:
        Labels without the rejected rows, and the faults.
    """
    try:
        found = read_labels(file)
    except LabelError as error:
        return NO_LABELS, [Case("label-malformed", file, str(error), pair)]
    classes, boxes = found.classes, found.boxes_xywhn
    cases, usable = [], np.ones(len(classes), bool)
    for i, kind, text in _rejected(classes, boxes, class_count):
        usable[i] = False
        cases.append(Case(kind, file, f"line {i + 1}: {text}", pair, boxes_xywhn=_drawable(boxes[i])))
    lines = np.flatnonzero(usable)
    labels = Labels(classes[usable], boxes[usable])
    for i, kind, text in _doubtful(labels, size):
        cases.append(Case(kind, file, f"line {lines[i] + 1}: {text}", pair, boxes_xywhn=_drawable(boxes[lines[i]])))
    return labels, cases


def _rejected(classes: np.ndarray, boxes: np.ndarray, class_count: int) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of each box that training rejects."""
    for i, (cls, box) in enumerate(zip(classes, boxes, strict=True)):
        if not 0 <= cls < class_count:
            yield i, "label-unknown-class", f"class {cls:g}, expected 0 to {class_count - 1}"
        elif box.max() > 1 + TOLERANCE or box[:2].min() < -TOLERANCE:
            yield i, "label-out-of-range", f"x, y, width, height = {', '.join(f'{v:g}' for v in box)}"
        elif box[2:].min() <= 0:
            yield i, "label-degenerate", f"width {box[2]:g}, height {box[3]:g}"


def _doubtful(labels: Labels, size: Size) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of each box that training uses, but that is probably a mistake."""
    boxes = labels.boxes_xywhn
    corners = labels.boxes_xyxyn
    low, high = corners[:, :2], corners[:, 2:]
    for i in np.flatnonzero(np.maximum(-low, high - 1).max(1, initial=0) > TOLERANCE):
        yield int(i), "label-outside", f"{max(-low[i].min(), high[i].max() - 1):.1%} beyond the border"
    sides = (boxes[:, 2:] * size).min(1, initial=np.inf)
    for i in np.flatnonzero(sides < TINY):
        yield int(i), "label-tiny", f"{boxes[i, 2] * size[0]:.1f} x {boxes[i, 3] * size[1]:.1f} px"
    overlap = box_iou(*[torch.from_numpy(corners)] * 2).numpy()
    twins = (overlap > DUPLICATE) & (labels.classes[:, None] == labels.classes)
    for i in np.flatnonzero(np.triu(twins, 1).any(0)):
        yield int(i), "label-duplicate", f"class {labels.classes[i]} has this box already"


def _drawable(box: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return a box to draw, unless it lies far outside the image."""
    return (tuple(box.tolist()),) if np.abs(box).max() < 2 else ()
