"""Frames of a thermal video or live camera, whose grey must not flicker; with NumPy and OpenCV only."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from metafusion_yolo.data.polarity import is_black_hot, turned_note
from metafusion_yolo.data.thermal import Limits, Thermal, turned
from metafusion_yolo.support.words import without_passwords

SIZE = 32, 24  # at which frames in a row are compared
FLIPPED = -0.9  # correlation of two of them below which one is the negative of the other
LOGGER = logging.getLogger("ultralytics")  # the host's, which is not needed here


class Steady:
    """Keep gain and polarity of a thermal video: limits that follow the scene, and the polarity of the first frame.

    Attributes:
        limits: Counts that become black and white in the current frame; None where each has its own.

    Args:
        thermal: How counts become grey; its scope "auto" is "follow" here. With its invert "auto", the whole video is
            turned if it is black-hot; with False a warning says so.
        name: The video or camera, for messages.

    Examples:
        >>> frame = np.tile(np.arange(0, 250, 5, np.uint8), (40, 1))
        >>> steady = Steady(Thermal())
        >>> [int(steady.see(one)[0, 0]) for one in (frame, 255 - frame, 255 - frame, frame)]
        [0, 0, 0, 0]
    """

    def __init__(self, thermal: Thermal, name: str = "") -> None:
        self.limits: Limits | None = None
        self._thermal, self._name = thermal.over("follow"), without_passwords(name)
        self._judged = bool(thermal.unit) or thermal.invert not in (False, "auto")
        self._turned = False
        self._last: np.ndarray | None = None

    def begin(self, frames: Iterable[np.ndarray]) -> None:
        """Find limits and polarity of a whole sequence from some of its frames (H, W).

        Without this they are those of the first frame, as of a live camera, whose later frames are unknown.
        """
        if self._thermal.scope != "sequence" and self._thermal.invert != "auto":
            return
        some = [*frames]
        self._judge(some)
        if self._thermal.scope == "sequence":
            self.limits = self._thermal.limits_of(map(self._shown, some))

    def see(self, counts: np.ndarray) -> np.ndarray:
        """Return the next frame (H, W) in the polarity of the first one, or white-hot, and set its limits.

        Frames deeper than 8 bits are measurements, whose polarity does not change.
        """
        self._judge([counts])
        if self.limits is None:
            self.begin([counts])
        counts = self._kept(counts) if counts.dtype == np.uint8 else counts
        self.limits = self._thermal.follow(self.limits, counts)
        return counts

    def _judge(self, frames: Sequence[np.ndarray]) -> None:
        """Find out once, by the first frames that show something, whether the sequence is black-hot."""
        if self._judged:
            return
        found = is_black_hot(frames)
        self._judged = found is not None
        if not found:
            return
        self._turned = self._thermal.invert == "auto"
        if self._turned:
            LOGGER.info(turned_note(self._name))
        else:
            LOGGER.warning(f"infrared of '{self._name}' looks black-hot; if so, set 'thermal: {{invert: true}}'")

    def _shown(self, frame: np.ndarray) -> np.ndarray:
        """Return a frame in the polarity that is kept."""
        return turned(frame) if self._turned and frame.dtype == np.uint8 else frame

    def _kept(self, frame: np.ndarray) -> np.ndarray:
        small = cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        if not small.any():  # a shutter: what was before it is compared with what comes after
            return self._shown(frame)
        small /= float(np.linalg.norm(small))
        if self._last is not None and float((small * self._last).sum()) < FLIPPED:
            self._turned = not self._turned
            LOGGER.warning(f"the polarity of '{self._name}' has changed; its frames are inverted to match")
        self._last = small
        return self._shown(frame)
