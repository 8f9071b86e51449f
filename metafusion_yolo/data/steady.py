"""Frames of a thermal video or live camera, whose grey must not flicker; with NumPy and OpenCV only."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import cv2
import numpy as np

from metafusion_yolo.data.thermal import Limits, Thermal

SIZE = 32, 24  # at which frames in a row are compared
FLIPPED = -0.9  # correlation of two of them below which one is the negative of the other
LOGGER = logging.getLogger("ultralytics")  # the host's, which is not needed here


class Steady:
    """Keep gain and polarity of a thermal video: limits that follow the scene, and the polarity of the first frame.

    Attributes:
        limits: Counts that become black and white in the current frame; None where each has its own.

    Args:
        thermal: How counts become grey; its scope "auto" is "follow" here.
        name: The video or camera, for the message that its polarity has changed.

    Examples:
        >>> frame = np.tile(np.arange(0, 250, 5, np.uint8), (40, 1))
        >>> steady = Steady(Thermal())
        >>> [int(steady.see(one)[0, 0]) for one in (frame, 255 - frame, 255 - frame, frame)]
        [0, 0, 0, 0]
    """

    def __init__(self, thermal: Thermal, name: str = "") -> None:
        self.limits: Limits | None = None
        self._thermal, self._name = thermal.over("follow"), name
        self._turned = False
        self._last: np.ndarray | None = None

    def begin(self, frames: Iterable[np.ndarray]) -> None:
        """Take the limits of a whole sequence from some of its frames (H, W), under the scope "sequence" alone.

        Without this they are those of the first frame, as of a live camera, whose later frames are unknown.
        """
        if self._thermal.scope == "sequence":
            self.limits = self._thermal.limits_of(frames)

    def see(self, counts: np.ndarray) -> np.ndarray:
        """Return the next frame (H, W) in the polarity of the first one, and set its limits.

        Frames deeper than 8 bits are measurements, whose polarity does not change.
        """
        if self.limits is None:
            self.begin([counts])
        counts = self._kept(counts) if counts.dtype == np.uint8 else counts
        self.limits = self._thermal.follow(self.limits, counts)
        return counts

    def _kept(self, frame: np.ndarray) -> np.ndarray:
        small = cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        small /= max(float(np.linalg.norm(small)), 1e-6)
        if self._last is not None and float((small * self._last).sum()) < FLIPPED:
            self._turned = not self._turned
            LOGGER.warning(f"the polarity of '{self._name}' has changed; its frames are turned back")
        self._last = small
        return 255 - frame if self._turned else frame
