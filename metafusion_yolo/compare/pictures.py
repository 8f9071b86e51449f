"""Example pairs of a comparison: the image that each row saw, and what it found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from metafusion_yolo.compare.rows import EARLY, VISIBLE
from metafusion_yolo.compare.training import load_last
from metafusion_yolo.data.labels import read_labels
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import Split
from metafusion_yolo.nn.fusion import input_size
from metafusion_yolo.support.drawing import to_uint8
from metafusion_yolo.support.pages import data_uri, draw_box

WIDTH = 320  # pixels
TRUTH, HIT, FALSE = (255, 255, 255), (80, 220, 100), (255, 80, 70)


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
    pairs: Split,
    rig: Rig,
    found: Mapping[str, Mapping[str, Any]],
    checkpoints: Mapping[str, Path],
    imgsz: int,
    kpt_shape: Sequence[int] | None = None,
) -> list[Tile]:
    """Return the image of a pair that each row saw, with labels in white, correct boxes in green, wrong ones in red.

    Args:
        image: The visible image.
        pairs: The pairs of the data set.
        rig: The cameras.
        found: What was found in this image, by row.
        checkpoints: Checkpoint of each row, which makes its image; early fusion makes none and shows the visible one.
        imgsz: Image size of the training, pixels.
        kpt_shape: Keypoints of the labels, see :func:`~metafusion_yolo.data.labels.read_labels`.
    """
    pair = PairReader(rig).read(image, pairs.partners[image] or None)
    height, width = pair.shape[:2]
    size = input_size(height, width, imgsz)[::-1]
    tensor = torch.from_numpy(cv2.resize(pair, size, interpolation=cv2.INTER_AREA)).permute(2, 0, 1)[None] / 255
    boxes = read_labels(pairs.label_of(image), kpt_shape=kpt_shape).boxes_xyxyn * (width, height, width, height)
    tiles = []
    for row in found:
        source = VISIBLE if row == EARLY else row
        model: Any = load_last(checkpoints[source])
        fused = model.float().fusion(tensor).fused[0]
        shown = cv2.resize(to_uint8(fused), (WIDTH, round(height * WIDTH / width)), interpolation=cv2.INTER_LINEAR)
        predicted = np.array(found[row]["boxes"], float).reshape(-1, 6)
        right = [hits[0] for hits in found[row]["tp"][: len(predicted)]]  # the surest come first in both
        zoom = WIDTH / width
        for box in boxes:
            draw_box(shown, box * zoom, TRUTH, 1)
        for box, hit in zip(predicted, right, strict=True):
            draw_box(shown, box[:4] * zoom, HIT if hit else FALSE)
        wrong = len(right) - sum(right)
        tiles.append(
            Tile(row, data_uri(shown), f"{sum(right)} of {len(boxes)} found" + (f", {wrong} wrong" if wrong else ""))
        )
    return tiles
