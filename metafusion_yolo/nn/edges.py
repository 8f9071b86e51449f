"""Weights that follow the edges of the images, so that the fused image has no glow around things and no stains."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.nn.blocks import resize

STEP = 4  # statistics are taken of 4 × 4 places together, 16 × 16 pixels
WINDOW = 11  # of these: 176 pixels
LEAST = 0.03  # differences of brightness below it are no edge
SCALE = 8.0  # brightness times this, as squares of small differences are lost in FP16


def follow_edges(weights: Tensor, means: Tensor) -> Tensor:
    """Smooth the weights of the cameras, but not across the edges of either image.

    Around every place the weight is written as an affine function of the brightness of both cameras, so things of one
    brightness get one weight: a plain sky, or a person who is hot all over.

    Args:
        weights: Share of each camera (B, 2, H, W), visible first, in [0, 1], sum 1.
        means: Local mean of each image (B, 2, H, W), [0, 1].

    Returns:
        Weights like `weights`; a camera without weight in the whole image still has none.

    Source:
        The guided filter of K. He, J. Sun, X. Tang, "Guided Image Filtering", TPAMI 2013, with two guides; for weights
        of a fusion known from S. Li, X. Kang, J. Hu, "Image Fusion with Guided Filtering", TIP 2013.

    Examples:
        >>> alone = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 16, 16)
        >>> follow_edges(alone, torch.rand(1, 2, 16, 16)).unique()
        tensor([0., 1.])
    """
    signals = torch.cat((weights[:, 1:], SCALE * means), 1)
    centre = resize(_around(_pool(signals)), signals)
    weight, visible, infrared = (signals - centre).split(1, 1)
    products = (visible * visible, infrared * infrared, visible * infrared, weight * visible, weight * infrared)
    vv, ii, vi, wv, wi = _around(_pool(torch.cat(products, 1))).split(1, 1)
    vv, ii = vv + (SCALE * LEAST) ** 2, ii + (SCALE * LEAST) ** 2
    slopes = torch.cat((ii * wv - vi * wi, vv * wi - vi * wv), 1) / (vv * ii - vi * vi)
    of_visible, of_infrared = resize(_around(slopes), signals).split(1, 1)
    share = (centre[:, :1] + of_visible * visible + of_infrared * infrared).clamp(0, 1)
    return torch.cat((1 - share, share), 1)


def _pool(maps: Tensor) -> Tensor:
    """Return the means of `STEP` × `STEP` places."""
    return F.avg_pool2d(maps, STEP, STEP)


def _around(maps: Tensor) -> Tensor:
    """Return the mean of the window around every place, within the image."""
    return F.avg_pool2d(maps, WINDOW, 1, WINDOW // 2, count_include_pad=False)
