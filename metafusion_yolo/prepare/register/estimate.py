"""The matrix from infrared to visible pixels, estimated from many pairs, and whether it can be trusted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from metafusion_yolo.data.registration import Size
from metafusion_yolo.prepare.register import homography
from metafusion_yolo.prepare.register.homography import Level, corner_distance, moved, refine
from metafusion_yolo.support.errors import UserError

MINIMUM = 6  # pairs, three per half
FREEDOMS = {4: "similarity", 6: "affine map", 8: "homography"}
GAIN = 1.005  # factor of the agreement on held-out pairs that justifies more degrees of freedom
SPREAD = 0.02  # largest distance between the estimates of the two halves, as a share of the width
SHIFTS, POINTS = (0, 2, 4, 8), (0, 2.4, 7.8, 21.6)  # px of 512, and the mAP50 that they cost: benchmarks/align.py
STAND_OUT = 1.15  # least ratio of the best score to that of another position


class RegistrationError(UserError, ValueError):
    """The pairs do not determine where the infrared camera looks."""


@dataclass(frozen=True)
class Estimate:
    """A registration estimated from pairs, and how reliable it is.

    Attributes:
        matrix: (3, 3) float64, from infrared to visible pixels.
        visible: (width, height) of the visible images that it refers to.
        infrared: (width, height) of the infrared images that it refers to.
        freedom: Degrees of freedom, a key of `FREEDOMS`.
        spread: Mean distance between the corners estimated from the two halves of the pairs, as a share of the width.
        agreement: Correlation of the edges of both cameras, -1 to 1; 0.05 to 0.08 for unrelated images.
        stand_out: Ratio of the best score of the search to that of any other position; 1 to 1.1 for unrelated images.
        pairs: Number of pairs.
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
        base = homography.start_matrix(self.visible, self.infrared)
        centre = (np.array(self.infrared) - 1) / 2
        origin, right, down = moved(self.matrix, centre + np.array([[0, 0], [1, 0], [0, 1]]))
        (a, c), (b, d) = (right - origin) / base[0, 0], (down - origin) / base[0, 0]
        x, y = origin - moved(base, centre[None])[0]
        rotation, scale = np.degrees(np.arctan2(c - b, a + d)), np.sqrt(abs(a * d - b * c))
        return (
            f"shift {x:+.1f}, {y:+.1f} px, rotation {rotation:+.2f} degrees, scale {scale:.3f} "
            f"({FREEDOMS[self.freedom]}, {self.pairs} pairs)"
        )

    @property
    def sureness(self) -> str:
        """How reliable it is, in words."""
        return (
            f"{self.stand_out:.2f} x the score of any other position, agreement of the edges {self.agreement:.2f}; "
            f"corners from the two halves of the pairs differ by {cost(self.spread)}"
        )

    def problem(self) -> str:
        """Return why the estimate must not be used; empty if it can be."""
        if self.stand_out < STAND_OUT:
            return (
                f"no position stands out: the best has {self.stand_out:.2f} x the score of another, expected "
                f"{STAND_OUT} x; check that the images pair up and come from one fixed rig, or give more pairs="
            )
        if self.spread > SPREAD:
            return (
                f"corners from the two halves of the pairs differ by {self.spread:.1%} of the width, expected at most "
                f"{SPREAD:.0%}; give more pairs=, or per=sequence if the cameras moved between the sequences"
            )
        return ""


def estimate_registration(
    pairs: homography.Pairs, progress: homography.Progress = lambda steps, total: steps, freedom: int | None = None
) -> Estimate:
    """Estimate the matrix from infrared to visible pixels.

    The first and the second half of the pairs are also estimated separately. Degrees of freedom are added as long as
    they raise the agreement on the half that a matrix was not fitted to.

    Args:
        pairs: At least 6 visible (H, W) and infrared (h, w) images, uint8; one whose size differs from most counts as
            resized.
        progress: Shows the progress of an iterable of this many steps.
        freedom: 4, 6 or 8; None to choose by the pairs.

    Returns:
        The estimate; check its `problem()` before using it.

    Raises:
        RegistrationError: If there are too few pairs, or no edges.
    """
    if len(pairs) < MINIMUM:
        raise RegistrationError(f"{len(pairs)} pairs are too few to register; give at least {MINIMUM}")
    visible, infrared = usual_size(v for v, _ in pairs), usual_size(i for _, i in pairs)
    found = homography.search(Level.of(pairs, visible, infrared), progress)
    if found is None:
        raise RegistrationError("the images of a camera show no edges; look at them, and at 'thermal:' in the YAML")
    levels = [Level.of(pairs, visible, infrared, width) for width in homography.WIDTHS]
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


def cost(share: float) -> str:
    """Return a shift, share of the width, in pixels of a detector's input, with what it costs.

    Examples:
        >>> cost(4 / 512)
        '5.0 px of 640, which cost about 8 points of mAP50'
    """
    points = np.interp(512 * share, SHIFTS, POINTS)
    lost = "more than 20" if points >= POINTS[-1] else f"about {points:.0f}" if points >= 1 else "less than 1"
    return f"{640 * share:.1f} px of 640, which cost {lost} point{'s' * (lost != 'less than 1')} of mAP50"


def usual_size(images: Iterable[np.ndarray]) -> Size:
    """Return the most common (width, height) of images (H, W, ...); of equally common ones the median aspect ratio."""
    counts = Counter((image.shape[1], image.shape[0]) for image in images)
    most = sorted((size for size in counts if counts[size] == max(counts.values())), key=lambda size: size[0] / size[1])
    return most[len(most) // 2]
