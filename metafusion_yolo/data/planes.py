"""The planes of a pair: three of the visible camera, one of the infrared camera."""

from __future__ import annotations

import cv2
import numpy as np

PLANES = {"visible": slice(0, 3), "infrared": slice(3, 4)}  # of the channels R, G, B, IR


def split(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the visible (H, W, 3) and the infrared (H, W) image of a pair (H, W, 4) uint8.

    OpenCV copies channels several times faster than NumPy does, here and in :func:`join`.
    """
    return cv2.cvtColor(pair, cv2.COLOR_RGBA2RGB), cv2.extractChannel(pair, 3)


def join(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Return the pair (H, W, 4) of a visible (H, W, 3) and an infrared (H, W) image, uint8.

    Example:
        >>> join(np.zeros((2, 5, 3), np.uint8), np.ones((2, 5), np.uint8))[1, 4].tolist()
        [0, 0, 0, 1]
    """
    return cv2.merge([*cv2.split(visible), np.ascontiguousarray(infrared)])


def cameras_on(pair: np.ndarray) -> list[str]:
    """Return the cameras whose planes in a pair (H, W, 4) vary, sampled every 8 pixels as in the front-end."""
    varies = np.ptp(pair[::8, ::8], (0, 1))
    return [camera for camera, planes in PLANES.items() if varies[planes].any()]


def blank(pair: np.ndarray, camera: str) -> np.ndarray:
    """Return a copy of a pair (H, W, 4) with the planes of a camera ("visible" or "infrared") at 0."""
    pair = pair.copy()
    pair[..., PLANES[camera]] = 0
    return pair
