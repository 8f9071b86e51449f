"""Spoil one camera of a pair as real cameras are spoilt, in a region or whole, and say where.

A fusion learns which camera to trust only from pairs in which it matters. Each kind of damage is a function of an image
(1, C, H, W) in [0, 1] that returns the damaged image and how far it hides what was there, (1, 1, H, W) in [0, 1]. No
place is ever hidden in both cameras.

Source: this project; modality drop-out made local. The kinds follow the corruptions of D. Hendrycks, T. Dietterich,
"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019, and the faults of thermal
cameras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import present

WHOLE = 0.35  # share of the damages that cover the whole image
BOTH = 0.25  # share of the damaged pairs in which either camera is damaged, each in a region of its own


class Degraded(NamedTuple):
    """Pairs with damage, where it is, and what their fusion should be made of.

    Attributes:
        img: The damaged pairs (B, 4, H, W), R, G, B, IR in [0, 1].
        hidden: How far each camera is blind, (B, 2, H, W), visible first, in [0, 1].
        sources: The pairs before (B, 4, H, W), but where one camera is blind, it shows what the other does: fusion
            losses of them ask for the other camera alone there, and for no noise.
    """

    img: Tensor
    hidden: Tensor
    sources: Tensor


class Draw:
    """Random numbers for one image.

    Args:
        like: Image whose size, type and device they have.
        generator: Of the random numbers; None for the global one.
    """

    def __init__(self, like: Tensor, generator: torch.Generator | None = None) -> None:
        self.size = like.shape[-2:]
        self.options: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        """Return a number."""
        device = self.generator.device if self.generator else "cpu"  # a number from a GPU would make it wait
        return low + (high - low) * float(torch.rand((), generator=self.generator, device=device))

    def chance(self, p: float) -> bool:
        """Return True with a probability."""
        return self.uniform(0, 1) < p

    def among(self, number: int) -> int:
        """Return a whole number, at least 0 and below `number`."""
        return min(int(self.uniform(0, number)), number - 1)

    def noise(self, channels: int = 1) -> Tensor:
        """Return white noise of unit deviation, (1, channels, H, W)."""
        return torch.randn(1, channels, *self.size, generator=self.generator, **self.options)

    def field(self, cells: int) -> Tensor:
        """Return a smooth random field of about unit deviation, (1, 1, H, W), with so many waves across."""
        coarse = torch.randn(1, 1, cells, cells, generator=self.generator, **self.options)
        return F.interpolate(coarse, size=self.size, mode="bicubic", align_corners=False)


Damage = tuple[Tensor, Tensor]


def night(image: Tensor, draw: Draw) -> Damage:
    """Remove the light; shot noise and read-out noise stay."""
    dark = image * 10 ** draw.uniform(-2.0, -0.7)
    read = draw.uniform(0.003, 0.03)
    grain = draw.noise(image.shape[1]) * (dark * draw.uniform(0.001, 0.01) + read**2).sqrt()
    return dark + grain, torch.ones_like(image[:, :1])


def exposure(image: Tensor, draw: Draw) -> Damage:
    """Expose far too short or far too long."""
    if draw.chance(0.5):
        return image * draw.uniform(0.02, 0.12), torch.ones_like(image[:, :1])
    bright = image * draw.uniform(3, 6) + draw.uniform(0.2, 0.6)
    return bright, ((bright.mean(1, keepdim=True) - 0.8) * 5).clamp(0, 1)


def glare(image: Tensor, draw: Draw) -> Damage:
    """Add one to three dazzling lights with a halo, whitish or yellowish."""
    height, width = draw.size
    y = torch.linspace(0, height / width, height, **draw.options).view(1, 1, -1, 1)
    x = torch.linspace(0, 1, width, **draw.options).view(1, 1, 1, -1)
    light = torch.zeros_like(image[:, :1])
    for _ in range(1 + draw.among(3)):
        squared = (y - draw.uniform(0, height / width)) ** 2 + (x - draw.uniform(0, 1)) ** 2
        light = light + draw.uniform(1, 3) * (-squared / draw.uniform(0.08, 0.35) ** 2).exp()
    light = light.clamp(0, 1)
    colour = torch.tensor([1.0, draw.uniform(0.93, 1), draw.uniform(0.8, 1)], **draw.options).view(1, 3, 1, 1)
    return torch.lerp(image, colour.expand_as(image), light), light


def fog(image: Tensor, draw: Draw) -> Damage:
    """Cover by an even veil, thinner towards the bottom, through which little contrast is left."""
    near = torch.linspace(0, draw.uniform(0, 0.4), draw.size[0], **draw.options).view(1, 1, -1, 1)
    veil = (draw.uniform(0.8, 0.97) - near).expand_as(image[:, :1])
    air = draw.uniform(0.45, 0.9) + draw.uniform(0, 0.02) * draw.noise()
    return torch.lerp(image, air.expand_as(image), veil), veil


def smoke(image: Tensor, draw: Draw) -> Damage:
    """Cover by uneven clouds."""
    clouds = draw.field(3) + 0.5 * draw.field(6) + 0.25 * draw.field(12)
    veil = (0.85 + 0.15 * clouds).clamp(0, 1)
    air = draw.uniform(0.2, 0.85) + 0.04 * clouds
    return torch.lerp(image, air.expand_as(image), veil), veil


def dirt(image: Tensor, draw: Draw) -> Damage:
    """Cover by something out of focus on the lens, of any colour."""
    colour = torch.rand(1, image.shape[1], 1, 1, generator=draw.generator, **draw.options)
    cover = colour * draw.uniform(0.05, 0.9) + 0.02 * draw.field(4)
    return cover.expand_as(image) + draw.uniform(0, 0.02) * draw.noise(), torch.ones_like(image[:, :1])


def motion(image: Tensor, draw: Draw) -> Damage:
    """Smear along a line, up to a tenth of the image."""
    steps, reach = 9, draw.uniform(0.03, 0.1) * max(draw.size)
    angle = torch.tensor(draw.uniform(0, torch.pi))
    dx, dy = float(reach * angle.cos()), float(reach * angle.sin())
    ways = [(round(t * dx), round(t * dy)) for t in torch.linspace(-0.5, 0.5, steps).tolist()]
    smeared = torch.stack([image.roll((y, x), (2, 3)) for x, y in ways]).mean(0)
    return smeared, torch.full_like(image[:, :1], 0.8)


def washed_out(image: Tensor, draw: Draw) -> Damage:
    """Reduce the contrast down to plain grey, as if all were equally warm; noise and stripes of the sensor stay."""
    level = float(image.mean()) if draw.chance(0.6) else draw.uniform(0.15, 0.85)
    contrast = draw.uniform(0, 0.15) * float(draw.chance(0.8))
    noise = draw.uniform(0, 0.04) * draw.noise() + draw.uniform(0, 0.015) * draw.noise()[..., :1, :]
    return level + contrast * (image - image.mean()) + noise, torch.ones_like(image[:, :1])


def defocus(image: Tensor, draw: Draw) -> Damage:
    """Blur, by three box filters in turn, which is about a Gaussian of 0.8 to 4 % of the image."""
    side = 2 * round(draw.uniform(0.008, 0.04) * max(draw.size)) + 1
    for kernel in ((side, 1), (1, side)) * 3:
        padding = (kernel[0] // 2, kernel[1] // 2)
        image = F.avg_pool2d(image, kernel, 1, padding, count_include_pad=False)
    return image, torch.full_like(image[:, :1], 0.9)


def saturated(image: Tensor, draw: Draw) -> Damage:
    """Set the range wrong, so that nearly all of the scene lies above or below it."""
    steep, sign = draw.uniform(2, 6), 1 if draw.chance(0.5) else -1
    clipped = 0.5 + steep * (image - image.mean()) + sign * draw.uniform(0.8, 2)
    gone = ((clipped > 1) | (clipped < 0)).to(image.dtype)
    return clipped.clamp(0, 1), F.avg_pool2d(gone, 9, 1, 4)


def dead_lines(image: Tensor, draw: Draw) -> Damage:
    """Replace bands of rows by black, white or grey."""
    level = (0.0, 1.0, draw.uniform(0, 1))[draw.among(3)]
    bands = F.interpolate(draw.noise()[..., :24, :1], size=(draw.size[0], 1), mode="nearest")
    lost = (bands > draw.uniform(-0.8, 0.6)).to(image.dtype).expand_as(image)
    return torch.lerp(image, torch.full_like(image, level), lost), lost


def lost(image: Tensor, draw: Draw) -> Damage:
    """Replace the image by black, white or grey."""
    level = (0.0, 1.0, 114 / 255, draw.uniform(0, 1))[draw.among(4)]
    return torch.full_like(image, level), torch.ones_like(image[:, :1])


VISIBLE: dict[str, Callable[[Tensor, Draw], Damage]] = {
    function.__name__: function for function in (night, exposure, glare, fog, smoke, dirt, motion, lost)
}
INFRARED: dict[str, Callable[[Tensor, Draw], Damage]] = {
    function.__name__: function for function in (washed_out, defocus, saturated, dead_lines, lost)
}


def region(draw: Draw) -> Tensor:
    """Draw a region, a rectangle or anything rounded, sharp or soft: (1, 1, H, W), 1 inside."""
    if draw.chance(0.4):
        inside = torch.zeros(1, 1, *draw.size, **draw.options)
        top, left = (draw.uniform(0, 0.7) for _ in range(2))
        bottom, right = (start + draw.uniform(0.2, 0.8) for start in (top, left))
        height, width = draw.size
        inside[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
        return inside
    softness = 2 ** draw.uniform(1, 6)
    return ((draw.field(2 + draw.among(4)) - draw.uniform(-0.6, 0.6)) * softness).sigmoid()


def regions(draw: Draw) -> tuple[Tensor, Tensor]:
    """Draw where the visible and where the infrared camera is damaged, each (1, 1, H, W), never overlapping."""
    first = torch.ones(1, 1, *draw.size, **draw.options) if draw.chance(WHOLE) else region(draw)
    second = region(draw) * (1 - first) if draw.chance(BOTH) else torch.zeros_like(first)
    return (first, second) if draw.chance(0.5) else (second, first)


def damage(image: Tensor, where: Tensor, kinds: dict[str, Callable[[Tensor, Draw], Damage]], draw: Draw) -> Damage:
    """Damage an image (1, C, H, W) by one kind, drawn evenly, within a region (1, 1, H, W)."""
    if not where.any():
        return image, where
    spoilt, hidden = list(kinds.values())[draw.among(len(kinds))](image, draw)
    return torch.lerp(image, spoilt.clamp(0, 1), where.expand_as(image)), hidden * where


@torch.no_grad()
def degrade(pair: Tensor, p: float = 1.0, generator: torch.Generator | None = None) -> Degraded:
    """Damage one camera of a pair, or either in a region of its own; a pair of which one camera is off stays as it is.

    Args:
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        p: Probability that a pair is damaged at all.
        generator: Of the random numbers, on the device of the pair; None for the global one.

    Returns:
        New pairs, how far which camera is blind where, and what the fusion should be made of.

    Examples:
        >>> degrade(torch.rand(2, 4, 32, 32), p=0.0).hidden.max().item()
        0.0
    """
    results = []
    complete = present(rgb_to_luminance(pair[:, :3]), pair[:, 3:]).bool().all(1).flatten().tolist()
    for image, whole in zip(pair.split(1), complete, strict=True):
        draw = Draw(image, generator)
        if not draw.chance(p) or not whole:
            results.append((image, torch.zeros_like(image[:, :2])))
            continue
        in_visible, in_infrared = regions(draw)
        visible, hides_visible = damage(image[:, :3], in_visible, VISIBLE, draw)
        infrared, hides_infrared = damage(image[:, 3:], in_infrared, INFRARED, draw)
        results.append((torch.cat((visible, infrared), 1), torch.cat((hides_visible, hides_infrared), 1)))
    pairs, hidden = (torch.cat(parts) for parts in zip(*results, strict=True))
    return Degraded(pairs, hidden, trusted(pair, hidden))


def trusted(pair: Tensor, hidden: Tensor) -> Tensor:
    """Return pairs (B, 4, H, W) in which each camera shows what the other does where it is blind, see `hidden` above.

    The visible image becomes grey there.
    """
    visible, infrared = pair[:, :3], pair[:, 3:]
    luminance = rgb_to_luminance(visible)
    hides_visible, hides_infrared = hidden.split(1, 1)
    visible = torch.lerp(visible, infrared.expand_as(visible), hides_visible.expand_as(visible))
    return torch.cat((visible, torch.lerp(infrared, luminance, hides_infrared)), 1)
