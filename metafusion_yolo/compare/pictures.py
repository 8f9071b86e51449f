"""Example pairs of a comparison: the image that each row saw, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from ultralytics.data.utils import img2label_paths

from metafusion_yolo.compare.rows import COMPARED, EARLY, VISIBLE
from metafusion_yolo.compare.training import load_last
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.nn.fusion import STRIDE
from metafusion_yolo.support.pages import data_uri

WIDTH = 320  # pixels
TRUTH, HIT, FALSE = (255, 255, 255), (80, 220, 100), (255, 80, 70)
OVERLAP = 0.5  # lowest IoU of a correct box


class Tile(NamedTuple):
    """One picture of the report: its row, data URI and caption."""

    row: str
    uri: str
    caption: str


def most_telling(found: Mapping[str, Mapping[str, Any]], count: int) -> list[str]:
    """Return the images on which the rows differ most in the share of objects that they find.

    Args:
        found: What was found, by row and image.
        count: Number of images.
    """
    rows = list(found.values())

    def spread(image: str) -> float:
        shares = []
        for row in rows:
            result = row[image]
            sure = [hits[0] for hits, conf in zip(result["tp"], result["conf"], strict=True) if conf >= 0.25]
            shares.append(sum(sure) / max(1, len(result["target_cls"])))
        return float(np.ptp(shares))

    return sorted(rows[0], key=lambda image: (-spread(image), image))[:count]


@torch.inference_mode()
def picture_pair(
    image: str,
    partner: str,
    rig: Rig,
    found: Mapping[str, Mapping[str, Any]],
    checkpoints: Mapping[str, Path],
    imgsz: int,
) -> list[Tile]:
    """Return the image of a pair that each row saw, with labels in white, correct boxes in green, wrong ones in red.

    Args:
        image: The visible image.
        partner: The infrared image.
        rig: The cameras.
        found: What was found in this image, by row.
        checkpoints: Checkpoint of each row, which makes its image; early fusion makes none and shows the visible one.
        imgsz: Image size of the training, pixels.
    """
    pair = PairReader(rig).read(image, partner)
    height, width = pair.shape[:2]
    scale = imgsz / max(height, width)
    size = [max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (width, height)]
    tensor = torch.from_numpy(cv2.resize(pair, size, interpolation=cv2.INTER_AREA)).permute(2, 0, 1)[None] / 255
    boxes, classes = read_labels(image, width, height)
    tiles = []
    for row in COMPARED:
        source = VISIBLE if row == EARLY else row
        model: Any = load_last(checkpoints[source])
        fused = model.float().fusion(tensor)["fused"][0]
        shown = (fused.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        shown = cv2.resize(shown, (WIDTH, round(height * WIDTH / width)), interpolation=cv2.INTER_LINEAR)
        predicted = np.array(found[row]["boxes"], float).reshape(-1, 6)
        right = matched(predicted, boxes, classes)
        zoom = WIDTH / width
        for box in boxes:
            _rectangle(shown, box * zoom, TRUTH, 1)
        for box, hit in zip(predicted, right, strict=True):
            _rectangle(shown, box[:4] * zoom, HIT if hit else FALSE, 2)
        wrong = len(right) - sum(right)
        tiles.append(
            Tile(row, data_uri(shown), f"{sum(right)} of {len(boxes)} found" + (f", {wrong} wrong" if wrong else ""))
        )
    return tiles


def read_labels(image: str, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labelled boxes_xyxy (K, 4) in pixels and their classes (K,)."""
    file = Path(img2label_paths([image])[0])
    rows = [line.split() for line in file.read_text().splitlines() if line.strip()] if file.is_file() else []
    boxes = []
    for row in rows:
        values = np.array(row[1:], float)
        if len(values) == 4:
            low, high = values[:2] - values[2:] / 2, values[:2] + values[2:] / 2
        else:  # a polygon
            low, high = values.reshape(-1, 2).min(0), values.reshape(-1, 2).max(0)
        boxes.append([*low, *high])
    sized = np.array(boxes).reshape(-1, 4) * [width, height, width, height]
    return sized, np.array([int(float(row[0])) for row in rows])


def matched(predicted: np.ndarray, boxes: np.ndarray, classes: np.ndarray) -> list[bool]:
    """Return which predictions (N, 6) x y x y score class match a labelled box; the highest score chooses first."""
    free, right = set(range(len(boxes))), [False] * len(predicted)
    for i in np.argsort(-predicted[:, 4]) if len(predicted) else []:
        overlaps = {j: iou(predicted[i, :4], boxes[j]) for j in free if classes[j] == predicted[i, 5]}
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is not None and overlaps[best] >= OVERLAP:
            free.discard(best)
            right[i] = True
    return right


def iou(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Return the intersection over union of two boxes x y x y."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    shared = np.prod((np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def _rectangle(image: np.ndarray, box: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    cv2.rectangle(image, (x0, y0), (x1, y1), colour, width)
