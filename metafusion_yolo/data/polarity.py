"""Frames of a thermal camera that changes from white-hot to black-hot in a video; with NumPy and OpenCV only."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np

SIZE, FLIPPED = (32, 24), -0.7  # at which frames in a row are compared, and correlation from which one is the negative
LOGGER = logging.getLogger("ultralytics")  # the host's, which is not needed here


class Polarity:
    """Keep the polarity that the first frame of a video has.

    Examples:
        >>> frame = np.tile(np.arange(0, 250, 5, np.uint8), (40, 1))
        >>> polarity = Polarity()
        >>> [int(polarity.kept(one)[0, 0]) for one in (frame, 255 - frame, 255 - frame, frame)]
        [0, 0, 0, 0]
    """

    def __init__(self) -> None:
        self.turned = False
        self._last: np.ndarray | None = None

    def kept(self, frame: np.ndarray, name: str | Path | None = None) -> np.ndarray:
        """Return a frame (H, W) in the polarity of the first one; deeper frames measure, and stay as they are."""
        if frame.dtype != np.uint8:
            return frame
        small = cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        small /= max(float(np.linalg.norm(small)), 1e-6)
        if self._last is not None and float((small * self._last).sum()) < FLIPPED:
            self.turned = not self.turned
            LOGGER.warning(f"the polarity of '{name}' has changed; its frames are turned back")
        self._last = small
        return 255 - frame if self.turned else frame
