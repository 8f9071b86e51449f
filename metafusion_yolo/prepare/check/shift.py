"""Shift between the two images of a pair, by phase correlation of their gradients.

A thermal image shares edges with the visible one, but not brightness: a warm wall may be dark.

Source: Kuglin and Hines, The phase correlation image alignment method, 1975; smoothed square roots of the gradient
magnitudes as input, and the test of the peak: this project.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from metafusion_yolo.data.alignment import between

SIDE = 128  # pixels; the images are compared as squares of this side
REACH = 0.15  # largest shift, as a share of the side
SMOOTHING = 1.5  # pixels; tolerance for edges of slightly different shape
CLEAR = 1.3  # ratio of the highest peak to the second from which it is trusted
NEIGHBOURS = 5  # pixels around a peak that count as part of it

_WINDOW = cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F)
_PASS = np.exp(-2 * (np.pi * SMOOTHING) ** 2 * (np.fft.rfftfreq(SIDE)[None] ** 2 + np.fft.fftfreq(SIDE)[:, None] ** 2))


@dataclass(frozen=True)
class Shift:
    """Position of the infrared image relative to the visible one.

    Attributes:
        x: Shift to the right, as a share of the width.
        y: Shift downward, as a share of the width.
        clear: Whether the peak can be trusted. About 1 in 20 such shifts is still wrong by more than 1 %, so judge a
            sequence by its median.
    """

    x: float
    y: float
    clear: bool


def estimate_shift(visible: np.ndarray, infrared: np.ndarray) -> Shift:
    """Estimate the shift of a pair.

    Args:
        visible: (H, W) uint8.
        infrared: (h, w) uint8, the same view.

    Returns:
        The shift, up to 15 % of width and height, with a resolution of about 0.3 %.

    Examples:
        >>> scene = np.random.default_rng(0).integers(0, 256, (160, 200), np.uint8)
        >>> shift = estimate_shift(scene, np.roll(scene, 10, axis=1))
        >>> round(shift.x, 2), abs(round(shift.y, 2)), shift.clear
        (0.05, 0.0, True)
    """
    spectrum = np.conj(np.fft.rfft2(_edges(visible))) * np.fft.rfft2(_edges(infrared))
    magnitude = np.abs(spectrum)
    whitened = spectrum / (magnitude + 1e-6 * magnitude.max() + 1e-12)
    surface = np.fft.fftshift(np.fft.irfft2(whitened * _PASS, s=(SIDE, SIDE)))
    centre, reach = SIDE // 2, int(REACH * SIDE)
    surface = surface[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    row, column = (int(i) for i in np.unravel_index(surface.argmax(), surface.shape))
    x = (column - reach + between(surface[row], column)) / SIDE
    y = (row - reach + between(surface[:, column], row)) / SIDE
    level, peak = surface.mean(), surface[row, column]
    rest = surface.copy()
    rest[max(0, row - NEIGHBOURS) : row + NEIGHBOURS + 1, max(0, column - NEIGHBOURS) : column + NEIGHBOURS + 1] = level
    height, width = visible.shape
    return Shift(x, y * height / width, bool(peak - level > CLEAR * (rest.max() - level)))


def _edges(image: np.ndarray) -> np.ndarray:
    """Return the square root of the gradient magnitude, which keeps weak edges, windowed; (SIDE, SIDE)."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small = cv2.GaussianBlur(small, (0, 0), 1.0)
    edges = np.sqrt(cv2.magnitude(cv2.Sobel(small, cv2.CV_32F, 1, 0), cv2.Sobel(small, cv2.CV_32F, 0, 1)))
    return (edges - edges.mean()) * _WINDOW
