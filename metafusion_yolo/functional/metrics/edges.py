"""Metrics of edges: how many of the sources' are kept, and how many are new."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.metrics.images import checked

ROUNDING = 1e-6  # slope per pixel: twenty roundings in single precision, a 500th of the least slope of an 8-bit image


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
    edges = [_edges(image) for image in checked(fused, visible, infrared, least=3)]
    kept = [_preserved(source, edges[0]) * source[0] for source in edges[1:]]
    return _share(kept[0] + kept[1], edges)


def fusion_artifacts(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how much of the edges in the fused image is in neither source (Nabf).

    `N = Σ a ((1 - Q_VF) g_V + (1 - Q_IF) g_I) / Σ (g_V + g_I)` over the pixels, where `a` is 1 if the edge is stronger
    in the fused image than in both sources, by more than rounding, else 0; g and Q are those of
    :func:`gradient_preservation`. Scripts that follow later changes of the measure (other thresholds and exponents of
    the weights) give other values.

    Args:
        fused: Fused luminance F (B, 1, H, W), [0, 1]; H and W at least 3.
        visible: Luminance V of the visible image, like `fused`.
        infrared: Infrared image I, like `fused`.

    Returns:
        Share of artifacts in the edges of each image (B,), no unit, [0, 1], less is better; 0 where neither source has
        an edge; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W) in [0, 1], the shapes differ, or an image is smaller than 3 × 3.

    Source:
        V. Petrović, C. Xydeas, "Objective image fusion performance characterisation", ICCV 2005.

    Example:
        >>> image = torch.rand(1, 1, 8, 8)
        >>> fusion_artifacts(image, image, image).item()
        0.0
    """
    edges = [_edges(image) for image in checked(fused, visible, infrared, least=3)]
    new = (edges[0][0] > torch.maximum(edges[1][0], edges[2][0]) + ROUNDING).to(edges[0][0].dtype)
    foreign = [new * (1 - _preserved(source, edges[0])) * source[0] for source in edges[1:]]
    return _share(foreign[0] + foreign[1], edges)


def _preserved(source: tuple[Tensor, Tensor], fused: tuple[Tensor, Tensor]) -> Tensor:
    """Return Q_SF of every pixel for the strengths and angles of a source S and of the fused image F."""
    larger = torch.maximum(source[0], fused[0])
    ratio = torch.minimum(source[0], fused[0]) / torch.where(larger > 0, larger, 1)
    alignment = 1 - (source[1] - fused[1]).abs() / (math.pi / 2)
    return 0.9994 * torch.sigmoid(15 * (ratio - 0.5)) * 0.9879 * torch.sigmoid(22 * (alignment - 0.8))


def _share(part: Tensor, edges: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the share that a part has in the strength of the edges of both sources, 0 where there are none."""
    total = (edges[1][0] + edges[2][0]).sum((1, 2, 3))
    return part.sum((1, 2, 3)) / torch.where(total > 0, total, 1)


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return strength g and orientation α of the edges of an image, each (B, 1, H - 2, W - 2).

    The slopes are those of :func:`~metafusion_yolo.functional.losses.sobel_magnitude`, with their signs. Slopes up to
    `ROUNDING` are 0, as they are in whole numbers: the sign of a rounding error would turn a vertical slope upside
    down.
    """
    right = image[..., 2:] - image[..., :-2]
    up = image[..., :-2, :] - image[..., 2:, :]
    right = F.hardshrink((right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]) / 8, ROUNDING)
    up = F.hardshrink((up[..., :-2] + 2 * up[..., 1:-1] + up[..., 2:]) / 8, ROUNDING)
    return torch.hypot(right, up), torch.where(right == 0, math.pi / 2, torch.atan(up / right))
