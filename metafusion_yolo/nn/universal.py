"""Universal fusion: learn without labels what to take from which camera, from two corrupted views of one image.

Each view hides different parts of the image. The front-end must restore the whole image, so it learns to look where
there is something to see. It needs no pairs: the views of a plain image stand for the two cameras.

Source: P. Liang, J. Jiang, X. Liu, J. Ma, "Fusion from decomposition: a self-supervised decomposition approach for
image fusion" (DeFusion), ECCV 2022. docs/compare.md lists the differences.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import present

SOFTNESS = 12.0  # steepness of the edge of a hidden part, per unit of the random field that defines it


def one_of_each(pair: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw one camera's image of each pair, (B, 3, H, W); where one camera is blank, take the other.

    Args:
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        generator: Random generator; None for the global one.
    """
    visible, infrared = pair[:, :3], pair[:, 3:]
    shows = present(rgb_to_luminance(visible), infrared).bool()  # (B, 2, 1, 1)
    infrared_next = torch.rand(len(pair), 1, 1, 1, generator=generator, device=pair.device) < 0.5
    takes_infrared = shows[:, 1:] & (infrared_next | ~shows[:, :1])
    return torch.where(takes_infrared, infrared.expand_as(visible), visible)


def two_views(image: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Make two views that hide different parts of an image, and the target of their fusion.

    The second view is grey with another brightness (`x^γ`, γ between 1/2 and 2), like that of another camera. Hidden
    parts are dark, bright or grey, slightly transparent, some with noise, and cover from nothing to nearly the whole
    view. The target is the view that shows a part, and the mean of both where both show it.

    Args:
        image: Clean images (B, 3, H, W), [0, 1].
        generator: Random generator; None for the global one.

    Returns:
        The views as a pair (B, 4, H, W), and the target luminance (B, 1, H, W), both in [0, 1].
    """

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=image.device, dtype=image.dtype)

    size, (height, width) = len(image), image.shape[-2:]
    luminance = rgb_to_luminance(image)
    second = luminance.clamp(min=1e-4) ** 4 ** (rand(size, 1, 1, 1) - 0.5)
    cells = int(2 + 7 * rand(1).item())
    coarse = torch.randn(size, 1, cells, cells, generator=generator, device=image.device, dtype=image.dtype)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    middle, gap = 2 * rand(size, 1, 1, 1) - 1, 0.1 + 0.8 * rand(size, 1, 1, 1)
    hidden = torch.cat((field - middle - gap, middle - gap - field), 1).mul(SOFTNESS).sigmoid()
    hides_first, hides_second = hidden.split(1, 1)

    def spoil(view: Tensor, hides: Tensor) -> Tensor:
        level = rand(size, 1, 1, 1) * (rand(size, 1, 1, 1) < 0.5)  # half of them dark
        veil, noise = 0.7 + 0.3 * rand(size, 1, 1, 1), 0.25 * rand(size, 1, 1, 1) * (rand(size, 1, 1, 1) < 0.5)
        grain = torch.randn(view.shape, generator=generator, device=view.device, dtype=view.dtype)
        return torch.lerp(view, torch.lerp(view, level, veil) + noise * grain, hides).clamp(0, 1)

    pair = torch.cat((spoil(image, hides_first), spoil(second, hides_second)), 1)
    shown = 1 - hidden
    target = (shown[:, :1] * luminance + shown[:, 1:] * second) / shown.sum(1, keepdim=True)
    return pair, target
