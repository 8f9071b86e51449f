"""Input check shared by the fusion metrics."""

from __future__ import annotations

from torch import Tensor

from metafusion_yolo.functional.losses import NOTICEABLE
from metafusion_yolo.functional.ssim import check_planes, check_size


def checked(fused: Tensor, visible: Tensor, infrared: Tensor, least: int = 1) -> tuple[Tensor, ...]:
    """Check the contract of :mod:`metafusion_yolo.functional.metrics`, and return the images, float16 as float32."""
    names = ("fused", "visible", "infrared")
    images = check_planes(**dict(zip(names, (fused, visible, infrared), strict=True)))
    check_size(images[0], least)
    for name, image in zip(names, images, strict=True):
        low, high = (float(value) for value in image.aminmax()) if len(image) else (0.0, 1.0)
        if not (low >= -NOTICEABLE and high <= 1 + NOTICEABLE):  # NaN included
            raise ValueError(f"{name} must lie in [0, 1], got {low:.3g} to {high:.3g}; divide 8-bit images by 255")
    return images
