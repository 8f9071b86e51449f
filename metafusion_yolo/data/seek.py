"""Files of Seek's Shot (`.HIR`): a screenshot as JPEG, the temperatures, and the visible image.

Source: the layout is published by Thomas Kolb, https://git.tkolb.de/Public/decode_hir.
"""

from __future__ import annotations

import cv2
import numpy as np

from metafusion_yolo.data.makers import END, LAST
from metafusion_yolo.data.pairs import PairError

PAGE = 0x1000  # bytes, to whole ones of which the length of the screenshot is rounded down
AFTER, BETWEEN = 2 * PAGE, 0x10000  # bytes from there to the temperatures, and from these to the visible image
SIZE, VISIBLE = (206, 156), (1440, 1080)  # (width, height)


def celsius(data: bytes) -> np.ndarray:
    """Return degrees celsius (156, 206) float32 of a file.

    Raises:
        PairError: If it breaks off, or is of another camera.
    """
    return np.frombuffer(data, "<u2", SIZE[0] * SIZE[1], _start(data)).reshape(SIZE[::-1]).astype(np.float32) / 64 - 40


def visible(data: bytes) -> np.ndarray:
    """Return the visible image (1080, 1440, 3) uint8, B, G, R; it is stored as Y, Cb and Cr, these at half the size.

    Raises:
        PairError: As :func:`celsius`.
    """
    (width, height), start = VISIBLE, _start(data) + BETWEEN
    planes = np.frombuffer(data, np.uint8, width * height * 3 // 2, start)
    return np.asarray(cv2.cvtColor(planes.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420))


def _start(data: bytes) -> int:
    """Return where the temperatures begin."""
    at = 2
    while at + 4 <= len(data) and data[at + 1] not in LAST:  # a thumbnail in a segment has an end of its own
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    end = data.find(END, at)
    start = (end + len(END)) // PAGE * PAGE + AFTER
    if end < 0 or len(data) < start + BETWEEN + VISIBLE[0] * VISIBLE[1] * 3 // 2:
        raise PairError("the file breaks off, or is not of a Seek Shot, whose layout alone is published")
    return start
