"""YOLO label files: the one reader and the one writer of boxes, polygons, oriented boxes and keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ultralytics.data.utils import img2label_paths

from metafusion_yolo.support.errors import UserError

MOST_POINTS = 1000  # of a polygon that is looked at closely
LEAST_SPREAD = 1e-5  # of the points of a polygon across their line, in shares of the image


class LabelError(UserError, ValueError):
    """The labels of an image cannot be read; the message names the line and what is wrong with it."""


@dataclass(frozen=True)
class Labels:
    """The labelled objects of an image, K of them, in the order of the rows.

    Attributes:
        classes: (K,) int64, as written: a class may be one that no YAML names.
        boxes_xywhn: (K, 4) float64, normalised, as written: a box may leave the image. Of a polygon the box around it.
        outlines: The polygon (P, 2) of each object, normalised; none for boxes.
        keypoints: (K, points, 2 or 3) float64, normalised x and y, and whether it shows; None without any.
    """

    classes: np.ndarray
    boxes_xywhn: np.ndarray
    outlines: tuple[np.ndarray, ...] = ()
    keypoints: np.ndarray | None = None

    @property
    def boxes_xyxyn(self) -> np.ndarray:
        """Left, top, right, bottom (K, 4), normalised."""
        centres, halves = self.boxes_xywhn[:, :2], self.boxes_xywhn[:, 2:] / 2
        return np.concatenate([centres - halves, centres + halves], 1)

    def chosen(self, kept: np.ndarray) -> Labels:
        """Return the objects for which `kept` (K,) holds."""
        outlines = tuple(outline for outline, keep in zip(self.outlines, kept, strict=False) if keep)
        marks = None if self.keypoints is None else self.keypoints[kept]
        return Labels(self.classes[kept], self.boxes_xywhn[kept], outlines, marks)


NO_LABELS = Labels(np.zeros(0, np.int64), np.zeros((0, 4)))


def label_file(image: str | Path) -> Path:
    """Return where the label file of a visible image belongs, by the host's rule; it need not exist."""
    return Path(img2label_paths([str(image)])[0])


def read_labels(file: str | Path, mixed: bool = False, kpt_shape: Sequence[int] | None = None) -> Labels:
    """Read a label file: a row for each box, or for each polygon `class x1 y1 x2 y2 x3 y3 ...`.

    Args:
        file: The label file; one that does not exist belongs to an image without objects.
        mixed: Whether boxes, given as their corners, may stand among polygons; training would misread such a file.
        kpt_shape: Number of keypoints behind each box, and of values each, as in the data-set YAML; None for none.

    Raises:
        LabelError: If the file is not UTF-8, or a row is not of finite numbers, or not of as many as it should be.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig") if Path(file).is_file() else ""
    except UnicodeDecodeError as error:
        raise LabelError(f"not UTF-8 text (at byte {error.start})") from error
    except OSError as error:
        raise LabelError(str(error)) from error
    rows = [row.split() for row in text.splitlines() if row.strip()]
    behind = int(np.prod(kpt_shape)) if kpt_shape else 0
    numbers = [_parse(i, row, len(rows[0]), mixed, behind) for i, row in enumerate(rows, start=1)]
    if not numbers:
        return NO_LABELS
    classes = np.array([row[0] for row in numbers]).astype(np.int64)
    if kpt_shape:
        stacked = np.stack(numbers)
        return Labels(classes, stacked[:, 1:5], keypoints=stacked[:, 5:].reshape(-1, *kpt_shape))
    found = Labels(classes, np.stack([_box(row[1:]) for row in numbers]))
    if max(map(len, numbers)) == 5:
        return found
    around = found.boxes_xyxyn[:, [0, 1, 2, 1, 2, 3, 0, 3]]  # of a box among polygons
    outlines = (row[1:] if len(row) > 5 else box for row, box in zip(numbers, around, strict=True))
    return replace(found, outlines=tuple(outline.reshape(-1, 2) for outline in outlines))


def _parse(i: int, row: list[str], first: int, mixed: bool, behind: int) -> np.ndarray:
    """Return the numbers of row i, class and coordinates; `first` is how many the first row has."""
    if behind:
        if len(row) != 5 + behind:
            raise LabelError(
                f"line {i} has {len(row)} columns; expected {5 + behind}: 'class x y width height' and the keypoints"
            )
    elif len(row) != 5 and (len(row) < 7 or len(row) % 2 == 0):
        raise LabelError(f"line {i} has {len(row)} columns; expected 'class x y width height', or a polygon")
    if not mixed and len(row) != first and 5 in (len(row), first):
        raise LabelError(f"line {i} has {len(row)} columns, the first {first}; do not mix boxes and polygons")
    try:
        numbers = np.array([float(word) for word in row])
    except ValueError:
        raise LabelError(f"line {i} is not made of numbers: '{' '.join(row)[:60]}'") from None
    if not np.isfinite(numbers).all() or numbers[0] % 1:
        raise LabelError(f"line {i} has no whole class and finite numbers: '{' '.join(row)[:60]}'")
    return numbers


def _box(values: np.ndarray) -> np.ndarray:
    """Return centre and size (4,) of a box as it is written, or of a polygon."""
    if len(values) == 4:
        return values
    points = values.reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    return np.concatenate([(low + high) / 2, high - low])


def is_empty(polygon: np.ndarray) -> bool:
    """Return whether the points of a polygon (N, 2) lie on a line, so that its mask is empty."""
    return bool(np.linalg.svd(polygon - polygon.mean(0), compute_uv=False)[-1] < LEAST_SPREAD)


def crosses_itself(polygon: np.ndarray) -> bool:
    """Return whether two edges of a polygon (N, 2) cross, so that its mask is torn; edges that touch do not.

    Polygons of very many points are skipped: they were traced along a mask and do not cross themselves.

    Examples:
        >>> crosses_itself(np.array([[0, 0], [1, 1], [1, 0], [0, 1]]))
        True
    """
    if len(polygon) > MOST_POINTS:
        return False
    starts, ends = polygon, np.roll(polygon, -1, 0)

    def sides(points: np.ndarray) -> np.ndarray:  # of each edge (rows) on which each point (columns) lies
        along, to = (ends - starts)[:, None], points[None] - starts[:, None]
        return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])

    apart = sides(starts) * sides(ends) < 0
    return bool((apart & apart.T).any())


def outline_rows(outlines: Sequence[tuple[int, np.ndarray]]) -> str:
    r"""Return the text of a label file of outlines, each a class and corners (N, 2), normalised.

    Examples:
        >>> outline_rows([(1, np.array([[0, 0], [1, 0], [1, 0.5]]))])
        '1 0.000000 0.000000 1.000000 0.000000 1.000000 0.500000\n'
    """
    rows = ((number, " ".join(f"{value:.6f}" for value in points.ravel())) for number, points in outlines)
    return "".join(f"{number} {values}\n" for number, values in rows)


def label_rows(
    classes: Sequence[int] | np.ndarray, boxes_xyxyn: np.ndarray, keypoints: np.ndarray | None = None
) -> str:
    r"""Return the text of a label file.

    Args:
        classes: (K,) whole numbers.
        boxes_xyxyn: Left, top, right, bottom (K, 4), normalised.
        keypoints: Behind each box, (K, points, 2 or 3), normalised; None for none.

    Examples:
        >>> label_rows([1], np.array([[0, 0, 0.5, 1]]))
        '1 0.250000 0.500000 0.500000 1.000000\n'
    """
    low, high = boxes_xyxyn[:, :2], boxes_xyxyn[:, 2:]
    columns = [(low + high) / 2, high - low]
    columns += [] if keypoints is None else [keypoints.reshape(len(boxes_xyxyn), -1)]
    rows = zip(classes, np.concatenate(columns, 1).tolist(), strict=True)
    return "".join(f"{int(number)} {' '.join(f'{value:.6f}' for value in row)}\n" for number, row in rows)
