"""Universal fusion: learning what to take from which camera without a label, from two spoilt views of one image.

Each view hides other parts of the image, no part is hidden in both. What both show is their common part, what one shows
its unique part; the front-end must put the whole image together again, so it learns to look where there is something
to see. It needs no pairs either: the views of a plain image stand for the two cameras.

Source: P. Liang, J. Jiang, X. Liu, J. Ma, "Fusion from decomposition: a self-supervised decomposition approach for
image fusion" (DeFusion), ECCV 2022. What differs is said in docs/compare.md.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import present

SOFTNESS = 12.0  # of the edge of a hidden part, per unit of the random field that it is cut from


def one_of_each(pair: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Take one camera's image of each pair by chance, (B, 3, H, W), as a plain image; never a blank one.

    Args:
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        generator: Of the random numbers; None for the global one.
    """
    visible, infrared = pair[:, :3], pair[:, 3:]
    shows = present(rgb_to_luminance(visible), infrared).bool()  # (B, 2, 1, 1)
    infrared_next = torch.rand(len(pair), 1, 1, 1, generator=generator, device=pair.device) < 0.5
    takes_infrared = shows[:, 1:] & (infrared_next | ~shows[:, :1])
    return torch.where(takes_infrared, infrared.expand_as(visible), visible)


def two_views(image: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Make a pair of views that hide other parts of an image, and what their fusion should be.

    The second view is grey and of another brightness (`x^γ`, γ between 1/2 and 2), as another camera would have it.
    Hidden parts are dark, bright or grey, faintly see-through, with noise or without; they reach from nothing to nearly
    the whole view. The target is the view that shows a part, and the mean of both where both do.

    Args:
        image: Clean images (B, 3, H, W), [0, 1].
        generator: Of the random numbers; None for the global one.

    Returns:
        The views as a pair (B, 4, H, W), and the luminance that their fusion should have (B, 1, H, W), both in [0, 1].
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
