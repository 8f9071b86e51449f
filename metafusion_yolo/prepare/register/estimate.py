"""Where the infrared camera looks in the visible image, estimated from many pairs, and whether to trust it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from metafusion_yolo.data.registration import Size
from metafusion_yolo.prepare.register.alignment import (
    WIDTHS,
    Level,
    Pairs,
    Progress,
    corner_distance,
    moved,
    refine,
    search,
    start_matrix,
)
from metafusion_yolo.support.errors import UserError

MINIMUM = 6  # pairs, three a half
FREEDOMS = {4: "similarity", 6: "affine map", 8: "homography"}
GAIN = 1.005  # of the agreement on pairs not fitted to, for which a freer kind of matrix is taken
SPREAD = 0.02  # largest distance between the answers of the two halves, as a share of the width
STAND_OUT = 1.15  # least ratio of the best score to that of another place


class RegistrationError(UserError, ValueError):
    """The pairs do not say where the infrared camera looks: what was expected, what came, what to do."""


@dataclass(frozen=True)
class Estimate:
    """A registration estimated from pairs, and how far it can be trusted.

    Attributes:
        matrix: (3, 3) float64, from pixels of the infrared to pixels of the visible image.
        visible: (width, height) of the visible images that it refers to.
        infrared: (width, height) of the infrared images that it refers to.
        freedom: Its degrees of freedom, a key of `FREEDOMS`.
        spread: Mean distance between the corners as laid by the two halves of the pairs, as a share of the width.
        agreement: Correlation of the edges of both cameras, -1 to 1; unrelated images have 0.05 to 0.08.
        stand_out: Ratio of the best score of the search to that of the best other place; 1 to 1.1 for unrelated images.
        pairs: How many pairs it is estimated from.
    """

    matrix: np.ndarray
    visible: Size
    infrared: Size
    freedom: int
    spread: float
    agreement: float
    stand_out: float
    pairs: int

    def __str__(self) -> str:
        """Describe the matrix at the centre of the infrared image, relative to equal width and centre."""
        base = start_matrix(self.visible, self.infrared)
        centre = (np.array(self.infrared) - 1) / 2
        origin, right, down = moved(self.matrix, centre + np.array([[0, 0], [1, 0], [0, 1]]))
        (a, c), (b, d) = (right - origin) / base[0, 0], (down - origin) / base[0, 0]
        x, y = origin - moved(base, centre[None])[0]
        rotation, scale = np.degrees(np.arctan2(c - b, a + d)), np.sqrt(abs(a * d - b * c))
        return (
            f"shift {x:+.1f}, {y:+.1f} px, rotation {rotation:+.2f} degrees, scale {scale:.3f} "
            f"({FREEDOMS[self.freedom]}, {self.pairs} pairs)"
        )

    def problem(self) -> str:
        """Return why the estimate must not be used, empty if it may be."""
        if self.stand_out < STAND_OUT:
            return (
                f"no place stands out: the best one has {self.stand_out:.2f} x the score of another, expected "
                f"{STAND_OUT} x; check that the images pair up and come from one fixed rig, or give more pairs="
            )
        if self.spread > SPREAD:
            return (
                f"the two halves of the pairs lay the corners {self.spread:.1%} of the width apart, expected at most "
                f"{SPREAD:.0%}; give more pairs=, or per=sequence if the cameras moved between the sequences"
            )
        return ""


def estimate_registration(
    pairs: Pairs, progress: Progress = lambda steps, total: steps, freedom: int | None = None
) -> Estimate:
    """Estimate where the infrared camera looks in the visible image.

    The halves of the pairs, the first and the second, are estimated by themselves from the search on. The matrix gets
    as many degrees of freedom as raise the agreement on the half that it was not fitted to.

    Args:
        pairs: At least 6 visible (H, W) and infrared (h, w) images, uint8; one of another size than most is taken to
            be resized.
        progress: Shows the progress of an iterable of so many steps.
        freedom: 4, 6 or 8; None for as many as the pairs support.

    Returns:
        The estimate, whose `problem()` is to be asked for before it is used.

    Raises:
        RegistrationError: If there are too few pairs, or no edges.
    """
    if len(pairs) < MINIMUM:
        raise RegistrationError(f"{len(pairs)} pairs are too few to register by; give at least {MINIMUM}")
    visible, infrared = usual_size(v for v, _ in pairs), usual_size(i for _, i in pairs)
    found = search(Level.of(pairs, visible, infrared), progress)
    if found is None:
        raise RegistrationError(
            "one of the cameras shows no edges to register by; look at the images, and at 'thermal:' in the YAML"
        )
    levels = [Level.of(pairs, visible, infrared, width) for width in WIDTHS]
    first, second = zip(*(level.halves() for level in levels), strict=True)
    a, b, matrix = found.first_half, found.second_half, found.all
    best = -np.inf
    for kind in FREEDOMS if freedom is None else [freedom]:
        freer_a, freer_b = refine(first, a, kind), refine(second, b, kind)
        held_out = second[-1].agreement(freer_a) + first[-1].agreement(freer_b)
        if held_out < best * GAIN:
            break
        a, b, best, chosen = freer_a, freer_b, held_out, kind
        matrix = refine(levels, matrix, kind)
    spread, agreement = corner_distance(a, b, visible, infrared), levels[-1].agreement(matrix)
    return Estimate(matrix, visible, infrared, chosen, spread, agreement, found.stand_out, len(pairs))


def usual_size(images: Iterable[np.ndarray]) -> Size:
    """Return the most common (width, height) of images (H, W, ...); of equally common ones that of middling shape."""
    counts = Counter((image.shape[1], image.shape[0]) for image in images)
    most = sorted((size for size in counts if counts[size] == max(counts.values())), key=lambda size: size[0] / size[1])
    return most[len(most) // 2]
