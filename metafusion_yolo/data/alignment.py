"""The small shift that is left between two registered cameras, found from the edges that both see.

Source: the doubled angle, Granlund 1978; the squared cosine between gradients as a measure across cameras, Haber and
Modersitzki 2006. The decaying sum over the pairs of a camera is this project's.
"""

from __future__ import annotations

import cv2
import numpy as np

WIDTH = 128  # pixels at which pairs are compared
REACH = 4  # largest shift there: 3 % of the width
MEMORY = 0.9  # share of the evidence that the next pair keeps: about ten count
SETTLED, EVERY = 16, 4  # pairs that are all compared; of those after them, one in so many
CLEAR = 16.0  # height of a trusted peak of one pair, in standard deviations of edges at random angles
STILL, FAR = 0.002, 0.004  # shares of the width from which a shift is undone, and is worth a warning: 1, 2 px of 512


def edges(image: np.ndarray) -> np.ndarray:
    """Return the edges of an image (H, W) uint8 as (H, W) complex64.

    The angle is twice that of the gradient, so that a reversed contrast does not change it; the magnitude is relative
    to the surroundings and at most 3.
    """
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    gradient = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) + 1j * cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    magnitude = np.abs(gradient)
    around = np.maximum(cv2.GaussianBlur(magnitude, (0, 0), 8.0), 0.1 * magnitude.mean() + 1e-3)
    return (np.minimum(magnitude / around, 3) * (gradient / np.maximum(magnitude, 1e-6)) ** 2).astype(np.complex64)


class Aligner:
    """Estimate the shift between the images of two cameras from all pairs seen so far.

    Attributes:
        pairs: Number of pairs seen.
        shift: (x, y), share of the width by which the infrared image lies further right and down; (0, 0) while the
            edges do not tell it clearly.
        clear: Whether the edges tell it clearly.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> scene = cv2.resize(rng.integers(0, 256, (12, 16), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
        >>> aligner = Aligner()
        >>> aligner.see(scene, 255 - np.roll(scene, 4, 1))
        >>> [round(160 * share) for share in aligner.shift]
        [4, 0]
    """

    def __init__(self) -> None:
        self.pairs = 0
        self._weight = 0.0
        self.shift, self.clear = (0.0, 0.0), False
        self._scores = self._energy = np.zeros((2 * REACH + 1, 2 * REACH + 1))

    def see(self, visible: np.ndarray, infrared: np.ndarray) -> None:
        """Take a pair into account: a visible image (H, W, 3) or (H, W) and an infrared one (H, W) of uint8."""
        self.pairs += 1
        if self.pairs > SETTLED and self.pairs % EVERY:
            return
        height, width = infrared.shape
        step = max(1, width // (3 * WIDTH))  # of large images every second or third pixel will do
        size = WIDTH, max(4 * REACH, round(WIDTH * height / width))
        pair = (np.ascontiguousarray(image[::step, ::step]) for image in (visible, infrared))
        small = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in pair)
        one, other = (edges(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)) for image in small)
        middle = one[REACH:-REACH, REACH:-REACH]
        scores = slide(other.real, middle.real) + slide(other.imag, middle.imag)
        energy = slide(np.abs(other) ** 2, np.abs(middle) ** 2)
        self._scores, self._energy = MEMORY * self._scores + scores, MEMORY * self._energy + energy
        self._weight = MEMORY * self._weight + 1
        clear = self._scores / np.sqrt(self._energy / 2 + 1e-3)
        row, column = (int(i) for i in np.unravel_index(clear.argmax(), clear.shape))
        self.shift, self.clear = (0.0, 0.0), False
        inside = all(0 < i < 2 * REACH for i in (row, column))  # at the rim the peak may lie beyond
        if inside and clear[row, column] > CLEAR * np.sqrt(self._weight):
            found = column + between(self._scores[row], column), row + between(self._scores[:, column], row)
            self.clear = True
            self.shift = ((found[0] - REACH) / WIDTH, (found[1] - REACH) / WIDTH)

    @property
    def size(self) -> float:
        """Length of the shift, share of the width."""
        return float(np.hypot(*self.shift))

    def matrix(self, width: int) -> np.ndarray:
        """Return the (3, 3) matrix that moves an infrared image back by whole pixels, which blurs nothing."""
        x, y = (-round(width * share) if self.size > STILL else 0 for share in self.shift)
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    def moved(self, infrared: np.ndarray) -> np.ndarray:
        """Return an infrared image (H, W) moved back, its border repeated."""
        height, width = infrared.shape
        x, y = self.matrix(width)[:2, 2].tolist()
        inside = infrared[max(0, -y) : height - max(0, y), max(0, -x) : width - max(0, x)]
        border = max(0, y), max(0, -y), max(0, x), max(0, -x)
        return cv2.copyMakeBorder(inside, *border, cv2.BORDER_REPLICATE) if x or y else infrared


def between(line: np.ndarray, i: int) -> float:
    """Return the offset from index i of the peak of a parabola through the value there and its two neighbours."""
    if not 0 < i < len(line) - 1:
        return 0.0
    before, here, after = line[i - 1 : i + 2]
    bend = before - 2 * here + after
    return float((before - after) / (2 * bend)) if bend < 0 else 0.0


def slide(image: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the cross-correlation of a part with an image."""
    return cv2.matchTemplate(np.ascontiguousarray(image), np.ascontiguousarray(part), cv2.TM_CCORR)
