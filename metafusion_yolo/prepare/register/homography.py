"""The homography from infrared to visible images: a search over all pairs at once, then a refinement.

The two cameras agree on the position and direction of edges, not on which side is brighter. An image is therefore
reduced to its edges as complex numbers with *twice* the angle of the gradient, which reversed contrast does not change.
All pairs share one transform, so their correlations add up, and scene and noise average out.

Source: the doubled angle, Granlund 1978; Fourier correlation of complex gradients, Argyriou and Vlachos 2003 and
Tzimiropoulos et al. 2010; the squared cosine between gradients as a measure across cameras, Haber and Modersitzki 2006.
The sums over pairs and the refinement by blocks are this project's.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from metafusion_yolo.data.alignment import edges, slide
from metafusion_yolo.data.registration import Size, scaling

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # visible (H, W) and infrared (h, w), grey uint8
Progress = Callable[[Iterable["Peaks"], int], Iterable["Peaks"]]

SEARCH_WIDTH, WIDTHS = 128, (256, 512)  # of the visible image in search and refinement, pixels
SCALES = np.exp(np.arange(-23, 24) * 0.03)  # 0.5 to 2, relative to images of the same width
ROTATIONS = np.deg2rad(np.arange(-10, 11))
SHIFT = 0.25  # largest shift of the search, as a share of width and height
APART = 0.1  # distance from which a position counts as another one, as a share of the width
GRID, REACH, FINER = (6, 4), 6, 4  # blocks across and down; their largest shift in pixels; steps per pixel
FAINT = 0.05  # lower limit of the energy under a score, as a share of the largest

CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)  # of an image, in units of half its size
_X, _Y = CORNERS.T
_I, _O = np.ones(4), np.zeros(4)
# How the parameters, in pixels, move the corners (8, 4, 2): shifts, scale, rotation, stretch, shear, keystones.
_MODES = np.stack(
    [(_I, _O), (_O, _I), (_X, _Y), (-_Y, _X), (_X, -_Y), (_Y, _X), (_X * _Y, _O), (_O, _X * _Y)]
).transpose(0, 2, 1)


class Found(NamedTuple):
    """The best matrices (3, 3) of the search, from infrared to visible pixels."""

    first_half: np.ndarray
    second_half: np.ndarray
    all: np.ndarray
    stand_out: float  # ratio of the best score to that of any other position


class Peaks(NamedTuple):
    """The best shift at one scale and rotation, for each half of the pairs and for all."""

    scores: list[float]  # in standard deviations of edges at random angles
    shifts: list[tuple[int, int]]  # x, y in pixels of the search
    scale: float
    rotation: float


@dataclass(frozen=True)
class Level:
    """The pairs in one size.

    Attributes:
        pairs: Edges of each visible image (H, W) complex64, and the infrared image (h, w) uint8 to warp onto it.
        size: (width, height) of the resized visible images.
        visible: (width, height) of the visible images to which matrices refer.
        infrared: (width, height) of the infrared images to which matrices refer.
        there: (3, 3), from visible pixels to resized ones.
        back: (3, 3), from resized infrared pixels to original ones.
    """

    pairs: Pairs
    size: Size
    visible: Size
    infrared: Size
    there: np.ndarray
    back: np.ndarray

    @classmethod
    def of(cls, pairs: Pairs, visible: Size, infrared: Size, width: int = SEARCH_WIDTH) -> "Level":
        """Resize the images to a width in pixels."""
        size, small = ((width, max(8, round(width * h / w))) for w, h in (visible, infrared))
        images = [(edges(_resize(v, size)), _resize(i, small)) for v, i in pairs]
        return cls(images, size, visible, infrared, scaling(visible, size), scaling(small, infrared))

    def halves(self) -> "tuple[Level, Level]":
        """Return a level with the first half of the pairs and one with the second."""
        middle = len(self.pairs) // 2
        return replace(self, pairs=self.pairs[:middle]), replace(self, pairs=self.pairs[middle:])

    def warped(self, matrix: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the edges (H, W) of both images of each pair, the infrared one warped; 0 outside its view."""
        here = self.there @ matrix @ self.back
        for visible, infrared in self.pairs:
            view = cv2.warpPerspective(np.full_like(infrared, 255), here, self.size)
            inside = cv2.erode(view, np.ones((7, 7)), borderType=cv2.BORDER_CONSTANT, borderValue=255) == 255
            yield visible, edges(cv2.warpPerspective(infrared, here, self.size)) * inside

    def agreement(self, matrix: np.ndarray) -> float:
        """Return the correlation of the edges of both cameras in their common view, -1 to 1; 0 without edges."""
        product = energy = other = 0.0
        for visible, infrared in self.warped(matrix):
            product += float((visible * infrared.conj()).real.sum())
            energy += float((np.abs(visible[infrared != 0]) ** 2).sum())
            other += float((np.abs(infrared) ** 2).sum())
        return float(product / np.sqrt(energy * other)) if energy * other > 0 else 0.0


def start_matrix(visible: Size, infrared: Size) -> np.ndarray:
    """Return the (3, 3) matrix that aligns the centres of both images and makes them equally wide."""
    k = visible[0] / infrared[0]
    (x, y), (u, v) = (((w - 1) / 2, (h - 1) / 2) for w, h in (visible, infrared))
    return np.array([[k, 0, x - k * u], [0, k, y - k * v], [0, 0, 1]])


def corner_distance(first: np.ndarray, second: np.ndarray, visible: Size, infrared: Size) -> float:
    """Return the mean distance between the corners of the infrared image under two matrices, in visible widths.

    Examples:
        >>> corner_distance(np.eye(3), np.array([[1.0, 0, 4], [0, 1, 3], [0, 0, 1]]), (500, 400), (500, 400))
        0.01
    """
    corners = (CORNERS + 1) / 2 * (np.array(infrared) - 1)
    return float(np.linalg.norm(moved(first, corners) - moved(second, corners), axis=1).mean()) / visible[0]


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points (N, 2) transformed by a homography."""
    return cv2.perspectiveTransform(np.asarray(points, np.float64)[None], np.asarray(matrix, np.float64))[0]


# Search --------------------------------------------------------------------------------------------------------------
def search(level: Level, progress: Progress) -> Found | None:
    """Find the best scale, rotation and shift of each half of the pairs and of all; None if there are no edges."""
    if not any(visible.any() for visible, _ in level.pairs) or not any(edges(i).any() for _, i in level.pairs):
        return None
    start = start_matrix(level.visible, level.infrared)
    found = list(progress(_correlate(level, start), len(SCALES) * len(ROTATIONS)))

    def matrix(peaks: Peaks, which: int) -> np.ndarray:
        motion = similarity(level.size, peaks.scale, peaks.rotation, peaks.shifts[which])
        return np.linalg.inv(level.there) @ motion @ level.there @ start

    best = [max(found, key=lambda peaks, i=i: peaks.scores[i]) for i in range(3)]  # type: ignore[misc]
    if min(best[0].scores[0], best[1].scores[1]) <= 0:
        return None
    matrices = [matrix(peaks, i) for i, peaks in enumerate(best)]
    others = [
        peaks.scores[2]
        for peaks in found
        if corner_distance(matrix(peaks, 2), matrices[2], level.visible, level.infrared) > APART
    ]
    return Found(matrices[0], matrices[1], matrices[2], best[2].scores[2] / max(others))


def _correlate(level: Level, start: np.ndarray) -> Iterator[Peaks]:
    """Yield the best shifts for every scale and rotation; the scales are shared out among the cores."""
    margin = [round(SHIFT * n) for n in level.size]
    width, height = (cv2.getOptimalDFTSize(n + 2 * m) for n, m in zip(level.size, margin, strict=True))
    infrared = [_parts(edges(image)) for _, image in level.pairs]
    middle = similarity(level.size, 1, 0, margin)  # of a canvas with room for any shift
    visible = [_warp(_parts(field), middle, (width, height)) for field, _ in level.pairs]
    spectra, energies = [_spectrum(field) for field in visible], [_spectrum(_energy(field)) for field in visible]
    here = level.there @ start @ level.back

    def at(scale: float) -> list[Peaks]:
        spread, found = np.empty(0), []
        for k, rotation in enumerate([0.0, *ROTATIONS]):
            matrix = similarity(level.size, scale, rotation, margin) @ here
            sums = np.zeros((2, height, width), np.complex64)  # of each half
            for i, field in enumerate(infrared):
                warped = _warp(field, matrix, (width, height))
                one, other = (energies[i], _energy(warped)) if k == 0 else (spectra[i], warped)
                sums[2 * i // len(infrared)] += one * _spectrum(other).conj()
            turn = np.array(
                [np.cos(2 * rotation), np.sin(2 * rotation)], np.float32
            )  # edges turn twice as far as the image
            first, second = (cv2.idft(_planes(plane), flags=cv2.DFT_SCALE) @ turn for plane in sums)
            planes = np.stack([first, second, first + second])
            if k == 0:  # the energies hardly depend on the rotation
                spread = _spread(planes, planes.max((1, 2), keepdims=True))
            else:
                found.append(_peaks(planes / spread, margin, scale, rotation))
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV works outside the interpreter's lock
        for found in pool.map(at, SCALES):
            yield from found


def _peaks(scores: np.ndarray, margin: Sequence[int], scale: float, rotation: float) -> Peaks:
    """Return the highest of the scores (3, H, W) by shift; negative shifts are at the end of each axis."""
    mx, my = margin
    reach = np.roll(scores, (my, mx), (1, 2))[:, : 2 * my + 1, : 2 * mx + 1]
    at = [np.unravel_index(plane.argmax(), plane.shape) for plane in reach]
    shifts = [(int(x) - mx, int(y) - my) for y, x in at]
    return Peaks([float(plane.max()) for plane in reach], shifts, float(scale), float(rotation))


def _spread(energy: np.ndarray, greatest: np.ndarray | float) -> np.ndarray:
    """Return the standard deviation of a score for edges at random angles, from their energy."""
    return np.sqrt(np.maximum(energy, FAINT * greatest) / 2 + 1e-3)


# Refinement ----------------------------------------------------------------------------------------------------------
def refine(levels: Sequence[Level], matrix: np.ndarray, freedom: int) -> np.ndarray:
    """Return the matrix near a given one under which blocks of the images correlate best.

    Args:
        levels: The pairs in growing sizes.
        matrix: (3, 3), from infrared to visible pixels.
        freedom: Degrees of freedom: 4 for a similarity, 6 for an affine map, 8 for a homography.
    """
    for level in levels:
        for _ in range(2):
            motion = _climb(*_block_scores(level, matrix), level.size, freedom)
            matrix = np.linalg.inv(level.there) @ motion @ level.there @ matrix
    return matrix / matrix[2, 2]


def _block_scores(level: Level, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (N, S, S) of N blocks by shift, in `FINER` steps per pixel, and their centres (N, 2)."""
    xs, ys = (np.linspace(0, n, parts + 1).astype(int) for n, parts in zip(level.size, GRID, strict=True))
    blocks = [np.s_[top:bottom, left:right] for top, bottom in pairwise(ys) for left, right in pairwise(xs)]
    sums = np.zeros((2, len(blocks), 2 * REACH + 1, 2 * REACH + 1), np.float32)
    for visible, infrared in level.warped(matrix):
        padded = np.pad(visible, REACH)
        planes = [(padded.real, infrared.real), (padded.imag, infrared.imag)]
        for i, (y, x) in enumerate(blocks):
            around = np.s_[y.start : y.stop + 2 * REACH, x.start : x.stop + 2 * REACH]
            sums[0, i] += sum(slide(image[around], part[y, x]) for image, part in planes)
            sums[1, i] += slide(np.abs(padded[around]) ** 2, np.abs(infrared[y, x]) ** 2)
    scores = sums[0] / _spread(sums[1], sums[1].max())
    side = 2 * REACH * FINER + 1
    finer, how = np.diag([1 / FINER, 1 / FINER, 1])[:2], cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    smooth = [cv2.warpAffine(s, finer, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE) for s in scores]
    centres = [((x.start + x.stop - 1) / 2, (y.start + y.stop - 1) / 2) for y, x in blocks]
    return np.stack(smooth), np.array(centres)


def _climb(scores: np.ndarray, centres: np.ndarray, size: Size, freedom: int) -> np.ndarray:
    """Return the small motion (3, 3) with the highest sum of scores of the blocks, by pattern search."""
    corners = (CORNERS + 1) / 2 * (np.array(size) - 1)
    blocks = np.arange(len(scores))

    def motion(parameters: np.ndarray) -> np.ndarray:
        there = corners + np.tensordot(parameters, _MODES[:freedom], 1)
        return cv2.getPerspectiveTransform(corners.astype(np.float32), there.astype(np.float32))

    def height(parameters: np.ndarray) -> float:
        x, y = ((moved(motion(parameters), centres) - centres + REACH) * FINER).T
        return float(map_coordinates(scores, (blocks, y, x), order=1, mode="nearest").sum())

    parameters, step = np.zeros(freedom), 2.0
    best = height(parameters)
    while step > 0.02:  # pixels
        tried = [parameters + step * sign * axis for axis in np.eye(freedom) for sign in (1, -1)]
        heights = [height(candidate) for candidate in tried]
        if max(heights) > best:
            best, parameters = max(heights), tried[int(np.argmax(heights))]
        else:
            step /= 2
    return motion(parameters)


# Arithmetic ----------------------------------------------------------------------------------------------------------
def similarity(size: Size, scale: float, rotation: float, shift: Sequence[float]) -> np.ndarray:
    """Return the (3, 3) matrix that scales and rotates (radians) about the centre of an image, then shifts."""
    centre = (np.array(size) - 1) / 2
    turn = scale * np.array([[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
    return np.vstack([np.column_stack([turn, centre + shift - turn @ centre]), [0, 0, 1]])


def _parts(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the real and the imaginary part of a complex field (H, W), each contiguous."""
    return np.ascontiguousarray(field.real), np.ascontiguousarray(field.imag)


def _warp(parts: tuple[np.ndarray, np.ndarray], matrix: np.ndarray, size: Size) -> np.ndarray:
    """Return a complex field (H, W) warped by an affine (3, 3) matrix; its parts one by one, which is faster."""
    return cv2.merge([cv2.warpAffine(part, matrix[:2], size) for part in parts]).view(np.complex64)[..., 0]


def _energy(field: np.ndarray) -> np.ndarray:
    """Return the squared magnitude of a complex field, as complex numbers."""
    return field * field.conj()


def _planes(field: np.ndarray) -> np.ndarray:
    """Return a complex field (H, W) in OpenCV's layout (H, W, 2)."""
    return field.view(np.float32).reshape(*field.shape, 2)


def _spectrum(field: np.ndarray) -> np.ndarray:
    """Return the Fourier transform of a complex field (H, W)."""
    return cv2.dft(_planes(field)).view(np.complex64)[..., 0]


def _resize(image: np.ndarray, size: Size) -> np.ndarray:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_LINEAR)
