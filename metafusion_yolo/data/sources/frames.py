"""Frames of one or two cameras as a pair."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from metafusion_yolo.data.layout import split_layout
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import NO_TEMPERATURES, in_colours
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.steady import Steady
from metafusion_yolo.data.sync import Frames
from metafusion_yolo.data.temperatures import Thermogram


class FrameStacker:
    """Stack simultaneous frames to a pair, with one size for all pairs of a run; a missing camera is blank.

    Args:
        reader: Normalises, registers and stacks the frames.
        layout: Where the two cameras are in a frame that holds both; None if frames hold one.
        visible_name: Name of the visible camera, for the registration of its sequence and for errors.
        infrared_name: Name of the infrared camera; None if there is none.
        shape: (height, width) of the visible image; None for that of the first one or, if none has arrived when a pair
            is needed, that of the registration or the infrared image.
    """

    def __init__(
        self,
        reader: PairReader,
        layout: str | None,
        visible_name: str,
        infrared_name: str | None,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self.reader, self.layout = reader, layout
        self.visible_name, self.infrared_name = visible_name, infrared_name
        self.shape = None if layout else shape
        self.steady = Steady(reader.rig.thermal, infrared_name or visible_name)

    def set_limits(self, frames: Iterable[np.ndarray]) -> None:
        """Set the common limits of a sequence, if the rig asks for them.

        Args:
            frames: Frames (H, W, 3) of the camera that is, or contains, the infrared one.
        """
        halves = (split_layout(frame, self.layout)[1] if self.layout else frame for frame in frames)
        self.steady.begin(map(_grey, halves))

    def stack(self, frames: Frames) -> tuple[np.ndarray, Thermogram | None]:
        """Return the pair (H, W, 4) uint8, R, G, B, IR, of simultaneous frames, of which one may be missing.

        What the infrared camera measured comes with it; None if its counts have no unit.

        Raises:
            PairError: If the two images do not fit, or colours come where temperatures are measured.
        """
        visible, infrared = (frames[camera].image if camera in frames else None for camera in ("visible", "infrared"))
        if self.layout and visible is not None:
            visible, infrared = split_layout(visible, self.layout)
        if infrared is not None and self.reader.rig.thermal.unit and in_colours(infrared):
            raise PairError(f"'{self.infrared_name or self.visible_name}' {NO_TEMPERATURES}")
        counts = None if infrared is None else _grey(infrared)
        height, width = self._settle_shape(visible, counts)
        if visible is None:
            rgb = np.zeros((height, width, 3), np.uint8)
        else:
            rgb = cv2.cvtColor(np.ascontiguousarray(visible), cv2.COLOR_BGR2RGB)
            if rgb.shape[:2] != (height, width):  # the camera reconnected with another resolution
                rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        if counts is not None:
            counts = self.steady.see(counts)
        pair = self.reader.stack(rgb, counts, self.visible_name, self.infrared_name, self.steady.limits)
        return pair, self.reader.thermogram(counts, (width, height), self.visible_name)

    def _settle_shape(self, visible: np.ndarray | None, counts: np.ndarray | None) -> tuple[int, int]:
        """Return (height, width) of all pairs, as a written video has one size."""
        if self.shape is None:
            registration = self.reader.rig.registration
            if visible is None and registration and registration.visible:
                self.shape = registration.visible[::-1]
            else:
                height, width = (visible if visible is not None else counts).shape[:2]  # type: ignore[union-attr]
                self.shape = height, width
        return self.shape


def _grey(frame: np.ndarray) -> np.ndarray:
    """Return the luminance (H, W) of a frame (H, W, 3), B, G, R; one plane stays as it is."""
    if frame.ndim == 2:
        return frame
    return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_BGR2GRAY)
