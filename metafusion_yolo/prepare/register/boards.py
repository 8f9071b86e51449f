"""The registration of two cameras that see the same chessboard, and the parallax of their lenses from its distances.

In the infrared image the squares differ by their temperature: a printed board in the sun or under a lamp, whose black
squares are warmer, or a heated or cooled plate. Which of the squares is bright does not matter.

Source: the corners, Duda and Frese 2018; size and depth of the boards, Zhang 2000; the parallax, see
:func:`~metafusion_yolo.data.registration.with_parallax`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from scipy.optimize import least_squares

from metafusion_yolo.data.registration import Size
from metafusion_yolo.prepare.register.estimate import Estimate, RegistrationError, usual_size
from metafusion_yolo.prepare.register.homography import Pairs, corner_distance

MINIMUM = 3  # boards
SMALL = 400  # width in pixels below which an image is enlarged twice to look for a board
SEARCH = cv2.CALIB_CB_NORMALIZE_IMAGE
PINHOLE = (
    cv2.CALIB_FIX_PRINCIPAL_POINT
    | cv2.CALIB_FIX_ASPECT_RATIO
    | cv2.CALIB_ZERO_TANGENT_DIST
    | cv2.CALIB_FIX_K1
    | cv2.CALIB_FIX_K2
    | cv2.CALIB_FIX_K3
    | cv2.CALIB_USE_INTRINSIC_GUESS
)
APART = 1.5  # ratio of the largest distance of a board to the smallest from which their parallax is measured
LEFT = 0.004  # share of the width that corners may miss by on average: 2 px of 512

Corners = tuple[np.ndarray, np.ndarray]  # of a board, visible and infrared, (K, 2)
Shift = tuple[float, float]
Progress = Callable[[Any, int], Any]


@dataclass(frozen=True)
class BoardEstimate(Estimate):
    """A registration from boards.

    Attributes:
        residual: How far the corners are from where the registration lays them, root mean square, visible pixels.
        parallax: See :class:`~metafusion_yolo.data.registration.Registration`; None if it was not measured, and the
            matrix then holds at the distance of the boards, else far away.
        distances: Smallest and largest distance of a board, metres; None if the size of its squares is not known.
        looked: Number of pairs that were looked at.
    """

    residual: float = 0.0
    parallax: Shift | None = None
    distances: tuple[float, float] | None = None
    looked: int = 0

    @property
    def sureness(self) -> str:
        """How reliable it is, in words."""
        where = "" if self.distances is None else f", {self.distances[0]:.1f} to {self.distances[1]:.1f} m away"
        lenses = ""
        if self.parallax:
            lenses = f"; at 1 m the lenses see {np.hypot(*self.parallax):.1f} px apart"
        seen = f"{self.pairs} boards in {self.looked} pairs"
        return f"{seen}{where}: corners within {self.residual:.2f} px (root mean square){lenses}"

    def problem(self) -> str:
        """Return why the estimate must not be used; empty if it can be."""
        if self.residual > LEFT * self.visible[0]:
            return (
                f"the corners of the boards miss by {self.residual:.1f} px; hold the board still, take both images at "
                f"the same time, and give square= in metres if its distance changes"
            )
        return super().problem()


def parse_board(text: str) -> Size:
    """Return the inner corners of a board, such as "9x6", across and down.

    Raises:
        RegistrationError: If it is no such text.

    Examples:
        >>> parse_board("9x6")
        (9, 6)
    """
    parts = text.lower().split("x")
    if len(parts) == 2 and all(part.isdigit() and int(part) > 2 for part in parts):
        return int(parts[0]), int(parts[1])
    raise RegistrationError(f"board='{text}' is invalid, expected its inner corners, across and down, such as 9x6")


def estimate_from_boards(
    pairs: Pairs, board: Size, square: float | None = None, progress: Progress = lambda steps, total: steps
) -> BoardEstimate:
    """Estimate the matrix from infrared to visible pixels from the corners of chessboards.

    Args:
        pairs: Visible (H, W) and infrared (h, w) images, uint8; those that do not show the board both are left out.
        board: Inner corners of the board, across and down.
        square: Side of a square, metres; None to leave the parallax of the lenses out.
        progress: Shows the progress of an iterable of this many steps.

    Raises:
        RegistrationError: If fewer than 3 pairs show the board in both images.
    """
    visible, infrared = usual_size(v for v, _ in pairs), usual_size(i for _, i in pairs)
    whole = [pair for pair in pairs if (pair[0].shape[1::-1], pair[1].shape[1::-1]) == (visible, infrared)]
    seen = [(corners(v, board), corners(i, board)) for v, i in progress(whole, len(whole))]
    both = [(v, _alike(v, i, board)) for v, i in seen if v is not None and i is not None]
    if len(both) < MINIMUM:
        counts = [sum(side is not None for side in camera) for camera in zip(*seen, strict=True)] or [0, 0]
        raise RegistrationError(
            f"{len(both)} of {len(pairs)} pairs show a board of {board[0]} x {board[1]} inner corners in both images "
            f"({counts[0]} visible, {counts[1]} infrared); give at least {MINIMUM}, with squares of two temperatures"
        )
    depths = (
        _depths([v for v, _ in both], board, visible, square) if square else [np.full(len(v), np.inf) for v, _ in both]
    )
    metres = sorted(float(depth.mean()) for depth in depths)
    lenses = bool(square) and metres[-1] > APART * metres[0]
    fits = [_fit(both[part], depths[part], lenses) for part in (slice(None), slice(0, None, 2), slice(1, None, 2))]
    matrix, parallax, residual = fits[0]
    spread = corner_distance(fits[1][0], fits[2][0], visible, infrared) if len(both) >= 2 * MINIMUM else 0.0
    return BoardEstimate(
        *(matrix, visible, infrared, 8, spread, 1.0, np.inf, len(both)),
        residual=residual,
        parallax=parallax if lenses else None,
        distances=(metres[0], metres[-1]) if square else None,
        looked=len(pairs),
    )


def corners(image: np.ndarray, board: Size) -> np.ndarray | None:
    """Return the inner corners (K, 2) of a board in an image (H, W) uint8, of either polarity; None without one."""
    scale = 2 if image.shape[1] < SMALL else 1
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) if scale > 1 else image
    for view in (large, 255 - large):
        found, places = cv2.findChessboardCornersSB(view, board, flags=SEARCH)
        if found:
            return (places.reshape(-1, 2).astype(np.float64) + 0.5) / scale - 0.5
    return None


def _alike(visible: np.ndarray, infrared: np.ndarray, board: Size) -> np.ndarray:
    """Return infrared corners (K, 2) in the order of the visible ones: both cameras look alike, within 45 degrees."""
    across, down = board
    target = _sides(visible.reshape(down, across, 2))
    grid = infrared.reshape(down, across, 2)
    orders = [grid[::y, ::x] for x, y in product((1, -1), repeat=2)]
    orders += [order.transpose(1, 0, 2) for order in orders] if across == down else []
    return max(orders, key=lambda order: float((_sides(order) * target).sum())).reshape(-1, 2)


def _sides(grid: np.ndarray) -> np.ndarray:
    """Return the directions of rows and columns (2, 2) of a grid of corners."""
    sides = np.stack((grid[:, -1].mean(0) - grid[:, 0].mean(0), grid[-1].mean(0) - grid[0].mean(0)))
    return np.asarray(sides / np.linalg.norm(sides, axis=1, keepdims=True))


def _depths(seen: Sequence[np.ndarray], board: Size, size: Size, square: float) -> list[np.ndarray]:
    """Return the distance of each corner (K,) of each board across the view of the visible camera, metres."""
    flat = np.zeros((board[0] * board[1], 3), np.float32)
    flat[:, :2] = square * np.mgrid[: board[0], : board[1]].T.reshape(-1, 2)
    start = np.array([[max(size), 0, (size[0] - 1) / 2], [0, max(size), (size[1] - 1) / 2], [0, 0, 1]], np.float64)
    places = [one.astype(np.float32)[:, None] for one in seen]
    _, _, _, turns, ways = cv2.calibrateCamera([flat] * len(seen), places, size, start, None, flags=PINHOLE)
    return [(flat @ cv2.Rodrigues(turn)[0].T)[:, 2] + way[2, 0] for turn, way in zip(turns, ways, strict=True)]


def _fit(both: Sequence[Corners], depths: Sequence[np.ndarray], lenses: bool) -> tuple[np.ndarray, Shift, float]:
    """Return matrix, parallax and residual of boards; the parallax is 0 if it is not to be measured."""
    visible, infrared = (np.concatenate(side) for side in zip(*both, strict=True))
    near = lenses / np.concatenate(depths)[:, None]
    start = cv2.findHomography(infrared, visible)[0].ravel()

    def misses(values: np.ndarray) -> np.ndarray:
        laid = cv2.perspectiveTransform(infrared[None], np.append(values[:8], 1).reshape(3, 3))[0]
        return np.ravel(laid + near * values[8:] - visible)

    values = np.append(start[:8] / start[8], [0, 0])
    found = least_squares(misses, values, x_scale=np.append(np.abs(values[:8]) + 1e-6, [1, 1]), method="lm").x
    matrix, (x, y) = np.append(found[:8], 1).reshape(3, 3), found[8:]
    return matrix, (float(x), float(y)), float(np.sqrt(2 * np.mean(misses(found) ** 2)))
