"""Ground truth of a scene: outlines, keypoints and oriented boxes as label files, and crops."""

from collections.abc import Sequence

import cv2
import numpy as np

from metafusion_yolo.prepare.synthetic.scene import Item

MARKS = ("top", "side", "ground")  # head, hands and feet of a person; roof, lamps and wheels of a car
KEYPOINTS = {"kpt_shape": [5, 3], "flip_idx": [0, 2, 1, 4, 3]}  # one on top, two at the sides, two on the ground
MARGIN = 0.15  # share of an object that a crop shows beside it
DETAIL = 512  # pixels across an object, by which its parts are joined


def outline(item: Item) -> np.ndarray:
    """Return the outline (N, 2) of all parts of an object together, image heights; what covers it does not count."""
    parts = [item.place(part.points) for part in item.parts]
    low, high = item.box_xyxy[:2], item.box_xyxy[2:]
    scale = DETAIL / (high - low).max()
    plane = np.zeros((DETAIL + 3, DETAIL + 3), np.uint8)
    for points in parts:
        cv2.fillPoly(plane, [((points - low) * scale * 16).astype(np.int32) + 16], 1, cv2.LINE_8, 4)
    found, _ = cv2.findContours(plane, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = cv2.approxPolyDP(max(found, key=cv2.contourArea), 1.5, True)[:, 0]
    return np.asarray((largest - 1) / scale + low)


def keypoints(item: Item) -> np.ndarray:
    """Return the keypoints (5, 2) of a person or a car, image heights: top, sides and ground, each from the left."""
    points = []
    for mark in MARKS:
        middles = [(p.points.min(0) + p.points.max(0)) / 2 for p in item.parts if p.mark == mark]
        points += sorted(middles, key=lambda middle: float(middle[0]))
    return item.place(np.array(points))


def label_text(task: str, objects: Sequence[Item], boxes_xyxyn: np.ndarray, aspect: float) -> str:
    """Return the label file of a scene.

    Args:
        task: "detect", "segment", "pose" or "obb".
        objects: The K objects.
        boxes_xyxyn: Their boxes (K, 4): left, top, right, bottom, normalised.
        aspect: Width of the image over its height.
    """
    from metafusion_yolo.data.labels import label_rows, outline_rows  # needs the host, which rendering does not

    classes = [item.category for item in objects]
    if task in ("segment", "obb"):
        shapes = ((item.category, outline(item) if task == "segment" else item.corners) for item in objects)
        return outline_rows([(category, (points / [aspect, 1]).clip(0, 1)) for category, points in shapes])
    marks = None
    if task == "pose" and objects:
        places = np.stack([keypoints(item) for item in objects]) / [aspect, 1]
        marks = np.concatenate([places.clip(0, 1), np.full((*places.shape[:2], 1), 2.0)], 2)  # all of them show
    return label_rows(classes, boxes_xyxyn, marks)


def crop(image: np.ndarray, box_xyxy: np.ndarray) -> np.ndarray:
    """Return the square part of an image (H, W, ...) around a box in pixels, as far as the image goes."""
    centre, half = (box_xyxy[:2] + box_xyxy[2:]) / 2, (0.5 + MARGIN) * (box_xyxy[2:] - box_xyxy[:2]).max()
    left, top = np.floor(centre - half).clip(0).astype(int)
    right, low = np.ceil(centre + half).astype(int)
    return image[top:low, left:right]
