"""Whether an infrared image shows hot as bright (white-hot) or as dark (black-hot); with NumPy and OpenCV only."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

SIZE, COARSE = (160, 128), (32, 32)  # (width, height) at which spots and the layout are judged
SPOT = 5  # px of SIZE below which something is a spot: a person, a wheel, a lamp
COLDER = 0.3  # difference of the mean ranks, 0 to 1, of top and ground from which the top is a sky
SPOTTED = 0.1  # logarithm of the ratio of bright to dark spots from which there are more of the one
TELLING = 0.2  # share of images that must tell the polarity of a sequence
AGREED = 0.9  # share of these that must tell the same


def polarity(grey: np.ndarray) -> int:
    """Return 1 for a white-hot image (H, W) uint8, -1 for a black-hot one, and 0 where two signs do not agree.

    The sky is colder than the ground, and what stands out from its surroundings in a small place is more often hotter
    than colder. The first is wrong for a view from above or of a warm wall, the second for a fence before a house, so
    that either alone says nothing. An image and its negative have opposite polarity.

    Source: this project; how often it is wrong: `docs/data.md`.

    Examples:
        >>> scene = np.repeat(np.linspace(20, 120, 96), 128).reshape(96, 128).astype(np.uint8)
        >>> scene[60:63, ::20] = 250
        >>> polarity(scene), polarity(255 - scene), polarity(scene[::-1])
        (1, -1, 0)
    """
    if not grey.size or grey.min() == grey.max():
        return 0
    signs = _sign(_sky(grey), COLDER), _sign(_spots(grey), SPOTTED)
    return signs[0] if signs[0] == signs[1] else 0


def black_hot(polarities: Iterable[int]) -> bool:
    """Return whether a sequence is black-hot, by the :func:`polarity` of some of its images.

    Examples:
        >>> black_hot([-1]), black_hot([0, -1, 0, 0]), black_hot([-1, 1]), black_hot([0]), black_hot([])
        (True, True, False, False, False)
    """
    told = [*polarities]
    against, telling = told.count(-1), len(told) - told.count(0)
    return telling > 0 and telling >= TELLING * len(told) and against >= AGREED * telling


def is_black_hot(images: Iterable[np.ndarray]) -> bool | None:
    """Return whether those of 8 bits among images (h, w) of a sequence are black-hot; None if none shows anything."""
    told = [polarity(one) for one in images if one.dtype == np.uint8 and one.size and one.min() < one.max()]
    return black_hot(told) if told else None


def turned_note(name: object) -> str:
    """Return the message about a sequence that is inverted."""
    return f"infrared of '{name}' is black-hot and is inverted; 'thermal: {{invert: false}}' keeps it as it is"


def _sign(value: float, least: float) -> int:
    return 0 if abs(value) < least else 1 if value > 0 else -1


def _sky(grey: np.ndarray) -> float:
    """Return the mean rank of the lower five eighths minus that of the upper quarter, -1 to 1."""
    small = cv2.resize(grey, COARSE, interpolation=cv2.INTER_AREA).astype(np.int64)
    ordered = np.sort(small, axis=None)
    ranks = np.searchsorted(ordered, small, "left") + np.searchsorted(ordered, small, "right")
    height = len(small)
    return float(ranks[height * 3 // 8 :].mean() - ranks[: height // 4].mean()) / (2 * small.size)


def _spots(grey: np.ndarray) -> float:
    """Return the logarithm of the ratio of bright to dark spots, by their squared contrast."""
    small = cv2.resize(grey, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (SPOT, SPOT))
    bright, dark = (
        float((cv2.morphologyEx(small, way, disc) ** 2).mean()) for way in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )
    return float(np.log((bright + 1e-3) / (dark + 1e-3)))
