"""Structural similarity and its windows, and the input checks of every comparison of single-channel images."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

C1, C2 = 0.01**2, 0.03**2


def ssim_map(x: Tensor, y: Tensor, window_size: int = 11, sigma: float = 1.5) -> Tensor:
    """Compare the local structure of two images.

    `SSIM = (2 μ_x μ_y + C1)(2 σ_xy + C2) / ((μ_x² + μ_y² + C1)(σ_x² + σ_y² + C2))`, `C1 = 0.01²`, `C2 = 0.03²`,
    moments under a Gaussian window that sums to 1.

    Args:
        x: Image (B, 1, H, W), [0, 1].
        y: Image, like `x`.
        window_size: Side of the window in pixels.
        sigma: Standard deviation of the window in pixels.

    Returns:
        SSIM of every window inside the image (B, 1, H - window_size + 1, W - window_size + 1), [-1, 1]; float32 for
        half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W), the shapes differ, or an image is smaller than the window; if
            `window_size` or `sigma` is not positive.

    Source:
        Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
        structural similarity", IEEE TIP 13 (2004), equation 13.

    Examples:
        >>> ssim_map(torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)).shape
        torch.Size([1, 1, 6, 6])
    """
    x, y = check_planes(x=x, y=y)
    if window_size < 1 or sigma <= 0:
        raise ValueError(f"window_size and sigma must be positive, got {window_size} and {sigma}")
    return ssim_of_moments(*window_means(x, y, x**2, y**2, x * y, window_size=window_size, sigma=sigma))


def ssim_of_moments(mean_x: Tensor, mean_y: Tensor, power_x: Tensor, power_y: Tensor, product: Tensor) -> Tensor:
    """Return SSIM from the raw moments of each window: the means of x, y, x², y² and xy, see :func:`ssim_map`."""
    means = 2 * mean_x * mean_y
    squares = mean_x**2 + mean_y**2
    return (means + C1) * (2 * product - means + C2) / ((squares + C1) * (power_x + power_y - squares + C2))


def window_means(*images: Tensor, window_size: int = 11, sigma: float = 1.5, stride: int = 1) -> tuple[Tensor, ...]:
    """Return the mean of each image under a Gaussian window, at every `stride`-th place inside the image."""
    stack = torch.stack([image[:, 0] for image in images], -1).permute(0, 3, 1, 2)  # channels-last, fastest on a CPU
    check_size(stack, window_size)
    offsets = torch.arange(window_size, dtype=stack.dtype, device=stack.device) - (window_size - 1) / 2
    window = torch.softmax(-0.5 * (offsets / sigma) ** 2, 0).expand(len(images), 1, window_size)
    with _full_precision(stack.device.type):
        means = F.conv2d(stack, window[:, :, None, :], stride=(1, stride), groups=len(images))
        means = F.conv2d(means, window[:, :, :, None], stride=(stride, 1), groups=len(images))
    return means.contiguous().split(1, 1)


def _full_precision(device: str) -> AbstractContextManager[None]:
    """Turn autocast off: variances are differences of nearly equal numbers, which half precision would lose."""
    if torch.amp.is_autocast_available(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def check_planes(**images: Tensor) -> tuple[Tensor, ...]:
    """Check that all images are floating point, (B, 1, H, W) and of one shape; return them, half precision as float32.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W), or the shapes differ.
    """
    reference, first = next(iter(images.items()))
    for name, image in images.items():
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = getattr(image, "dtype", type(image).__name__)
            raise TypeError(f"{name} must be a floating-point tensor in [0, 1], got {kind}")
        if image.ndim != 4 or image.shape[1] != 1:
            raise ValueError(f"{name} must be one channel (B, 1, H, W), got {tuple(image.shape)}")
        if image.shape != first.shape:
            raise ValueError(f"{name} {tuple(image.shape)} must have the shape of {reference} {tuple(first.shape)}")
    return tuple(single_precision(image) for image in images.values())


def single_precision(x: Tensor) -> Tensor:
    """Return float16 and bfloat16 tensors as float32, others unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def check_size(image: Tensor, least: int) -> None:
    """Raise a ValueError if a side of the image is below `least` pixels."""
    if min(image.shape[-2:]) < least:
        size = " x ".join(str(side) for side in image.shape[-2:])
        raise ValueError(f"images must be at least {least} x {least} pixels, got {size}")
