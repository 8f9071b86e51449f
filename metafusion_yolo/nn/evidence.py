"""Evidence of how much an image shows: brightness and contrast of every place, for the weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = (8.0, 64.0)  # a contrast of 1 / scale is about where the measure saturates: 32 and 4 of 255 grey levels
EVIDENCE = 2 * (1 + 3 * len(SCALES))  # channels of :func:`evidence`
LITTLE, ENOUGH = 0.3, 0.5  # contrast between 4 × 4 means, on the second scale: the camera is blind, and it sees


def local_means(luminance: Tensor, infrared: Tensor) -> Tensor:
    """Return the mean of every 4 × 4 pixels of both images, (B, 2, H / 4, W / 4), [0, 1].

    Args:
        luminance: Luminance of the visible images (B, 1, H, W), [0, 1].
        infrared: Infrared images (B, 1, H, W), [0, 1].
    """
    return torch.cat((F.avg_pool2d(luminance, 4, 4), F.avg_pool2d(infrared, 4, 4)), 1)  # X2Paddle wants the stride


def evidence(luminance: Tensor, infrared: Tensor, means: Tensor) -> Tensor:
    """Measure brightness and contrast of both images at stride 8.

    Contrast is how far the brightest value of a place lies above its mean, at three sizes: of pixels within 4 × 4, of
    4 × 4 means within 8 × 8, and of 8 × 8 means within 24 × 24 pixels. Together they tell a scene from noise, which
    has contrast at the first size alone, and from blur, which has it at the last alone. Each is seen through `tanh` on
    two scales, so that a contrast of few grey levels counts as much as one of many.

    Args:
        luminance: Luminance of the visible images (B, 1, H, W), [0, 1].
        infrared: Infrared images (B, 1, H, W), [0, 1].
        means: Of :func:`local_means`.

    Returns:
        (B, EVIDENCE, H / 8, W / 8), in [0, 1]: the means first, then the contrasts; visible before infrared in each.

    Source:
        This project.

    Examples:
        >>> plain = torch.full((1, 1, 32, 32), 0.5)
        >>> evidence(plain, plain, local_means(plain, plain))[0, :, 0, 0].max().item()
        0.5
    """
    highest = torch.cat((F.max_pool2d(luminance, 4, 4), F.max_pool2d(infrared, 4, 4)), 1)
    coarse = F.avg_pool2d(means, 2, 2)
    fine = F.avg_pool2d(highest - means, 2, 2)
    middle = F.max_pool2d(means, 2, 2) - coarse
    wide = F.max_pool2d(coarse, 3, 1, 1) - coarse
    contrasts = torch.cat((fine, middle, wide), 1)
    return torch.cat((coarse, *(torch.tanh(scale * contrasts) for scale in SCALES)), 1)


def blank_places(contrasts: Tensor, least: float = 1e-3) -> Tensor:
    """Return which places of 32 × 32 pixels show nothing in either camera, (B, 1, H / 32, W / 32), 1, else 0.

    Args:
        contrasts: Of :func:`evidence`.
        least: A sum of contrasts up to which a place is blank; one grey level in one of its pixels gives 0.007.
    """
    within = contrasts[:, 2:6].sum(1, keepdim=True)  # of pixels and of means; the third size sees neighbours
    return 1 - ((F.max_pool2d(within, 4, 4) - least) * 1e3).clamp(0, 1)


def shown_by_both(contrasts: Tensor) -> Tensor:
    """Return how far both cameras show something in places of 32 × 32 pixels, (B, 1, H / 32, W / 32), [0, 1].

    A camera that is dark, in fog, washed out, out of focus or without signal has little contrast between the means of
    4 × 4 pixels, in which noise averages out.

    Args:
        contrasts: Of :func:`evidence`.
    """
    contrast = F.avg_pool2d(contrasts[:, 10:12], 4, 4)
    visible, infrared = ((contrast - LITTLE) / (ENOUGH - LITTLE)).clamp(0, 1).split(1, 1)
    return visible * infrared
