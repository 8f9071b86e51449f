"""Luminance and chroma of RGB images: full-range BT.601, in plain arithmetic that every exporter knows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rgb_to_luminance(rgb: Tensor) -> Tensor:
    """Return the brightness that fusion works on, `Y = 0.299 R + 0.587 G + 0.114 B`.

    Args:
        rgb: (B, 3, H, W), R, G, B in [0, 1].

    Returns:
        Luminance (B, 1, H, W), [0, 1] up to one rounding step.

    Raises:
        TypeError: If `rgb` is not floating point.
        ValueError: If `rgb` is not (B, 3, H, W).

    Source:
        Recommendation ITU-R BT.601-7, section 2.5.1, on the full range, without studio-level offsets.

    Examples:
        >>> rgb_to_luminance(torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)).item()  # pure green
        0.5870000123977661
    """
    _check(rgb, "rgb", channels=3)
    return 0.299 * rgb[:, 0:1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:3]


def replace_luminance(
    rgb: Tensor, luminance: Tensor, current: Tensor | None = None, chroma: Tensor | None = None
) -> Tensor:
    """Change the brightness of an image and keep its colours, or a share of them.

    `R' = Y' + c (R - Y)`, likewise G and B, clamped to [0, 1]. Cb and Cr are multiples of B - Y and R - Y, so they keep
    c of their values wherever nothing clips.

    Args:
        rgb: Image whose chroma is kept (B, 3, H, W), R, G, B in [0, 1].
        luminance: New luminance Y' (B, 1, H, W), [0, 1].
        current: Luminance Y of `rgb` if already known; None to compute it.
        chroma: Share c of the chroma that is kept, like `luminance`, [0, 1]; None for all of it.

    Returns:
        Image (B, 3, H, W), R, G, B in [0, 1].

    Raises:
        TypeError: If an image is not floating point.
        ValueError: If `rgb` is not (B, 3, H, W), or `luminance` is not one channel of the same size.

    Source:
        Definition of Cb and Cr in Recommendation ITU-R BT.601-7, section 2.5.1; the addition is its inverse.

    Examples:
        >>> grey = torch.full((1, 3, 1, 1), 0.25)
        >>> replace_luminance(grey, torch.full((1, 1, 1, 1), 0.75)).flatten().tolist()
        [0.75, 0.75, 0.75]
    """
    _check(luminance, "luminance", channels=1)
    current = rgb_to_luminance(rgb) if current is None else current
    if luminance.shape != current.shape:
        raise ValueError(f"luminance must have the size of rgb {tuple(rgb.shape)}, got {tuple(luminance.shape)}")
    if chroma is not None:
        rgb, current = chroma * rgb, chroma * current
    return F.hardtanh_(rgb + (luminance - current), 0.0, 1.0)  # a clamp whose gradient takes one pass over the image


def _check(image: Tensor, name: str, channels: int) -> None:
    """Check that `image` is floating point and (B, channels, H, W)."""
    if not torch.is_floating_point(image):
        raise TypeError(f"{name} must be floating point in [0, 1], got {image.dtype}; divide 8-bit images by 255")
    if image.ndim != 4 or image.shape[1] != channels:
        raise ValueError(f"{name} must be (B, {channels}, H, W), got {tuple(image.shape)}")
