"""Metrics of information: how much the grey levels of the fused image carry, alone and from the sources.

Arguments, result and errors: see :mod:`metafusion_yolo.functional.metrics`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metafusion_yolo.functional.losses import NOTICEABLE, sobel_magnitude
from metafusion_yolo.functional.metrics.images import checked

LEVELS = 256
TIE = 4e-7  # edges of 8-bit images may lie halfway between two levels: take the upper one despite rounding errors


def entropy(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much information the grey levels of the fused image carry (EN).

    `EN = -Σ_l p(l) log2 p(l)`, p(l) the share of pixels at level l, after rounding the image to 256 levels.

    Returns:
        Entropy, bits, [0, 8]; 0 for a blank image.

    Source:
        J. W. Roberts, J. van Aardt, F. Ahmed, "Assessment of image fusion procedures using entropy, image quality, and
        multispectral classification", Journal of Applied Remote Sensing 2 (2008), after C. E. Shannon (1948).

    Examples:
        >>> half = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
        >>> entropy(half, half, half).tolist()  # black or white, evenly
        [1.0]
    """
    fused, _, _ = checked(fused, visible, infrared)
    return _entropy(_levels(fused), LEVELS).to(fused.dtype)


def mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much of the information of both sources is in the fused image (MI).

    `MI = MI(F, V) + MI(F, I)`, the sum over the sources; `MI(X, Y) = H(X) + H(Y) - H(X, Y)` from the histograms of the
    images rounded to 256 levels. Scripts differ in the base of the logarithm (here 2) and in taking sum or mean.

    Returns:
        Mutual information, bits, [0, 16].

    Source:
        G. Qu, D. Zhang, P. Yan, "Information measure for performance of image fusion", Electronics Letters 38 (2002).

    Examples:
        >>> half = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
        >>> mutual_information(half, half, half).tolist()
        [2.0]
    """
    images = checked(fused, visible, infrared)
    levels = [_levels(image) for image in images]
    shared, _ = zip(*(_shared(levels[0], source) for source in levels[1:]), strict=True)
    return sum(shared, torch.zeros_like(shared[0])).to(images[0].dtype)


def normalized_mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure MI as a share of the information present (NMI).

    `NMI = 2 (MI(F, V) / (H(F) + H(V)) + MI(F, I) / (H(F) + H(I)))`; a source without information adds 0.

    Returns:
        Normalised mutual information, no unit, [0, 2].

    Source:
        M. Hossny, S. Nahavandi, D. Creighton, "Comments on 'Information measure for performance of image fusion'",
        Electronics Letters 44 (2008).

    Examples:
        >>> image = torch.rand(1, 1, 16, 16)
        >>> round(normalized_mutual_information(image, image, image).item(), 4)
        2.0
    """
    images = checked(fused, visible, infrared)
    levels = [_levels(image) for image in images]
    return _shares(levels).to(images[0].dtype)


def feature_mutual_information(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much information the edges of the fused image share with those of both sources (FMI).

    `FMI = MI(∇F, ∇V) / (H(∇F) + H(∇V)) + MI(∇F, ∇I) / (H(∇F) + H(∇I))`, ∇ the Sobel edge strength relative to the
    strongest edge of the image, at 256 levels. Histograms cover the whole image; the authors' code estimates the joint
    one within 3 × 3 windows from a model, and gives other values.

    Images are at least 3 × 3 pixels.

    Returns:
        Feature mutual information, no unit, [0, 1].

    Source:
        M. B. A. Haghighat, A. Aghagolzadeh, H. Seyedarabi, "A non-reference image fusion metric based on mutual
        information of image features", Computers and Electrical Engineering 37 (2011), equation 7.

    Examples:
        >>> image = torch.rand(1, 1, 16, 16)
        >>> round(feature_mutual_information(image, image, image).item(), 4)
        1.0
    """
    images = checked(fused, visible, infrared, least=3)
    edges = [sobel_magnitude(image) for image in images]
    strongest = [edge.amax((1, 2, 3), keepdim=True).clamp(min=NOTICEABLE) for edge in edges]
    levels = [_levels(edge / most + TIE) for edge, most in zip(edges, strongest, strict=True)]
    return (_shares(levels) / 2).to(images[0].dtype)


def _levels(image: Tensor) -> Tensor:
    """Return the grey levels (B, N), whole numbers 0 to 255, of images in [0, 1]."""
    return (image * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1).flatten(1)


def _entropy(levels: Tensor, count: int) -> Tensor:
    """Return the entropy (B,) of whole numbers (B, N) below `count`, bits, float64."""
    first = count * torch.arange(len(levels), device=levels.device)
    counts = torch.bincount((levels + first[:, None]).flatten(), minlength=count * len(levels)).view(-1, count)
    precision = torch.float32 if levels.device.type == "mps" else torch.float64
    return torch.special.entr(counts.to(precision) / levels.shape[1]).sum(1) / math.log(2)


def _shared(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mutual information of two images of levels (B, N) and the sum of their entropies, each (B,), bits."""
    total = _entropy(x, LEVELS) + _entropy(y, LEVELS)
    return (total - _entropy(LEVELS * x + y, LEVELS**2)).clamp(min=0), total


def _shares(levels: list[Tensor]) -> Tensor:
    """Return `2 Σ MI(F, S) / (H(F) + H(S))` of the levels of the fused image and of both sources."""
    shares = [2 * shared / total.where(total > 0, 1) for shared, total in (_shared(levels[0], s) for s in levels[1:])]
    return shares[0] + shares[1]
