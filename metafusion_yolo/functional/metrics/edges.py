"""Metrics of edges: how many of the sources' are kept, and how many are new.

Arguments, result and errors: see :mod:`metafusion_yolo.functional.metrics`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.metrics.images import checked

ROUNDING = 1e-6  # slope per pixel: twenty float32 rounding steps, 1/500 of the smallest slope of an 8-bit image


def gradient_preservation(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure how many of the sources' edges are in the fused image, in strength and orientation (Qabf).

    `Q = Σ (Q_VF g_V + Q_IF g_I) / Σ (g_V + g_I)` over the pixels; for each source S, V and I,
    `Q_SF = Γ_g / (1 + exp(κ_g (G - σ_g))) · Γ_α / (1 + exp(κ_α (A - σ_α)))`,
    `G = min(g_S, g_F) / max(g_S, g_F)`, `A = 1 - |α_S - α_F| / (π / 2)`. Strength `g = sqrt(s_x² + s_y²)` and angle
    `α = atan(s_y / s_x)`, π/2 where s_x is 0, come from the slopes s_x (right) and s_y (up) by the Sobel operator.
    As published, `Γ_g, κ_g, σ_g = 0.9994, -15, 0.5`, `Γ_α, κ_α, σ_α = 0.9879, -22, 0.8`, and weights g^L have L = 1.

    Where published scripts disagree:

    - *Range of values*: it has no effect, as G, A and the shares of the weights are ratios. Scripts that set G to g_F
      where g_S = g_F depend on the range; here G is 1 there, as in the formula.
    - *Border*: slopes are taken only where the operator lies inside the image. Scripts that pad with zeros count the
      frame as an edge, which every fusion keeps.
    - *Orientation*: α is the angle of the paper, in (-π/2, π/2], so A may be as low as -1. Scripts that take the angle
      between edges modulo π give higher values.

    Images are at least 3 × 3 pixels.

    Returns:
        Preserved share of the edges, no unit, [0, 0.975]: the most where all three images are the same, 0 where neither
        source has an edge.

    Source:
        C. S. Xydeas, V. Petrović, "Objective image fusion performance measure", Electronics Letters 36 (2000).

    Examples:
        >>> image = torch.rand(1, 1, 8, 8)
        >>> round(gradient_preservation(image, image, image).item(), 4)
        0.9748
    """
    edges = [_edges(image) for image in checked(fused, visible, infrared, least=3)]
    kept = [_preserved(source, edges[0]) * source[0] for source in edges[1:]]
    return _share(kept[0] + kept[1], edges)


def fusion_artifacts(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Measure the share of edges in the fused image that neither source has (Nabf).

    `N = Σ a ((1 - Q_VF) g_V + (1 - Q_IF) g_I) / Σ (g_V + g_I)` over the pixels; `a` is 1 where the edge is stronger in
    the fused image than in both sources (by more than rounding), else 0; g and Q as in :func:`gradient_preservation`.
    Scripts that follow later variants (other thresholds and weight exponents) give other values.

    Images are at least 3 × 3 pixels.

    Returns:
        Share of artifacts in the edges, no unit, [0, 1], less is better; 0 where neither source has an edge.

    Source:
        V. Petrović, C. Xydeas, "Objective image fusion performance characterisation", ICCV 2005.

    Examples:
        >>> image = torch.rand(1, 1, 8, 8)
        >>> fusion_artifacts(image, image, image).item()
        0.0
    """
    edges = [_edges(image) for image in checked(fused, visible, infrared, least=3)]
    new = (edges[0][0] > torch.maximum(edges[1][0], edges[2][0]) + ROUNDING).to(edges[0][0].dtype)
    foreign = [new * (1 - _preserved(source, edges[0])) * source[0] for source in edges[1:]]
    return _share(foreign[0] + foreign[1], edges)


def _preserved(source: tuple[Tensor, Tensor], fused: tuple[Tensor, Tensor]) -> Tensor:
    """Return Q_SF of every pixel, given the edge strengths and angles of a source S and the fused image F."""
    larger = torch.maximum(source[0], fused[0])
    ratio = torch.minimum(source[0], fused[0]) / torch.where(larger > 0, larger, 1)
    alignment = 1 - (source[1] - fused[1]).abs() / (math.pi / 2)
    return 0.9994 * torch.sigmoid(15 * (ratio - 0.5)) * 0.9879 * torch.sigmoid(22 * (alignment - 0.8))


def _share(part: Tensor, edges: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return `part` as a share of the summed edge strength of both sources, 0 where they have no edges."""
    total = (edges[1][0] + edges[2][0]).sum((1, 2, 3))
    return part.sum((1, 2, 3)) / torch.where(total > 0, total, 1)


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return strength g and orientation α of the edges of an image, each (B, 1, H - 2, W - 2).

    The slopes are those of :func:`~metafusion_yolo.functional.losses.sobel_magnitude`, with their signs. Slopes up to
    `ROUNDING` are set to 0: the sign of a rounding error would flip a vertical slope.
    """
    right = image[..., 2:] - image[..., :-2]
    up = image[..., :-2, :] - image[..., 2:, :]
    right = F.hardshrink((right[..., :-2, :] + 2 * right[..., 1:-1, :] + right[..., 2:, :]) / 8, ROUNDING)
    up = F.hardshrink((up[..., :-2] + 2 * up[..., 1:-1] + up[..., 2:]) / 8, ROUNDING)
    return torch.hypot(right, up), torch.where(right == 0, math.pi / 2, torch.atan(up / right))
