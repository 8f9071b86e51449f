"""Small pictures of pairs for the report, as data URIs."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from ultralytics.utils import patches

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import PairReader, read_visible
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.support.pages import data_uri, draw_box

WIDTH = 320  # pixels
YELLOW, RED = (255, 214, 10), (255, 40, 40)
CANNY = (60, 160)  # thresholds of the edges that are drawn over a visible image

Picture = tuple[str, str]  # title and data URI; the URI is empty if the file cannot be read


def picture_case(case: Case, reader: PairReader) -> list[Picture]:
    """Return pictures of a case: both cameras, its twin, and the edges of both if the cameras are misregistered."""
    pictures = [*_pictures(case.pair, reader, case.boxes_xywhn)]
    if any(case.twin):
        pictures += [(f"{name} of the other", uri) for name, uri in _pictures(case.twin, reader)]
    if case.kind == "misregistered":
        try:
            pictures.append(("infrared edges over visible", overlay(reader.read(*case.pair))))
        except PairError:
            pictures.append(("infrared edges over visible", ""))
    return pictures


def _pictures(
    pair: tuple[str, str], reader: PairReader, boxes: tuple[tuple[float, ...], ...] = ()
) -> Iterator[Picture]:
    for name, file, read in (("visible", pair[0], _visible), ("infrared", pair[1], _infrared)):
        if file:
            image = read(file, reader)
            yield name, "" if image is None else data_uri(_with_boxes(shrink(image), boxes))


def _visible(file: str, reader: PairReader) -> np.ndarray | None:
    """Return an (H, W, 3) image, None if it cannot be read."""
    try:
        return read_visible(file)
    except PairError:
        return None


def _infrared(file: str, reader: PairReader) -> np.ndarray | None:
    """Return an (H, W, 3) image, None if it cannot be read; false colours are kept, as they are the fault."""
    try:
        counts = reader.counts(file)
        colours = patches.imread(file, cv2.IMREAD_UNCHANGED) if counts.dtype == np.uint8 else None
        if colours is not None and colours.ndim == 3:
            return cv2.cvtColor(colours[..., :3], cv2.COLOR_BGR2RGB)
        return cv2.cvtColor(reader.rig.thermal.to_uint8(counts, reader.limits_of(file)), cv2.COLOR_GRAY2RGB)
    except PairError:
        return None


def overlay(pair: np.ndarray) -> str:
    """Return the visible image of a stacked pair (H, W, 4) with the infrared edges in red, as a data URI."""
    stacked = shrink(pair)
    shown = np.repeat(cv2.cvtColor(stacked[..., :3], cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    shown[cv2.Canny(np.ascontiguousarray(stacked[..., 3]), *CANNY) > 0] = RED
    return data_uri(shown)


def shrink(image: np.ndarray) -> np.ndarray:
    """Return an image in the width of the report."""
    height, width = image.shape[:2]
    return cv2.resize(image, (WIDTH, max(1, round(height * WIDTH / width))), interpolation=cv2.INTER_AREA)


def _with_boxes(image: np.ndarray, boxes_xywhn: tuple[tuple[float, ...], ...]) -> np.ndarray:
    height, width = image.shape[:2]
    for x, y, w, h in boxes_xywhn:
        corners = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        draw_box(image, corners, YELLOW)
    return image


def can_be_shown(case: Case) -> bool:
    """Return whether any file of a case exists."""
    return any(file and Path(file).is_file() for file in (*case.pair, *case.twin))
