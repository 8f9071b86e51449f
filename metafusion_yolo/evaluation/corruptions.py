"""Spoil one camera of a pair in a known way, to test which camera a fusion trusts, and where.

The kinds resemble those of training (`fusion: augment: degradation:`) but are functions of their own with fixed
strengths, so that nothing is tested on exactly what it has learned from. The draw depends on the kind and on the name
of the file alone: every model, rule and single camera sees the same damage, and a higher strength spoils the same
place more.

Source: after D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019; the infrared kinds are the usual faults of thermal cameras.
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from metafusion_yolo.data.planes import PLANES

STRENGTHS = (1, 2, 3)
SEED = 7

Area = tuple[int, int, int, int]  # x, y, x, y
Damage = tuple[np.ndarray, np.ndarray]  # the image (H, W, C) in [0, 1], and how far each pixel is spoilt (H, W, 1)


class Corrupted(NamedTuple):
    """A pair of which one camera is spoilt.

    Attributes:
        pair: (4, H, W), R, G, B, IR in [0, 1].
        region: How far each pixel of that camera is spoilt (H, W), [0, 1].
    """

    pair: Tensor
    region: Tensor


def night(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """Darkness: little light, with the noise of the sensor."""
    light, read = ((0.35, 0.008), (0.12, 0.015), (0.04, 0.03))[strength - 1]
    grain = rng.standard_normal(image.shape) * np.sqrt(0.003 * light * image + read**2)
    return light * image + grain, everywhere(image)


def glare(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """Two lights that dazzle, with halos."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    light = np.zeros((height, width))
    for _ in range(2):
        cy, cx = rng.uniform(0.2, 0.8) * height, rng.uniform(0.1, 0.9) * width
        radius = rng.uniform(0.8, 1.2) * (0.15, 0.28, 0.45)[strength - 1] * width
        light = np.maximum(light, np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / radius**2) ** 2)))
    share = np.clip(1.6 * light, 0, 1)[..., None]
    return image * (1 - share) + share * (1.0, 0.98, 0.94), share


def dark_region(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """Deep shadow in a part of the image."""
    share = rectangle(image, strength, rng, soft=True)
    return image * (1 - share) + share * (0.04 * image + 0.01 * rng.standard_normal(image.shape)), share


def fog(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """A bright veil, thinner towards the bottom, which is near."""
    thin = np.linspace(1, 0.6, image.shape[0])[:, None, None] * np.ones_like(image[..., :1])
    veil = (0.6, 0.85, 0.95)[strength - 1] * thin
    return image * (1 - veil) + veil * (0.78 + 0.01 * rng.standard_normal(image.shape)), everywhere(image)


def washed_out(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """Everything of nearly one temperature, as in rain or at the hour of thermal crossover."""
    contrast = (0.3, 0.08, 0.02)[strength - 1]
    flat = image.mean() + contrast * (image - image.mean()) + 0.02 * rng.standard_normal(image.shape)
    return flat, everywhere(image)


def blurred(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """A lens out of focus."""
    sigma = (0.006, 0.014, 0.03)[strength - 1] * max(image.shape)
    return cv2.GaussianBlur(image, (0, 0), sigma)[..., None], everywhere(image)


def lost_region(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """A part of the image without any signal."""
    share = rectangle(image, strength, rng, soft=False)
    return image * (1 - share) + 0.5 * share, share


def dead_lines(image: np.ndarray, strength: int, rng: np.random.Generator) -> Damage:
    """Bands of rows without any signal."""
    bands = rng.permutation(24) < 24 * (0.2, 0.4, 0.6)[strength - 1]
    rows = np.repeat(bands, -(-image.shape[0] // 24))[: image.shape[0]]
    share = rows[:, None, None] * np.ones_like(image)
    return image * (1 - share), share


KINDS: dict[str, tuple[str, Callable[[np.ndarray, int, np.random.Generator], Damage]]] = {
    function.__name__.replace("_", " "): (camera, function)
    for camera, functions in (
        ("visible", (night, glare, dark_region, fog)),
        ("infrared", (washed_out, blurred, lost_region, dead_lines)),
    )
    for function in functions
}


def everywhere(image: np.ndarray) -> np.ndarray:
    """Return a region that is the whole image."""
    return np.ones_like(image[..., :1])


def rectangle(image: np.ndarray, strength: int, rng: np.random.Generator, soft: bool) -> np.ndarray:
    """Return a random rectangle (H, W, 1) that covers 20, 40 or 70 % of the image."""
    height, width = image.shape[:2]
    share, tall = (0.2, 0.4, 0.7)[strength - 1] ** 0.5, rng.uniform(0.9, 1.1)
    rows, columns = round(min(share * tall, 1) * height), round(min(share / tall, 1) * width)
    top, left = (round(rng.random() * free) for free in (height - rows, width - columns))
    inside = np.zeros((height, width), np.float32)
    inside[top : top + rows, left : left + columns] = 1
    return (cv2.GaussianBlur(inside, (0, 0), 0.008 * max(height, width)) if soft else inside)[..., None]


def corrupt(pair: Tensor, kind: str, strength: int, file: str, area: Area | None = None) -> Corrupted:
    """Spoil one camera of a pair.

    Args:
        pair: (4, H, W), R, G, B, IR in [0, 1].
        kind: A key of `KINDS`, which names the camera too.
        strength: 1, 2 or 3.
        file: The visible file, whose name makes the draw.
        area: The image inside its letterbox, x, y, x, y in pixels; None for all.

    Examples:
        >>> corrupt(torch.rand(4, 64, 64), "dead lines", 2, "a.jpg").region.mean().item() > 0.3
        True
    """
    camera, spoil = KINDS[kind]
    x0, y0, x1, y1 = area or (0, 0, pair.shape[2], pair.shape[1])
    rng = np.random.default_rng([zlib.crc32(f"{kind}/{Path(file).name}".encode()), SEED])
    inside = pair[PLANES[camera], y0:y1, x0:x1]
    image, share = spoil(inside.permute(1, 2, 0).float().cpu().numpy(), strength, rng)
    spoilt, region = pair.clone(), torch.zeros(pair.shape[1:], device=pair.device)
    spoilt[PLANES[camera], y0:y1, x0:x1] = torch.from_numpy(image.clip(0, 1)).permute(2, 0, 1).to(pair)
    region[y0:y1, x0:x1] = torch.from_numpy(share[..., 0]).to(region)
    return Corrupted(spoilt, region)
