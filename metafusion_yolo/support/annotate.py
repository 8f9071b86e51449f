"""Outlines with labels that hide little: a label steps aside, shrinks or shortens where it would cover an object."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from metafusion_yolo.support.placement import place_labels

Colour = tuple[int, int, int]
LEAST_FONT = 9  # pixels; below, letters cannot be told apart
CJK = 0x2E80  # first of the characters that the font of Matplotlib lacks


class Mark(NamedTuple):
    """An outlined object.

    Attributes:
        corners: (4, 2), pixels.
        texts: Wordings of its label, the longest first; empty for no label.
        colour: B, G, R.
    """

    corners: np.ndarray
    texts: tuple[str, ...]
    colour: Colour


def draw_marks(
    image: np.ndarray,
    marks: Sequence[Mark],
    line_width: float | None = None,
    font_size: float | None = None,
    font: str | None = None,
    spared: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of an image with outlines around objects and labels beside them.

    A label that fits nowhere is left out; its outline stays.

    Args:
        image: (H, W, 3) uint8, B, G, R.
        marks: Objects, the most important first.
        line_width: Pixels; None for what suits the size of the image.
        font_size: Pixels, of labels that have room; None as above.
        font: Path of a TrueType font; None for the one of Matplotlib.
        spared: See :func:`~metafusion_yolo.support.placement.place_labels`.
    """
    mean = sum(image.shape[:2]) / 2
    width = max(1, round(line_width or 0.0025 * mean))
    size = max(LEAST_FONT + 1, round(0.02 * mean)) if font_size is None else max(1, round(font_size))
    sizes = (size, max(min(size, LEAST_FONT), round(0.75 * size)))
    image = image.copy()
    boxes = np.array([[*mark.corners.min(0), *mark.corners.max(0)] for mark in marks]).reshape(-1, 4)
    for mark, box in zip(reversed(marks), boxes[::-1], strict=True):  # the most important on top
        outward = np.sign(mark.corners - (box[:2] + box[2:]) / 2) * (width // 2 + 1)
        outline = (mark.corners + outward).round().astype(int)
        cv2.polylines(image, [outline], True, mark.colour, width, cv2.LINE_AA if width > 1 else cv2.LINE_8)
    # wordings and sizes, in the order in which they are tried
    choices = [[(text, load_font(s, text, font)) for text, s in product(mark.texts, sizes)] for mark in marks]
    places = place_labels(boxes, [[_extent(*one) for one in some] for some in choices], image.shape, spared)
    picture = Image.fromarray(image)  # stays B, G, R, as the colours are
    pen = ImageDraw.Draw(picture)
    labels = [
        (place, *some[place.choice], box, mark.colour)
        for mark, box, some, place in zip(marks, boxes, choices, places, strict=True)
        if place
    ]
    for place, _, _, box, colour in labels:  # lines first: none crosses a label
        near = np.clip((box[:2] + box[2:]) / 2, place[:2], place[2:4])
        target = np.clip(near, box[:2], box[2:])
        if np.abs(near - target).max() > 3:  # it stands away from its object
            pen.line([*near.tolist(), *target.tolist()], fill=colour)
    for place, text, letters, _, colour in labels:
        pen.rectangle([place.left, place.top, place.right - 1, place.bottom - 1], fill=colour)
        bright = np.dot(colour, (0.114, 0.587, 0.299)) > 140
        middle = (place.left + 2, (place.top + place.bottom) // 2)
        pen.text(middle, text, (0, 0, 0) if bright else (255, 255, 255), letters, "lm")
    return np.array(picture)


def _extent(text: str, letters: ImageFont.FreeTypeFont) -> tuple[int, int]:
    """Return width and height of a label, pixels."""
    return round(letters.getlength(text)) + 4, round(1.3 * letters.size)


def load_font(size: int, text: str = "", path: str | None = None) -> ImageFont.FreeTypeFont:
    """Return a TrueType font of a size in pixels: that of a path, or one that has the letters of a text."""
    return _load_font(size, path or ("Arial.Unicode.ttf" if any(ord(letter) >= CJK for letter in text) else ""))


@lru_cache(64)
def _load_font(size: int, name: str) -> ImageFont.FreeTypeFont:
    import matplotlib

    file = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    if name:
        from ultralytics.utils.checks import check_font

        file = str(check_font(name) or file)  # the host knows where fonts are, and fetches those of its own
    return ImageFont.truetype(file, size)
