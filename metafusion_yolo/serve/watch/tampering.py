"""Whether a camera is covered, turned away or out of focus: does it still show its usual edges?"""

from __future__ import annotations

import math

import cv2
import numpy as np

SIZE = (80, 60)  # at which images are looked at, pixels
SLOW = 60.0  # seconds in which a camera gets used to a change
LEARNED = 10.0  # seconds before which nothing is known
STRANGE, FAMILIAR = 0.3, 0.5  # likeness below which a view is strange, and above which it is the known one again
SURE = 0.6  # likeness that was usual: a view that was mostly noise, as at night, cannot become strange
RESIGNED = 600.0  # seconds after which a changed view is the new one


class Familiar:
    """The usual view of a camera, as the slow mean of its edges.

    The likeness of an image is the share of the usual edges that it has: near 1 usually, near 0 where it is covered,
    dark at once, turned away, or blurred.
    """

    def __init__(self) -> None:
        self._edges: np.ndarray | None = None
        self._usual = 1.0
        self._began = self._last = 0.0
        self._held: float | None = None

    def strange(self, image: np.ndarray, now: float) -> bool:
        """Add an image (H, W) or (H, W, 3) uint8; return whether it differs from the usual view."""
        small = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
        grey = cv2.GaussianBlur(small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (3, 3), 0)
        edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        edges -= edges.mean()
        if self._held is not None and now - self._held > RESIGNED:
            self._edges = self._held = None
        if self._edges is None:
            self._edges, self._usual, self._began, self._last = edges, 1.0, now, now
            return False
        likeness = float((edges * self._edges).sum() / max(float((self._edges**2).sum()), 1e-6))
        if self._held is not None:
            return likeness < FAMILIAR
        step = now - self._last
        weight = 1 - math.exp(-step / min(SLOW, max(now - self._began, step, 1e-6)))  # a plain mean at first
        self._last = now
        if likeness < STRANGE and self._usual > SURE and now - self._began > LEARNED:
            return True
        self._edges += weight * (edges - self._edges)
        self._usual += weight * (likeness - self._usual)
        return False

    def hold(self, held: bool, now: float) -> None:
        """Keep what is known while the view is strange, and no longer."""
        self._held = now if held else None
        self._last = now
