"""Saved answers of Hikvision's ISAPI, `GET /ISAPI/Thermal/channels/2/thermometry/jpegPicWithAppendData?format=json`.

The parts of a multipart body: what follows as JSON, the thermal preview as JPEG, a temperature for each of its pixels,
and the visible image as JPEG if the camera is set to send it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import cv2
import numpy as np

from metafusion_yolo.data.makers import ANSWER, START
from metafusion_yolo.data.pairs import PairError

FIRST = re.compile(rb"(?:^|\r\n)(--[^\r\n]+)\r\n")  # the mark between parts, with or without HTTP headers before it
BREAK = b"\r\n\r\n"  # after the headers of a part; half of it after the part
FLOAT = 4  # bytes of a temperature in degrees celsius; readers disagree on what those of 2 mean


def celsius(data: bytes) -> np.ndarray:
    """Return degrees celsius (h, w) float32 of an answer.

    Raises:
        PairError: If it is damaged, or its temperatures have 16 bits.
    """
    said, parts = _parts(data)
    try:
        width, height, length, each = (
            int(said[key]) for key in ("jpegPicWidth", "jpegPicHeight", "p2pDataLen", "temperatureDataLength")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PairError(f"its JSON does not say {error}") from error
    if each != FLOAT:
        raise PairError(f"its temperatures have {8 * each} bits; set temperatureDataLength of the camera to {FLOAT}")
    found = next((part for part in parts if 0 <= len(part) - length <= len(BREAK)), b"")
    if not found or length != width * height * FLOAT:
        raise PairError(f"it does not hold {width}x{height} temperatures")
    return np.frombuffer(found, "<f4", width * height).reshape(height, width)


def visible(data: bytes) -> np.ndarray:
    """Return the visible image (H, W, 3) uint8, B, G, R, of an answer.

    Raises:
        PairError: If it holds none.
    """
    pictures = [part for part in _parts(data)[1] if part.startswith(START)]
    image = cv2.imdecode(np.frombuffer(pictures[1], np.uint8), cv2.IMREAD_COLOR) if len(pictures) > 1 else None
    if image is None:
        raise PairError("it holds no visible image; set visiblePicEnabled of the camera")
    return image


def _parts(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return what the JSON of an answer says, and its further parts."""
    found = FIRST.search(data)
    bodies = [part.partition(BREAK)[2] for part in data.split(found[1])[1:]] if found else []
    try:
        return json.loads(bodies[0])[ANSWER.decode()], bodies[1:]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise PairError("its JSON is damaged") from error
