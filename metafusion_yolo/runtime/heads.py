"""Outputs of the heads beside upright boxes, without PyTorch: masks, oriented boxes, maps of classes and of depth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

APART = 7680  # pixels by which boxes of two classes are moved apart, more than any image is wide
TINY = 1e-7
MAPS = {"semantic": "semantic_mask", "depth": "depth"}  # task: what its result is called, as in the host


def outlines(
    boxes: np.ndarray, masks: np.ndarray | None = None, corners: np.ndarray | None = None, **_: Any
) -> list[np.ndarray]:
    """Return the outline (P, 2) of each object, of its mask or oriented box where it has one.

    Args:
        boxes: (K, 4) x1, y1, x2, y2.
        masks: (K, H, W) bool.
        corners: (K, 4, 2).
    """
    upright = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    if masks is None:
        return list(upright if corners is None else corners)
    found = []
    for box, mask in zip(upright, masks, strict=True):
        parts = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        largest = max(parts, key=len, default=np.zeros((0, 1, 2)))[:, 0]
        found.append(largest if len(largest) > 2 else box)
    return found


def select(output: np.ndarray, conf: float, iou: float, max_det: int, raw: bool, extra: int = 0) -> np.ndarray:
    """Return the detections in the output of a network, highest score first.

    Args:
        output: (4 + C + E, N) centre, width, height, the score of each class and what else belongs to a box (`raw`),
            or (N, 6 + E) x1, y1, x2, y2, score, class and the rest of an export that includes NMS.
        conf: Lowest score.
        iou: Largest overlap of two boxes of one class.
        max_det: Largest number of detections.
        raw: Whether the output is the first of these.
        extra: E, 0 for a detector of boxes alone.

    Returns:
        (K, 6 + E) float32: x1, y1, x2, y2, score, class, rest.
    """
    if not raw:
        return output[output[:, 4] > conf][:max_det]
    rows = _sure(output, conf, extra)
    size = rows[:, 2:4].copy()
    rows[:, :2] -= size / 2
    boxes: Any = rows[:, :4].copy()  # OpenCV's type hints only allow lists
    scores: Any = rows[:, 4]
    classes: Any = rows[:, 5].astype(np.int32)
    order = np.array(cv2.dnn.NMSBoxesBatched(boxes, scores, classes, conf, iou), int)
    rows[:, 2:4] = rows[:, :2] + size
    return rows[order[:max_det]]


def select_oriented(output: np.ndarray, conf: float, iou: float, max_det: int, raw: bool) -> np.ndarray:
    """Return the oriented boxes (K, 7) in the output of a network: centre, width, height, score, class, angle.

    Args:
        output: As for :func:`select`, with the angle as the rest; in both forms boxes are centre, width, height.
        conf: Lowest score.
        iou: Largest overlap of two boxes of one class, by their Gaussians as in the host.
        max_det: Largest number of detections.
        raw: As for :func:`select`.
    """
    if not raw:
        return output[output[:, 4] > conf][:max_det]
    rows = _sure(output, conf, 1)
    rows = rows[rows[:, 4].argsort(kind="stable")[::-1]]
    boxes = rows[:, [0, 1, 2, 3, 6]].astype(np.float64)
    boxes[:, :2] += rows[:, 5:6] * APART
    better = np.triu(gaussian_overlap(boxes), 1) > iou
    return rows[~better.any(0)][:max_det]


def _sure(output: np.ndarray, conf: float, extra: int) -> np.ndarray:
    """Return centre, width, height, best score, its class and the rest of all places that are sure enough."""
    end = len(output) - extra
    scores, classes = output[4:end].max(0), output[4:end].argmax(0)
    kept = scores > conf
    columns = output[:4, kept], scores[None, kept], classes[None, kept], output[end:, kept]
    return np.concatenate(columns).T.astype(np.float32)


def gaussian_overlap(boxes: np.ndarray) -> np.ndarray:
    """Return the similarity (N, N), [0, 1], of oriented boxes (N, 5): centre, width, height, angle in radians.

    Source: J. M. Llerena et al., "Gaussian bounding boxes and probabilistic intersection-over-union for object
    detection" (ProbIoU), 2021, as the host has it.
    """
    x, y = boxes[:, 0], boxes[:, 1]
    wide, high, cos, sin = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12, np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
    a, b, c = wide * cos**2 + high * sin**2, wide * sin**2 + high * cos**2, (wide - high) * cos * sin
    area = np.clip(a * b - c**2, 0, None)
    a, b, c, dx, dy = a[:, None] + a, b[:, None] + b, c[:, None] + c, x[:, None] - x, y[:, None] - y
    joint = a * b - c**2
    far = (a * dy**2 + b * dx**2) / (joint + TINY) / 4 - c * dx * dy / (joint + TINY) / 2
    unlike = np.log(joint / (4 * np.sqrt(area[:, None] * area) + TINY) + TINY) / 2
    distance = np.clip(far + unlike, TINY, 100)
    return 1 - np.sqrt(1 - np.exp(-distance) + TINY)


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """Return the corners (K, 4, 2) of oriented boxes (K, 5): centre, width, height, angle in radians."""
    cos, sin = np.cos(boxes[:, 4:]), np.sin(boxes[:, 4:])
    along = np.concatenate((cos, sin), 1) * boxes[:, 2:3] / 2
    across = np.concatenate((-sin, cos), 1) * boxes[:, 3:4] / 2
    centre = boxes[:, :2]
    return np.stack(
        (centre + along + across, centre + along - across, centre - along - across, centre - along + across), 1
    )


def masks_of(
    coefficients: np.ndarray,
    prototypes: np.ndarray,
    boxes_xyxy: np.ndarray,
    inner: tuple[slice, slice],
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask (K, H, W) of bool for each box, in pixels of the visible image, and (K,) whether it has any.

    Args:
        coefficients: (K, E), how much of each prototype is in the mask.
        prototypes: (E, h, w), at stride 4 of the letterboxed image.
        boxes_xyxy: (K, 4) in pixels of the letterboxed image, outside of which a mask ends.
        inner: Rows and columns of the image in the letterboxed one.
        size: Width and height of the visible image.
    """
    height, width = (4 * side for side in prototypes.shape[1:])
    rows, columns = np.arange(height)[:, None], np.arange(width)
    masks, shown = np.zeros((len(coefficients), size[1], size[0]), bool), np.zeros(len(coefficients), bool)
    flat = prototypes.reshape(len(prototypes), -1)
    for i, (factors, (left, top, right, bottom)) in enumerate(zip(coefficients, boxes_xyxy, strict=True)):
        fine = cv2.resize((factors @ flat).reshape(prototypes.shape[1:]), (width, height))
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        shown[i] = ((fine > 0) & inside).any()
        box = cv2.resize(inside[inner].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        masks[i] = (cv2.resize(fine[inner], size) > 0) & box.astype(bool)
    return masks, shown


def map_of(task: str, plane: np.ndarray, window: tuple[slice, slice], size: tuple[int, int]) -> np.ndarray:
    """Return the class of each pixel of the visible image (H, W) int32, or its distance in metres, float32.

    Args:
        task: A key of `MAPS`.
        plane: Classes (h, w) of the letterboxed image, or distances (1, h, w) of the stretched one.
        window: Rows and columns of the image in the letterboxed one.
        size: Width and height of the visible image.
    """
    if task == "semantic":
        return cv2.resize(plane[window], size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
    plane = plane[0]
    for side in size[::-1]:  # corner on corner, as the host interpolates, which OpenCV cannot; rows, then columns
        at = np.linspace(0, len(plane) - 1, side, dtype=np.float32)[:, None]
        low = at[:, 0].astype(int)
        high = np.minimum(low + 1, len(plane) - 1)
        plane = (plane[low] + (plane[high] - plane[low]) * (at - low[:, None])).T
    return plane
