"""Classical image fusion at native size, to compare a learned fusion with.

The rules fuse luminance and keep the chroma of the visible image, as the learned fusion does. Their images are for
people; those of :class:`~metafusion_yolo.nn.rules.PixelRule` are for a detector.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch

from metafusion_yolo.functional.color import replace_luminance, rgb_to_luminance
from metafusion_yolo.support.drawing import to_uint8
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest


def fuse_average(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Return the mean of both images, (H, W) float32, [0, 1].

    Args:
        visible: Luminance of the visible image (H, W) float32, [0, 1].
        infrared: Infrared image (H, W) float32, [0, 1].
    """
    return (visible + infrared) / 2


def fuse_maximum(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Return the brighter of both images at every pixel; arguments as for :func:`fuse_average`."""
    return np.maximum(visible, infrared)


def fuse_laplacian(visible: np.ndarray, infrared: np.ndarray, levels: int = 4) -> np.ndarray:
    """Return the stronger detail of both images at each scale, added to the mean of the coarse remainders.

    Args:
        visible: As for :func:`fuse_average`.
        infrared: As for :func:`fuse_average`.
        levels: Scales of detail; small images have fewer.

    Source:
        P. Burt, E. Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Trans. Communications, 1983; the
        choice of the larger absolute coefficient is that of A. Toet, Pattern Recognition Letters, 1989.
    """
    first, second = laplacian_pyramid(visible, levels), laplacian_pyramid(infrared, levels)
    fused = (first[-1] + second[-1]) / 2
    for a, b in zip(first[-2::-1], second[-2::-1], strict=True):
        fused = cv2.pyrUp(fused, dstsize=a.shape[::-1]) + np.where(np.abs(a) >= np.abs(b), a, b)
    return fused.clip(0, 1)


def laplacian_pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """Return the detail of an image (H, W) float32 at each scale, fine to coarse, and the coarse remainder."""
    pyramid = []
    for _ in range(levels):
        if min(image.shape) < 4:
            break
        coarse = cv2.pyrDown(image)
        pyramid.append(image - cv2.pyrUp(coarse, dstsize=image.shape[::-1]))
        image = coarse
    return [*pyramid, image]


RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "average": fuse_average,
    "maximum": fuse_maximum,
    "laplacian": fuse_laplacian,
}


def fuse_pair(pair: np.ndarray, rule: str) -> np.ndarray:
    """Fuse a pair by a classical rule.

    Args:
        pair: (H, W, 4) uint8, R, G, B, IR, of any size.
        rule: "average", "maximum" or "laplacian".

    Returns:
        Fused image (H, W, 3) uint8, R, G, B, with the chroma of the visible image.

    Raises:
        ValueError: If the rule is unknown.

    Examples:
        >>> fuse_pair(np.full((8, 8, 4), (100, 100, 100, 200), np.uint8), "average")[0, 0].tolist()
        [150, 150, 150]
    """
    if rule not in RULES:
        raise UserValueError(f"unknown fusion rule '{rule}', {nearest(rule, RULES)}")
    planes = torch.from_numpy(np.ascontiguousarray(pair)).permute(2, 0, 1)[None].float() / 255
    visible, luminance = planes[:, :3], rgb_to_luminance(planes[:, :3])
    fused = RULES[rule](luminance[0, 0].numpy(), planes[0, 3].contiguous().numpy())
    rgb = replace_luminance(visible, torch.from_numpy(fused)[None, None], current=luminance)
    return to_uint8(rgb[0])
