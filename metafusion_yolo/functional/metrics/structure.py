"""Metrics of structure: how well a person would recognise the sources in the fused image.

Arguments, result and errors: see :mod:`metafusion_yolo.functional.metrics`.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.metrics.images import checked
from metafusion_yolo.functional.ssim import C1, C2, ssim_map, window_means

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # fine to coarse; they sum to 1.0001, as published
WINDOW = 11
TINY = 1e-10  # variance up to this counts as 0
NOISE = 2 / 255**2  # noise variance of the visual system, for images in [0, 1]


def ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how similar the fused image is to both sources in local structure (SSIM).

    `(SSIM(F, V) + SSIM(F, I)) / 2`, each the mean of :func:`~metafusion_yolo.functional.ssim.ssim_map` over the windows
    inside the image. Some scripts give the sum over the sources, twice as much.

    Images are at least 11 × 11 pixels.

    Returns:
        Similarity, no unit, [-1, 1]; 1 only where all three images are the same.

    Source:
        Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
        structural similarity", IEEE TIP 13 (2004), equation 13, with their Gaussian window of 11 pixels.

    Examples:
        >>> image = torch.rand(2, 1, 16, 16)
        >>> ssim(image, image, image).tolist()
        [1.0, 1.0]
    """
    fused, visible, infrared = checked(fused, visible, infrared)
    return (ssim_map(fused, visible) + ssim_map(fused, infrared)).mean((1, 2, 3)) / 2


def multi_scale_ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure SSIM at five scales (MS-SSIM).

    `(MS(F, V) + MS(F, I)) / 2`, `MS = l_5^w_5 Π_k cs_k^w_k`: contrast and structure at every scale, luminance at the
    coarsest, each the mean over the windows inside the image and at least 0. Each scale halves the one before by 2 × 2
    means. Images below 176 × 176 pixels use as many scales as fit, with weights scaled to the same sum.

    Images are at least 11 × 11 pixels.

    Returns:
        Similarity, no unit, [0, 1]; 1 only where all three images are the same.

    Source:
        Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-scale structural similarity for image quality assessment",
        Asilomar Conference on Signals, Systems and Computers 2003, equation 7.

    Examples:
        >>> image = torch.rand(1, 1, 176, 176)
        >>> multi_scale_ssim(image, image, image).tolist()
        [1.0]
    """
    fused, visible, infrared = checked(fused, visible, infrared, least=WINDOW)
    return (_multi_scale(fused, visible) + _multi_scale(fused, infrared)) / 2


def visual_information_fidelity(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much of the visible information of the sources remains visible in the fused image (VIF).

    `VIF = VIFP(V, F) + VIFP(I, F)`, the sum over the sources, as in most fusion papers. VIFP is the pixel form, without
    wavelets: over four scales, `Σ log2(1 + g² σ_S² / (σ_v² + σ_n²)) / Σ log2(1 + σ_S² / σ_n²)`, g the slope of F over
    the source S in a Gaussian window, σ_v² the variance it leaves unexplained, σ_n² = 2 on the scale of 8-bit images.

    Images are at least 41 × 41 pixels.

    Returns:
        Fidelity, no unit, 0 or more: 2 where the three images are the same, more where contrast is enhanced; a blank
        source counts 0.

    Source:
        H. R. Sheikh, A. C. Bovik, "Image information and visual quality", IEEE TIP 15 (2006), and the authors' VIFP.

    Examples:
        >>> image = torch.rand(1, 1, 64, 64)
        >>> round(visual_information_fidelity(image, image, image).item(), 3)
        2.0
    """
    fused, visible, infrared = checked(fused, visible, infrared, least=41)
    return _fidelity(visible, fused) + _fidelity(infrared, fused)


def _multi_scale(x: Tensor, y: Tensor) -> Tensor:
    """Return the multi-scale SSIM of two images (B, 1, H, W), (B,)."""
    scales = 1
    while scales < len(SCALE_WEIGHTS) and min(x.shape[2:]) >> scales >= WINDOW:
        scales += 1
    whole = sum(SCALE_WEIGHTS) / sum(SCALE_WEIGHTS[:scales])
    value = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for scale, weight in enumerate(SCALE_WEIGHTS[:scales], start=1):
        luminance, contrast = _ssim_parts(x, y)
        term = luminance * contrast if scale == scales else contrast
        value = value * term.mean((1, 2, 3)).clamp(min=0) ** (weight * whole)
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return value


def _ssim_parts(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the SSIM terms of two images (B, 1, H, W) in every window: luminance, and contrast times structure."""
    mean_x, mean_y, power_x, power_y, product = window_means(x, y, x * x, y * y, x * y, window_size=WINDOW)
    squares = mean_x**2 + mean_y**2
    luminance = (2 * mean_x * mean_y + C1) / (squares + C1)
    return luminance, (2 * (product - mean_x * mean_y) + C2) / (power_x + power_y - squares + C2)


def _fidelity(source: Tensor, fused: Tensor) -> Tensor:
    """Return the VIFP (B,) of a fused image with respect to one source, each (B, 1, H, W)."""
    seen = present = torch.zeros(len(source), dtype=source.dtype, device=source.device)
    middle = source.mean((1, 2, 3), keepdim=True)  # leaves variances unchanged and lowers their rounding error
    x, y = source - middle, fused - middle
    for size in (17, 9, 5, 3):  # window size at each scale
        means = partial(window_means, window_size=size, sigma=size / 5)
        if size < 17:
            x, y = (mean[..., ::2, ::2] for mean in means(x, y))
        mean_x, mean_y, power_x, power_y, product = means(x, y, x * x, y * y, x * y)
        covariance = product - mean_x * mean_y
        variance_x, variance_y = (power_x - mean_x**2).clamp(min=0), (power_y - mean_y**2).clamp(min=0)
        related = (variance_x > TINY) & (variance_y > TINY) & (covariance > 0)
        slope = torch.where(related, covariance / (variance_x + TINY), 0)
        unexplained = (variance_y - slope * covariance).clamp(min=0)
        seen = seen + torch.log2(1 + slope**2 * variance_x / (unexplained + NOISE)).sum((1, 2, 3))
        present = present + torch.log2(1 + variance_x / NOISE).sum((1, 2, 3))
    return seen / present.where(present > 0, 1)
