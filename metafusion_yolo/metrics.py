"""Fusion quality: how much do the two sources leave in the fused image?

Every metric looks at a batch of single-channel images (B, 1, H, W) in [0, 1] and returns one value an image, (B,). More
counts as better in all of them. None is NaN for a blank image: each says what it is then. Published scripts disagree,
so each states the definition that it follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.losses import NOTICEABLE, _check, _check_size, ssim_map

ROUNDING = 1e-6  # slope per pixel: twenty roundings in single precision, a 500th of the least slope of an 8-bit image


def entropy(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much information the grey levels of the fused image carry (EN).

    `EN = -Σ_l p(l) log2 p(l)`, p(l) the share of pixels at level l of 256, to which the image is rounded.

    Args:
        fused: Fused luminance F (B, 1, H, W), [0, 1].
        visible: Luminance V of the visible image, like `fused`. Only checked: EN looks at the fused image alone.
        infrared: Infrared image I, like `visible`.

    Returns:
        Entropy of each image (B,), bits, [0, 8], 0 for a blank one; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W) in [0, 1], or the shapes differ.

    Source:
        J. W. Roberts, J. van Aardt, F. Ahmed, "Assessment of image fusion procedures using entropy, image quality, and
        multispectral classification", Journal of Applied Remote Sensing 2 (2008), after C. E. Shannon (1948).

    Example:
        >>> half = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
        >>> entropy(half, half, half).tolist()  # black or white, evenly
        [1.0]
    """
    fused, _, _ = _checked(fused, visible, infrared)
    levels = (fused * 255).round().long().flatten(1)
    first = 256 * torch.arange(len(levels), device=levels.device)
    counts = torch.bincount((levels + first[:, None]).flatten(), minlength=256 * len(levels)).view(-1, 256)
    return torch.special.entr(counts.to(fused.dtype) / levels.shape[1]).sum(1) / math.log(2)


def ssim(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how similar the fused image is to both sources in local structure (SSIM).

    `(SSIM(F, V) + SSIM(F, I)) / 2`, each the mean of :func:`~metafusion_yolo.losses.ssim_map` over the windows inside
    the image. This is the mean over the sources; some scripts give their sum, twice as much.

    Args:
        fused: Fused luminance F (B, 1, H, W), [0, 1]; H and W at least 11.
        visible: Luminance V of the visible image, like `fused`.
        infrared: Infrared image I, like `fused`.

    Returns:
        Similarity of each image (B,), no unit, [-1, 1]; 1 only where all three images are the same; float32 for
        half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W) in [0, 1], the shapes differ, or an image is smaller than 11 × 11.

    Source:
        Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
        structural similarity", IEEE TIP 13 (2004), equation 13, with their Gaussian window of 11 pixels.

    Example:
        >>> image = torch.rand(2, 1, 16, 16)
        >>> ssim(image, image, image).tolist()
        [1.0, 1.0]
    """
    fused, visible, infrared = _checked(fused, visible, infrared)
    return (ssim_map(fused, visible) + ssim_map(fused, infrared)).mean((1, 2, 3)) / 2


def sum_of_correlations_of_differences(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure whether what each source adds to the other is in the fused image (SCD).

    `SCD = r(F - V, I) + r(F - I, V)`, r the correlation coefficient over the pixels of an image, with its sign (some
    scripts take its absolute value), and 0 where either side is blank: varies by at most `NOTICEABLE` from end to end.

    Args:
        fused: Fused luminance F (B, 1, H, W), [0, 1].
        visible: Luminance V of the visible image, like `fused`.
        infrared: Infrared image I, like `fused`.

    Returns:
        SCD of each image (B,), no unit, [-2, 2]; 0 where the three images are the same, 2 where the fused image is the
        sum of both sources; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W) in [0, 1], or the shapes differ.

    Source:
        V. Aslantas, E. Bendes, "A new image quality metric for image fusion: The sum of the correlations of
        differences", AEU - International Journal of Electronics and Communications 69 (2015).

    Example:
        >>> a, b = torch.rand(1, 1, 8, 8) / 2, torch.rand(1, 1, 8, 8) / 2
        >>> round(sum_of_correlations_of_differences(a + b, a, b).item(), 4)
        2.0
    """
    fused, visible, infrared = _checked(fused, visible, infrared)
    return _correlation(fused - visible, infrared) + _correlation(fused - infrared, visible)


def gradient_preservation(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how many of the sources' edges are in the fused image, in strength and orientation (Qabf).

    `Q = Σ (Q_VF g_V + Q_IF g_I) / Σ (g_V + g_I)` over the pixels; for each source S, V and I,
    `Q_SF = Γ_g / (1 + exp(κ_g (G - σ_g))) · Γ_α / (1 + exp(κ_α (A - σ_α)))`,
    `G = min(g_S, g_F) / max(g_S, g_F)`, `A = 1 - |α_S - α_F| / (π / 2)`. Strength `g = sqrt(s_x² + s_y²)` and angle
    `α = atan(s_y / s_x)`, π/2 where s_x is 0, come from the slopes s_x (right) and s_y (up) by the Sobel operator.
    As published, `Γ_g, κ_g, σ_g = 0.9994, -15, 0.5`, `Γ_α, κ_α, σ_α = 0.9879, -22, 0.8`, and weights g^L have L = 1.

    Where published scripts disagree:

    - *Range of values*: without effect, as G, A and the shares of the weights are ratios. Scripts that set G to g_F
      where g_S equals it depend on the range; here G is 1 there, as the formula has it.
    - *Border*: slopes are taken where the operator lies inside the image. Scripts that pad with zeros count the frame
      as an edge, which every fusion keeps.
    - *Orientation*: α is the angle of the paper, in (-π/2, π/2], so A may be as low as -1. Scripts that take the angle
      between edges modulo π give more.

    Args:
        fused: Fused luminance F (B, 1, H, W), [0, 1]; H and W at least 3.
        visible: Luminance V of the visible image, like `fused`.
        infrared: Infrared image I, like `fused`.

    Returns:
        Preserved share of the edges of each image (B,), no unit, [0, 0.975], the most where all three images are the
        same; 0 where neither source has an edge; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W) in [0, 1], the shapes differ, or an image is smaller than 3 × 3.

    Source:
        C. S. Xydeas, V. Petrović, "Objective image fusion performance measure", Electronics Letters 36 (2000).

    Example:
        >>> image = torch.rand(1, 1, 8, 8)
        >>> round(gradient_preservation(image, image, image).item(), 4)
        0.9748
    """
    fused, visible, infrared = _checked(fused, visible, infrared, least=3)
    strength_f, angle_f = _edges(fused)
    kept = weight = torch.zeros_like(strength_f)
    for source in (visible, infrared):
        strength, angle = _edges(source)
        larger = torch.maximum(strength, strength_f)
        ratio = torch.minimum(strength, strength_f) / torch.where(larger > 0, larger, 1)
        alignment = 1 - (angle - angle_f).abs() / (math.pi / 2)
        preserved = 0.9994 * torch.sigmoid(15 * (ratio - 0.5)) * 0.9879 * torch.sigmoid(22 * (alignment - 0.8))
        kept, weight = kept + preserved * strength, weight + strength
    total = weight.sum((1, 2, 3))
    return kept.sum((1, 2, 3)) / torch.where(total > 0, total, 1)


Metric = Callable[[Tensor, Tensor, Tensor], Tensor]

METRICS: dict[str, Metric] = {
    "EN": entropy,
    "SSIM": ssim,
    "SCD": sum_of_correlations_of_differences,
    "Qabf": gradient_preservation,
}


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation coefficient of each pair of images (B,), 0 where either is blank."""
    varies = torch.stack([image.amax((1, 2, 3)) - image.amin((1, 2, 3)) > NOTICEABLE for image in (x, y)]).all(0)
    x, y = (image - image.mean((2, 3), keepdim=True) for image in (x, y))
    product, power_x, power_y = ((a * b).sum((1, 2, 3)) for a, b in ((x, y), (x, x), (y, y)))
    return torch.where(varies, product / torch.where(varies, power_x * power_y, 1).sqrt(), 0)


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return strength g and orientation α of the edges of an image, each (B, 1, H - 2, W - 2).

    The slopes are those of :func:`~metafusion_yolo.losses.sobel_magnitude`, with their signs. Slopes up to `ROUNDING`
    are 0, as they are in whole numbers: the sign of a rounding error would turn a vertical slope upside down.
    """
    right = image[..., 2:] - image[..., :-2]
    up = image[..., :-2, :] - image[..., 2:, :]
    right = F.hardshrink((right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]) / 8, ROUNDING)
    up = F.hardshrink((up[..., :-2] + 2 * up[..., 1:-1] + up[..., 2:]) / 8, ROUNDING)
    return torch.hypot(right, up), torch.where(right == 0, math.pi / 2, torch.atan(up / right))


def _checked(fused: Tensor, visible: Tensor, infrared: Tensor, least: int = 1) -> tuple[Tensor, ...]:
    """Return the images, half precision raised to single, or raise unless they fit together and lie in [0, 1]."""
    names = ("fused", "visible", "infrared")
    images = _check(**dict(zip(names, (fused, visible, infrared), strict=True)))
    _check_size(images[0], least)
    for name, image in zip(names, images, strict=True):
        low, high = (float(value) for value in image.aminmax()) if len(image) else (0.0, 1.0)
        if not (low >= -NOTICEABLE and high <= 1 + NOTICEABLE):  # NaN included
            raise ValueError(f"{name} must lie in [0, 1], got {low:.3g} to {high:.3g}; divide 8-bit images by 255")
    return images
