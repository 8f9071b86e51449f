"""Composed pictures: views side by side under captions, and the weight map over the image with its legend."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

COLORS = cv2.COLORMAP_VIRIDIS  # dark: visible camera, bright: infrared; readable without colour vision
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, PAPER = (32, 32, 32), 255


def side_by_side(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Put pictures (H, W, 3) uint8 of one size in a row, each under its title: (H + bar, n · (W + 4) - 4, 3)."""
    gap = np.full((1, 4, 3), PAPER, np.uint8)
    columns = []
    for title, picture in pictures.items():
        column = np.vstack((text_bar(title, picture.shape), picture))
        columns += [np.broadcast_to(gap, (column.shape[0], 4, 3)), column]
    return np.hstack(columns[1:])


def text_bar(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a white bar (h, W, 3) uint8 with a text sized for a picture of shape (H, W, ...)."""
    height = bar_height(shape)
    bar = np.full((height, shape[1], 3), PAPER, np.uint8)
    write_text(bar, text, left=height // 4, width=shape[1] - height // 2)
    return bar


def bar_height(shape: tuple[int, ...]) -> int:
    """Return the height of a bar for a picture of shape (H, W, ...): 5 % of its longer side, at least 16 pixels."""
    return max(16, round(0.05 * max(shape[:2])))


def write_text(bar: np.ndarray, text: str, left: int, width: int, flush_right: bool = False) -> None:
    """Write a text into a bar (h, W, 3), centred in height, between the columns `left` and `left + width`."""
    height = bar.shape[0]
    thickness = max(1, height // 24)
    (natural_width, natural_height), _ = cv2.getTextSize(text, FONT, 1.0, thickness)
    scale = min(0.5 * height / natural_height, max(width, 1) / natural_width)
    baseline = (height + round(natural_height * scale)) // 2
    left += flush_right * (width - round(natural_width * scale))
    cv2.putText(bar, text, (left, baseline), FONT, scale, INK, thickness, cv2.LINE_AA)


def weight_overlay(image: np.ndarray, infrared_weight: np.ndarray) -> np.ndarray:
    """Colour an image by how much of it came from the infrared camera.

    Args:
        image: Fused image (H, W, 3) uint8, B, G, R.
        infrared_weight: Share of the infrared camera (H, W), [0, 1].

    Returns:
        (H, W, 3) uint8, B, G, R.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    colors = cv2.applyColorMap((infrared_weight * 255).round().astype(np.uint8), COLORS)
    return cv2.addWeighted(grey, 0.5, colors, 0.5, 0)


def with_legend(overlay: np.ndarray) -> np.ndarray:
    """Add a colour bar below a weight overlay (H, W, 3) uint8, to show which colour stands for which camera."""
    height, width = bar_height(overlay.shape), overlay.shape[1]
    bar = np.full((height, width, 3), PAPER, np.uint8)
    third = width // 3
    ramp = cv2.applyColorMap(np.linspace(0, 255, third).round().astype(np.uint8)[None], COLORS)
    bar[height // 4 : height - height // 4, third : 2 * third] = ramp
    margin = height // 4
    write_text(bar, "visible 100 %", left=margin, width=third - 2 * margin, flush_right=True)
    write_text(bar, "infrared 100 %", left=2 * third + margin, width=third - 2 * margin)
    return np.vstack((overlay, bar))


def to_uint8(image: Tensor) -> np.ndarray:
    """Return an image, or a batch of them, as OpenCV and Pillow hold it.

    Args:
        image: (..., C, H, W) in [0, 1]; what lies outside is clipped.

    Returns:
        (..., H, W, C) uint8, rounded to the nearest level.

    Example:
        >>> to_uint8(Tensor([-0.1, 0.5, 1.0]).view(3, 1, 1)).tolist()
        [[[0, 128, 255]]]
    """
    return np.asarray((image.detach().float().clamp(0, 1) * 255).round().byte().movedim(-3, -1).cpu().numpy())
