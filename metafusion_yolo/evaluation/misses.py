"""The hardest misses: crops of labelled objects that were not found, from both cameras."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from metafusion_yolo.evaluation.report import SURE, PairRecord
from metafusion_yolo.support.pages import data_uri, draw_box

SHOWN = 24
A_PAIR = 3  # most misses shown of one pair
CONTEXT = 4  # side of the crop, as a multiple of the object's longer side
LEAST = 96  # smallest side of the crop, pixels of the network's input
SIDE = 320  # side of the picture, pixels
MISSED, FOUND = (255, 214, 10), (80, 220, 100)


class Miss(NamedTuple):
    """A labelled object that was not found: number k of a pair."""

    record: PairRecord
    k: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the object, pixels of the network's input."""
        x0, y0, x1, y1 = self.record.boxes_xyxy[self.k]
        return round(float(x1 - x0)), round(float(y1 - y0))

    @property
    def score(self) -> float:
        """Highest score of a detection that overlaps it, below `SURE`; 0 for none."""
        return float(self.record.best_scores[self.k])


def hardest_misses(records: Sequence[PairRecord], shown: int = SHOWN, a_pair: int = A_PAIR) -> list[Miss]:
    """Return the missed objects with the lowest score, lowest first; of equal ones, the largest first.

    Args:
        records: What was found in every pair.
        shown: Largest number of objects.
        a_pair: Largest number of objects of one pair.
    """
    misses = [Miss(record, int(k)) for record in records for k in np.flatnonzero(record.missed)]
    misses.sort(key=lambda miss: (miss.score, -miss.size[0] * miss.size[1], miss.record.file))
    taken: dict[str, int] = {}
    chosen = []
    for miss in misses:
        taken[miss.record.file] = taken.get(miss.record.file, 0) + 1
        if taken[miss.record.file] <= a_pair:
            chosen.append(miss)
    return chosen[:shown]


def picture_miss(miss: Miss, views: dict[str, np.ndarray]) -> list[tuple[str, str]]:
    """Return name and data URI of a crop of each view, with missed objects in yellow, confident detections in green.

    Args:
        miss: The object, at the centre.
        views: Images (H, W, 3) uint8, R, G, B, in the size of the network's input.
    """
    x0, y0, x1, y1 = miss.record.boxes_xyxy[miss.k]
    height, width = next(iter(views.values())).shape[:2]
    side = int(min(max(LEAST, CONTEXT * max(x1 - x0, y1 - y0)), height, width))
    left = int(np.clip((x0 + x1) / 2 - side / 2, 0, width - side))
    top = int(np.clip((y0 + y1) / 2 - side / 2, 0, height - side))
    scale = SIDE / side
    pictures = []
    for name, image in views.items():
        section = np.ascontiguousarray(image[top : top + side, left : left + side])
        section = cv2.resize(section, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        for box in miss.record.detections:
            draw_box(section, (box[:4] - (left, top, left, top)) * scale, FOUND, 1)
        for k in np.flatnonzero(miss.record.missed):
            box = (miss.record.boxes_xyxy[k] - (left, top, left, top)) * scale
            draw_box(section, box, MISSED, 2 if k == miss.k else 1)
        pictures.append((name, data_uri(section)))
    return pictures


def describe_miss(miss: Miss, name: str) -> str:
    """Return class name, size, condition and score of a miss in words."""
    width, height = miss.size
    found = f"best score {miss.score:.2f}, below {SURE:g}" if miss.score else "no overlapping detection of its class"
    weights = miss.record.weights
    weight = f", infrared weight {weights.boxes[miss.k]:.2f}" if weights else ""
    camera = miss.record.shown_in[miss.k] if miss.record.shown_in else ""
    shown = {"": "", "both": ", shown in both"}.get(camera, f", shown in {camera} alone")
    return f"{name}, {width} x {height} px, {miss.record.condition}{shown}: {found}{weight}"
