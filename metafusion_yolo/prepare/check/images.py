"""Measure a pair in one pass: each camera alone, the two together, and the boxes in the infrared image."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import cv2
import numpy as np
from ultralytics.utils import patches

from metafusion_yolo.data.decoding import pages_of
from metafusion_yolo.data.labels import NO_LABELS, Labels
from metafusion_yolo.data.layout import part_shape
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import compare_sizes
from metafusion_yolo.data.polarity import polarity
from metafusion_yolo.data.reading import PairReader, check_image, count_levels, read_counts, read_visible
from metafusion_yolo.data.registration import Size, warp_infrared
from metafusion_yolo.prepare.check.files import PairFiles
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.prepare.check.labels import inspect_labels
from metafusion_yolo.prepare.check.shift import SIDE, Shift, estimate_shift
from metafusion_yolo.prepare.similarity import pair_thumbnail

DIGEST = 16  # bytes of the hash of a file
THUMBNAIL = 32  # side in pixels of the thumbnail that stands for the layout of an image
BLANK = 1.0  # grey levels of standard deviation below which an image shows nothing
GREY, COLOURED = 1.0, 2.0  # an image is grey below, coloured above this mean range of R, G, B
SAME = 0.99  # correlation of brightness above which both cameras hold the same picture
FEW_LEVELS = 24  # distinct counts
COARSE = 16  # step between the counts of a 16-bit image from which it was 8-bit before
SMALLEST = (3, 5)  # (width, height) in pixels of a box whose contrast is measured


@dataclass(frozen=True, slots=True)
class View:
    """Measurements of the image of one camera.

    Attributes:
        size: (width, height) in pixels.
        depth: Type of the samples, such as "uint16".
        levels: Number of distinct counts of an infrared image; 0 for a visible one.
        step: Greatest common divisor of the differences between the counts; 0 for a visible image.
        brightness: Mean grey, 0 to 255.
        contrast: Standard deviation of the grey, 0 to 255.
        colour: Largest minus smallest of R, G, B, mean over the image, 0 to 255.
        digest: Hash of the bytes of the file.
    """

    size: Size
    depth: str
    levels: int
    step: int
    brightness: float
    contrast: float
    colour: float
    digest: bytes

    @property
    def blank(self) -> bool:
        """Whether the image shows nothing."""
        return self.contrast < BLANK


@dataclass(frozen=True, slots=True)
class Measurements:
    """Measurements of a pair.

    Attributes:
        files: Paths.
        classes: (K,) int64 of the usable objects.
        boxes_xywhn: (K, 4) float64, normalised.
        outlined: Whether they are polygons.
        visible: The visible image.
        infrared: The infrared image, in grey as training sees it.
        correlation: Correlation of the brightness of the two images, -1 to 1.
        shift: Shift of the infrared image against the visible one; None if one of them is blank.
        look: (512,) float32, see :func:`~metafusion_yolo.prepare.similarity.pair_thumbnail`.
        thumbnail: The infrared image, (32, 32) uint8.
        polarity: 1 if the infrared image is white-hot, -1 if it is black-hot, 0 if it does not tell.
        box_contrasts: (K,) mean grey of each box minus that around it, in standard deviations of the infrared image;
            NaN for boxes that are too small.
    """

    files: PairFiles
    classes: np.ndarray
    boxes_xywhn: np.ndarray
    outlined: bool
    visible: View
    infrared: View
    correlation: float
    shift: Shift | None
    look: np.ndarray
    thumbnail: np.ndarray
    polarity: int
    box_contrasts: np.ndarray

    @property
    def views(self) -> tuple[View, View]:
        """The visible and the infrared image."""
        return self.visible, self.infrared


def inspect_pair(
    files: PairFiles, reader: PairReader, class_count: int, kpt_shape: Sequence[int] | None = None
) -> tuple[Measurements | None, list[Case]]:
    """Decode and measure a pair and its labels; return the measurements, None if unreadable, and the faults."""
    cases: list[Case] = []
    sizes: list[Size] = []
    both = reader.rig.layout
    for file, read in ((files.visible, read_visible), (files.infrared, read_counts)):
        try:
            sizes += [check_image(file, read)] if file else []
            if file and (count := len(pages_of(file))) > 1:
                cases.append(Case("several-pages", file, f"{count} pages", files.both))
        except PairError as error:
            cases.append(
                Case("unreadable", file, str(error).partition("; restore ")[0].replace(f"'{file}' ", ""), files.both)
            )
    labels = NO_LABELS
    if sizes and both:
        sizes = [part_shape(sizes[0][::-1], both)[::-1]] * 2
    if sizes and Path(files.label).is_file():
        labels, found = inspect_labels(files.label, class_count, sizes[0], files.both, kpt_shape)
        cases += found
    if len(sizes) < 2:
        return None, cases
    homography = reader.rig.homography(files.visible, sizes[0], sizes[1])
    if homography is None:
        problem, warning = compare_sizes(sizes[0], sizes[1], "the two images")
        if problem or warning:
            detail = "{}x{} and {}x{}".format(*sizes[0], *sizes[1])
            cases.append(Case("shape-mismatch" if problem else "size-difference", files.visible, detail, files.both))
    try:
        measured = _measure(files, reader, labels, homography)
    except (PairError, cv2.error) as error:  # Pillow can read it, OpenCV cannot
        return None, [*cases, Case("unreadable", files.visible, " ".join(str(error).split()), files.both)]
    found = [Case(kind, file, detail, files.both) for kind, file, detail in _judge(measured)]
    expected = "unusual-depth" if reader.rig.thermal.unit else ""  # temperatures may be fractions
    return measured, cases + [case for case in found if case.kind != expected]


def _measure(files: PairFiles, reader: PairReader, labels: Labels, homography: np.ndarray | None) -> Measurements:
    visible, counts = reader.parts(files.visible, files.infrared)
    luminance = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY)
    limits = reader.limits_of(files.infrared) if files.infrared else None
    grey = reader.rig.thermal.to_uint8(counts, limits, files.visible)
    if homography is None:
        seen, plane = luminance, grey
    else:  # the visible image in the view of the infrared camera, and the infrared plane as in training
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        seen = cv2.warpPerspective(luminance, homography, grey.shape[::-1], flags=flags)
        plane = warp_infrared(visible, grey, homography)
    levels, step = _levels(counts)
    views = (
        _view(files.visible, luminance, str(visible.dtype), _colour(visible), count_levels(visible)),
        _view(files.infrared or files.visible, grey, str(counts.dtype), _file_colour(files.infrared), levels, step),
    )
    return Measurements(
        files,
        labels.classes,
        labels.boxes_xywhn,
        bool(labels.outlines),
        *views,
        correlation=_correlation(seen, grey),
        shift=None if views[0].blank or views[1].blank else estimate_shift(seen, grey),
        look=pair_thumbnail(visible, counts),
        thumbnail=cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA),
        polarity=polarity(grey),
        box_contrasts=_box_contrasts(plane, labels.boxes_xywhn),
    )


def _view(file: str, grey: np.ndarray, depth: str, colour: float, levels: int = 0, step: int = 0) -> View:
    mean, deviation = (float(value.item()) for value in cv2.meanStdDev(grey))
    digest = hashlib.blake2b(Path(file).read_bytes(), digest_size=DIGEST).digest()
    return View((grey.shape[1], grey.shape[0]), depth, levels, step, mean, deviation, colour, digest)


def _colour(image: np.ndarray) -> float:
    """Return the largest minus the smallest channel of an (H, W, 3) uint8 image, mean over the image."""
    first, *others = cv2.split(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return float((reduce(cv2.max, others, first) - reduce(cv2.min, others, first)).mean())


def _file_colour(file: str) -> float:
    """Return the colour of an infrared file, which is otherwise read as grey; 0 for one plane."""
    image = None if not file or file.endswith(".npy") else patches.imread(file, cv2.IMREAD_REDUCED_COLOR_4)
    return 0.0 if image is None or image.dtype != np.uint8 else _colour(image)


def _levels(counts: np.ndarray) -> tuple[int, int]:
    """Return the number of distinct counts and the step between them; zeros for floats."""
    if counts.dtype.kind == "f":
        return 0, 0
    few = counts.dtype in (np.uint8, np.uint16)  # counting is then several times faster than sorting
    present = np.flatnonzero(np.bincount(counts.ravel())) if few else np.unique(counts)
    return len(present), int(np.gcd.reduce(np.diff(present))) if len(present) > 1 else 0


def _correlation(visible: np.ndarray, infrared: np.ndarray) -> float:
    """Return the correlation of brightness at low resolution; 0 if either image is constant."""
    a, b = (cv2.resize(i, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) for i in (visible, infrared))
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() and b.std() else 0.0


def _box_contrasts(grey: np.ndarray, boxes_xywhn: np.ndarray) -> np.ndarray:
    """Return how much brighter each box is than a margin of half its width and a quarter of its height around it."""
    contrasts = np.full(len(boxes_xywhn), np.nan)
    height, width = grey.shape
    scale = max(float(grey.std()), 1.0) if len(boxes_xywhn) else 1.0
    for i, (x, y, w, h) in enumerate(boxes_xywhn * (width, height, width, height)):
        x0, y0, x1, y1 = (max(0, round(v)) for v in (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
        inside = grey[y0:y1, x0:x1]
        margin_x, margin_y = max(2, (x1 - x0) // 2), max(2, (y1 - y0) // 4)
        around = grey[max(0, y0 - margin_y) : y1 + margin_y, max(0, x0 - margin_x) : x1 + margin_x]
        rest = around.size - inside.size
        if inside.shape[1] >= SMALLEST[0] and inside.shape[0] >= SMALLEST[1] and rest:
            total = float(inside.sum())
            contrasts[i] = (total / inside.size - (float(around.sum()) - total) / rest) / scale
    return contrasts


def _judge(pair: Measurements) -> Iterator[tuple[str, str, str]]:
    """Yield kind, file and detail of the faults that a pair shows by itself."""
    visible, infrared, files = pair.visible, pair.infrared, pair.files
    for view, file in ((visible, files.visible), (infrared, files.infrared)):
        if view.blank:
            yield "blank-image", file, f"standard deviation {view.contrast:.1f} of 255, mean {view.brightness:.0f}"
    copied = visible.digest == infrared.digest and bool(files.infrared)
    if not (visible.blank or infrared.blank) and (copied or abs(pair.correlation) > SAME):
        yield "same-image-twice", files.visible, "the same file" if copied else f"correlation {pair.correlation:.3f}"
    elif infrared.colour > COLOURED and visible.colour < GREY:
        detail = f"colour {visible.colour:.1f} and, infrared, {infrared.colour:.1f} of 255"
        yield "swapped-cameras", files.visible, detail
    elif infrared.colour > COLOURED:
        yield "coloured-infrared", files.infrared, f"channels differ by {infrared.colour:.1f} of 255 on average"
    elif visible.colour < GREY and not visible.blank:
        yield "grey-visible", files.visible, ""
    was_8_bit = infrared.depth == "uint16" and infrared.step >= COARSE
    if infrared.depth not in ("uint8", "uint16"):
        yield "unusual-depth", files.infrared, infrared.depth
    elif not infrared.blank and (infrared.levels < FEW_LEVELS or was_8_bit):
        yield "few-levels", files.infrared, f"{infrared.levels} levels, {infrared.step} apart, in {infrared.depth}"
