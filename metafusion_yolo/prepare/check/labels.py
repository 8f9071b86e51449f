"""Faults of a label file: rows that the host rejects, and rows that are probably a mistake."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from metafusion_yolo.data.labels import NO_LABELS, LabelError, Labels, crosses_itself, is_empty, read_labels
from metafusion_yolo.data.registration import Size
from metafusion_yolo.prepare.check.findings import Case

TOLERANCE = 0.01  # by which coordinates may leave [0, 1], as for the host
OUT_OF_BOX = 0.05  # share of the image by which a keypoint may leave its box
DUPLICATE = 0.95  # IoU above which two boxes of a class are duplicates
TINY = 2.0  # pixels

Pair = tuple[str, str]


def inspect_labels(
    file: str, class_count: int, size: Size, pair: Pair, kpt_shape: Sequence[int] | None = None
) -> tuple[Labels, list[Case]]:
    """Find the faults of a label file.

    Args:
        file: An existing label file.
        class_count: Number of classes.
        size: (width, height) of the visible image in pixels.
        pair: Visible and infrared image, shown with each fault.
        kpt_shape: Number of keypoints behind each box, and of values each; None for none.

    Returns:
        Labels without the rejected rows, and the faults.
    """
    try:
        found = read_labels(file, kpt_shape=kpt_shape)
    except LabelError as error:
        return NO_LABELS, [Case("label-malformed", file, str(error), pair)]
    boxes = found.boxes_xywhn
    cases, usable = [], np.ones(len(boxes), bool)
    for i, kind, text in _rejected(found, class_count):
        usable[i] = False
        cases.append(Case(kind, file, f"line {i + 1}: {text}", pair, boxes_xywhn=_drawable(boxes[i])))
    lines = np.flatnonzero(usable)
    labels = found.chosen(usable)
    for i, kind, text in (*_doubtful(labels, size), *_doubtful_shapes(labels)):
        cases.append(Case(kind, file, f"line {lines[i] + 1}: {text}", pair, boxes_xywhn=_drawable(boxes[lines[i]])))
    return labels, cases


def _rejected(labels: Labels, class_count: int) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of each box that training rejects."""
    keypoints = np.zeros((len(labels.classes), 0, 2)) if labels.keypoints is None else labels.keypoints
    for i, (cls, box, points) in enumerate(zip(labels.classes, labels.boxes_xywhn, keypoints[..., :2], strict=True)):
        far = np.flatnonzero((points > 1 + TOLERANCE).any(1) | (points < -TOLERANCE).any(1))
        if not 0 <= cls < class_count:
            yield i, "label-unknown-class", f"class {cls:g}, expected 0 to {class_count - 1}"
        elif box.max() > 1 + TOLERANCE or box[:2].min() < -TOLERANCE:
            yield i, "label-out-of-range", f"x, y, width, height = {', '.join(f'{v:g}' for v in box)}"
        elif box[2:].min() <= 0:
            yield i, "label-degenerate", f"width {box[2]:g}, height {box[3]:g}"
        elif len(far):
            x, y = points[far[0]]
            yield i, "label-out-of-range", f"keypoint {far[0] + 1} at {x:g}, {y:g}"


def _doubtful(labels: Labels, size: Size) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of each box that training uses, but that is probably a mistake."""
    from torchvision.ops import box_iou  # exact for small boxes in shares of the image; takes seconds to import

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


def _doubtful_shapes(labels: Labels) -> Iterator[tuple[int, str, str]]:
    """Yield row, kind and text of each polygon and of each keypoint that is probably a mistake."""
    for i, outline in enumerate(labels.outlines):
        if is_empty(outline):
            yield i, "label-no-area", f"{len(outline)} points on a line"
        elif crosses_itself(outline):
            yield i, "label-crosses", f"polygon of {len(outline)} points"
    if labels.keypoints is None:
        return
    corners = labels.boxes_xyxyn
    for i, (points, low, high) in enumerate(zip(labels.keypoints, corners[:, :2], corners[:, 2:], strict=True)):
        shown = points[:, 2] if points.shape[1] == 3 else points.any(1).astype(float)
        beyond = np.maximum(low - points[:, :2], points[:, :2] - high).max(1)
        far = np.flatnonzero((shown > 0) & (beyond > OUT_OF_BOX))
        if len(far):
            yield i, "label-keypoint", f"keypoint {far[0] + 1} is {beyond[far[0]]:.1%} outside its box"
        elif odd := sorted({*shown.tolist()} - {0, 1, 2}):
            yield i, "label-keypoint", f"visibility {odd[0]:g}"


def _drawable(box: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return a box to draw, unless it lies far outside the image."""
    return (tuple(box.tolist()),) if np.abs(box).max() < 2 else ()
