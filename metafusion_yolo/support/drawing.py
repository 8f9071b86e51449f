"""Composed pictures: views under titles, in rows, and the weights of the cameras in colours with their scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw

from metafusion_yolo.support.annotate import LEAST_FONT, load_font

if TYPE_CHECKING:
    from torch import Tensor

COLORS = cv2.COLORMAP_VIRIDIS  # dark: visible camera, bright: infrared; readable without colour vision
INK, PAPER = (32, 32, 32), 255
CONSTANT = 0.02  # range of weights below which there is nothing to see
ABSOLUTE = (0.0, 1.0)  # scale from all visible to all infrared


def grid(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Put pictures (H, W, 3) uint8 in rows, with white gaps between them and white below the lower ones of a row."""
    gap = bar_height(rows[0][0].shape) // 2
    strips = []
    for row in rows:
        height = max(picture.shape[0] for picture in row)
        strips.append(np.hstack([_padded(picture, height, picture.shape[1] + gap) for picture in row])[:, :-gap])
    width = max(strip.shape[1] for strip in strips)
    return np.vstack([_padded(strip, strip.shape[0] + gap, width) for strip in strips])[:-gap]


def _padded(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture with white on its right and below it."""
    below, right = height - picture.shape[0], width - picture.shape[1]
    return np.pad(picture, ((0, below), (0, right), (0, 0)), constant_values=PAPER)


def titled(title: str, picture: np.ndarray) -> np.ndarray:
    """Put a picture (H, W, 3) uint8 under its title: (H + bar, W, 3)."""
    bar = np.full((bar_height(picture.shape), picture.shape[1], 3), PAPER, np.uint8)
    return np.vstack((write_text(bar, title, 0, picture.shape[1]), picture))


def bar_height(shape: tuple[int, ...]) -> int:
    """Return the height of a bar for a picture of shape (H, W, ...): 5 % of its longer side, at least 20 pixels."""
    return max(20, round(0.05 * max(shape[:2])))


def write_text(
    bar: np.ndarray, text: str, left: int, width: int, flush_right: bool = False, size: int | None = None
) -> np.ndarray:
    """Return a bar (h, W, 3) with a text, centred in height, between the columns `left` and `left + width`."""
    size = size or round(0.62 * bar.shape[0])
    while size > LEAST_FONT and load_font(size, text).getlength(text) > width:
        size -= 1
    while len(text) > 1 and load_font(size, text).getlength(text) > width:
        text = f"{text[:-2]}…"
    picture = Image.fromarray(bar)
    place = (left + width if flush_right else left, bar.shape[0] // 2)
    ImageDraw.Draw(picture).text(place, text, INK, load_font(size, text), "rm" if flush_right else "lm")
    return np.array(picture)


def scale_of(weights: Sequence[np.ndarray]) -> tuple[tuple[float, float], str]:
    """Return the limits of a scale that shows the differences between weights, [0, 1], and what to say of them.

    Examples:
        >>> scale_of([np.full((2, 2), 0.7)])
        ((0.0, 1.0), 'weights 0.70 everywhere: a constant mix')
    """
    low, high = min(float(one.min()) for one in weights), max(float(one.max()) for one in weights)
    if high - low >= CONSTANT:
        return (low, high), f"weights {low:.2f} to {high:.2f}"
    return ABSOLUTE, f"weights {(low + high) / 2:.2f} everywhere: a constant mix"


def color_weights(infrared_weight: np.ndarray, limits: tuple[float, float] = ABSOLUTE) -> np.ndarray:
    """Return the shares of the infrared camera (H, W), [0, 1], as colours (H, W, 3) uint8, B, G, R.

    Args:
        infrared_weight: The shares.
        limits: Shares of the darkest and the brightest colour.
    """
    return colored((infrared_weight - limits[0]) / (limits[1] - limits[0]), COLORS)


def colored(relative: np.ndarray, colors: int) -> np.ndarray:
    """Return values (H, W), of which 0 gets the first colour and 1 the last, as colours (H, W, 3) uint8, B, G, R."""
    return np.asarray(cv2.applyColorMap((relative * 255).round().clip(0, 255).astype(np.uint8), colors))


def weight_overlay(image: np.ndarray, infrared_weight: np.ndarray) -> np.ndarray:
    """Colour an image by how much of it came from the infrared camera.

    Args:
        image: Fused image (H, W, 3) uint8, B, G, R.
        infrared_weight: Share of the infrared camera (H, W), [0, 1].

    Returns:
        (H, W, 3) uint8, B, G, R.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(grey, 0.5, color_weights(infrared_weight), 0.5, 0)


def with_legend(overlay: np.ndarray, limits: tuple[float, float] = ABSOLUTE) -> np.ndarray:
    """Add a colour bar below coloured weights (H, W, 3) uint8, from the visible to the infrared camera."""
    ends = ("visible 0", "1 infrared") if limits == ABSOLUTE else (f"{limits[0]:.2f}", f"{limits[1]:.2f} of infrared")
    return with_scale(overlay, [ends], cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLORS))


def with_scale(
    picture: np.ndarray,
    ends: Sequence[tuple[str, str]],
    ramp: np.ndarray,
    arrows: tuple[bool, bool] = (False, False),
) -> np.ndarray:
    """Add a bar of colours (1, N, 3) below a picture (H, W, 3) uint8.

    Args:
        picture: The picture.
        ends: Wordings of the left and the right end, the longest first; the first that fit are taken.
        ramp: The colours.
        arrows: Whether each end is an arrow, as the picture goes beyond it.
    """
    height, width = bar_height(picture.shape), picture.shape[1]
    bar = np.full((height, width, 3), PAPER, np.uint8)
    margin, most = height // 4, 2 * width // 5

    def side_of(words: tuple[str, str], size: int) -> int:
        return round(max(load_font(size, word).getlength(word) for word in words)) + margin

    words = next((words for words in ends if side_of(words, LEAST_FONT) <= most), ends[-1])
    sizes = range(round(0.62 * height), LEAST_FONT, -1)
    size = next((size for size in sizes if side_of(words, size) <= most), LEAST_FONT)
    side = max(width // 3, min(side_of(words, size), most))
    long, inner = width - 2 * side, height - 2 * margin
    colours = ramp[:, np.linspace(0, ramp.shape[1] - 1, long).round().astype(int)].repeat(inner, 0)
    off = abs(np.arange(inner) - (inner - 1) / 2)[:, None] > np.arange(inner // 2 + 1)  # beside the head of an arrow
    for is_arrow, end in zip(arrows, (colours, colours[:, ::-1]), strict=True):
        end[:, : off.shape[1]][off[:, :long] & is_arrow] = PAPER
    bar[margin : height - margin, side : side + long] = colours
    bar = write_text(bar, words[0], 0, side - margin, flush_right=True, size=size)
    bar = write_text(bar, words[1], width - side + margin, side - margin, size=size)
    return np.vstack((picture, bar))


def to_uint8(image: Tensor) -> np.ndarray:
    """Return an image, or a batch of them, as OpenCV and Pillow hold it.

    Args:
        image: (..., C, H, W) in [0, 1]; what lies outside is clipped.

    Returns:
        (..., H, W, C) uint8, rounded to the nearest level.

    Examples:
        >>> from torch import Tensor
        >>> to_uint8(Tensor([-0.1, 0.5, 1.0]).view(3, 1, 1)).tolist()
        [[[0, 128, 255]]]
    """
    return np.asarray((image.detach().float().clamp(0, 1) * 255).round().byte().movedim(-3, -1).cpu().numpy())
