"""Metrics of pixel values: spread, slopes, correlation and difference.

Arguments, result and errors: see :mod:`metafusion_yolo.functional.metrics`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metafusion_yolo.functional.losses import NOTICEABLE
from metafusion_yolo.functional.metrics.images import checked


def standard_deviation(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure the contrast of the fused image (SD).

    `SD = sqrt(mean (F - mean F)²)`, on the scale of 8-bit images, as in papers.

    Returns:
        Standard deviation, grey levels of 255, [0, 127.5]; 0 for a blank image.

    Source:
        The standard deviation of a finite set of numbers, divided by their count.

    Examples:
        >>> half = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
        >>> standard_deviation(half, half, half).tolist()
        [127.5]
    """
    fused, _, _ = checked(fused, visible, infrared)
    return 255 * (fused - fused.mean((1, 2, 3), keepdim=True)).square().mean((1, 2, 3)).sqrt()


def spatial_frequency(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much the fused image changes from pixel to pixel (SF).

    `SF = sqrt(RF² + CF²)`, RF and CF the root mean squares of the differences between neighbours in a row and in a
    column, on the scale of 8-bit images. The mean is over the differences; the paper divides by the number of pixels.

    Returns:
        Spatial frequency, grey levels of 255 per pixel, [0, 361]; 0 for a blank image.

    Source:
        A. M. Eskicioglu, P. S. Fisher, "Image quality measures and their performance", IEEE Transactions on
        Communications 43 (1995).

    Examples:
        >>> stripes = torch.tensor([0.0, 1.0]).repeat(1, 1, 4, 2)
        >>> spatial_frequency(stripes, stripes, stripes).tolist()
        [255.0]
    """
    fused, _, _ = checked(fused, visible, infrared)
    differences = fused.diff(dim=3), fused.diff(dim=2)
    powers = [d.square().sum((1, 2, 3)) / max(d[0].numel() if len(d) else 1, 1) for d in differences]
    return 255 * (powers[0] + powers[1]).sqrt()


def average_gradient(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how steep the fused image is on average (AG).

    `AG = mean sqrt((F_x² + F_y²) / 2)`, F_x and F_y the differences to the next pixel in the row and in the column,
    over all pixels that have both, on the scale of 8-bit images.

    Images are at least 2 × 2 pixels.

    Returns:
        Average gradient, grey levels of 255 per pixel, [0, 255]; 0 for a blank image.

    Source:
        G. Cui, H. Feng, Z. Xu, Q. Li, Y. Chen, "Detail preserved fusion of visible and infrared images using regional
        saliency extraction and multi-scale image decomposition", Optics Communications 341 (2015).

    Examples:
        >>> ramp = torch.linspace(0, 1, 6).expand(1, 1, 6, 6)
        >>> round(average_gradient(ramp, ramp, ramp).item(), 3)  # 51 / sqrt 2
        36.062
    """
    fused, _, _ = checked(fused, visible, infrared, least=2)
    across, down = fused.diff(dim=3)[..., :-1, :], fused.diff(dim=2)[..., :-1]
    return 255 * ((across.square() + down.square()) / 2).sqrt().mean((1, 2, 3))


def correlation_coefficient(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how the fused image correlates with both sources (CC).

    `CC = (r(F, V) + r(F, I)) / 2`, r the correlation coefficient over the pixels, 0 where either image is blank.

    Returns:
        Correlation, no unit, [-1, 1].

    Source:
        M. Deshmukh, U. Bhosale, "Image fusion and image quality assessment of fused images", International Journal of
        Image Processing 4 (2010).

    Examples:
        >>> image = torch.rand(1, 1, 8, 8)
        >>> round(correlation_coefficient(image, image, image).item(), 4)
        1.0
    """
    fused, visible, infrared = checked(fused, visible, infrared)
    return (_correlation(fused, visible) + _correlation(fused, infrared)) / 2


def sum_of_correlations_of_differences(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure whether the fused image contains what each source adds to the other (SCD).

    `SCD = r(F - V, I) + r(F - I, V)`, r the signed correlation coefficient over the pixels (some scripts take its
    absolute value), 0 where either image is blank: its range is at most `NOTICEABLE`.

    Returns:
        SCD, no unit, [-2, 2]: 0 where the three images are the same, 2 where the fused image is the sum of both
        sources.

    Source:
        V. Aslantas, E. Bendes, "A new image quality metric for image fusion: The sum of the correlations of
        differences", AEU - International Journal of Electronics and Communications 69 (2015).

    Examples:
        >>> a, b = torch.rand(1, 1, 8, 8) / 2, torch.rand(1, 1, 8, 8) / 2
        >>> round(sum_of_correlations_of_differences(a + b, a, b).item(), 4)
        2.0
    """
    fused, visible, infrared = checked(fused, visible, infrared)
    return _correlation(fused - visible, infrared) + _correlation(fused - infrared, visible)


def mean_squared_error(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how far the fused image is from both sources (MSE).

    `MSE = (mean (F - V)² + mean (F - I)²) / 2`, of images in [0, 1]; on the scale of 8-bit images, 65025 times that.

    Returns:
        Error, no unit, [0, 1], less is better.

    Source:
        P. Jagalingam, A. V. Hegde, "A review of quality metrics for fused image", Aquatic Procedia 4 (2015).

    Examples:
        >>> black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> mean_squared_error(black, black, white).tolist()
        [0.5]
    """
    fused, visible, infrared = checked(fused, visible, infrared)
    return ((fused - visible).square() + (fused - infrared).square()).mean((1, 2, 3)) / 2


def peak_signal_to_noise_ratio(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Express MSE in decibels (PSNR).

    `PSNR = 10 log10(1 / MSE)` of :func:`mean_squared_error`, which averages over both sources; the error counts as at
    least 1e-10, so the ratio is finite. Scripts that average two ratios give more.

    Returns:
        Ratio, dB, [0, 100]; 100 where the three images are the same.

    Source:
        P. Jagalingam, A. V. Hegde, "A review of quality metrics for fused image", Aquatic Procedia 4 (2015).

    Examples:
        >>> black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(peak_signal_to_noise_ratio(black, black, white).item(), 2)
        3.01
    """
    return -10 * mean_squared_error(fused, visible, infrared).clamp(min=1e-10).log10()


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Return the correlation coefficient of each pair of images (B,), 0 where either is blank."""
    varies = torch.stack([image.amax((1, 2, 3)) - image.amin((1, 2, 3)) > NOTICEABLE for image in (x, y)]).all(0)
    x, y = (image - image.mean((2, 3), keepdim=True) for image in (x, y))
    product, power_x, power_y = ((a * b).sum((1, 2, 3)) for a, b in ((x, y), (x, x), (y, y)))
    return torch.where(varies, product / torch.where(varies, power_x * power_y, 1).sqrt(), 0)
