"""Frames that hold both cameras: side by side, one above the other, or as the fourth channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.options import LAYOUTS
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest


def check_layout(layout: str) -> str:
    """Check the name of a layout, and return it.

    Raises:
        ValueError: If it is unknown.
    """
    if layout not in LAYOUTS:
        raise UserValueError(f"unknown layout '{layout}', {nearest(layout, LAYOUTS)}")
    return layout


def part_shape(shape: Sequence[int], layout: str | None) -> tuple[int, int]:
    """Return the (height, width) of each camera in an image of this shape (H, W, ...).

    Examples:
        >>> part_shape((480, 1280), "horizontal")
        (480, 640)
    """
    height, width = shape[:2]
    halved = (layout or "").partition("-")[0]
    return height // (2 if halved == "vertical" else 1), width // (2 if halved == "horizontal" else 1)


def split_layout(frame: np.ndarray, layout: str) -> tuple[np.ndarray, np.ndarray]:
    """Return views of the visible and the infrared part of a frame.

    Args:
        frame: (H, W) or (H, W, C) of any type.
        layout: "horizontal" (visible left), "vertical" (visible above), or either with "-infrared-first"; "stacked" for
            (H, W, 4), whose last channel is the infrared plane.

    Raises:
        ValueError: If the layout is unknown.
        PairError: If the frame does not have two equal halves, or four channels for "stacked".

    Examples:
        >>> visible, infrared = split_layout(np.array([[1, 2, 7, 8]]), "horizontal")
        >>> visible.tolist(), infrared.tolist()
        ([[1, 2]], [[7, 8]])
    """
    if check_layout(layout) == "stacked":
        if frame.ndim != 3 or frame.shape[2] != NUM_CHANNELS:
            raise PairError(f"layout=stacked needs {NUM_CHANNELS} channels, R, G, B, IR, but a frame is {frame.shape}")
        return frame[..., :3], frame[..., 3]
    axis = 1 if layout.startswith("horizontal") else 0
    if frame.shape[axis] % 2 or not frame.size:
        size, side = f"{frame.shape[1]}x{frame.shape[0]}", ("height", "width")[axis]
        raise PairError(f"layout={layout} needs two equal halves, but a frame of {size} has an odd {side}; crop it")
    first, second = np.split(frame, 2, axis)
    return (second, first) if layout.endswith("infrared-first") else (first, second)
