"""Objects found in a pair, by a detector or a person, and the pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metafusion_yolo.data.labels import label_rows, outline_rows
from metafusion_yolo.options import MODALITIES
from metafusion_yolo.support.errors import UserValueError

CAMERAS = BOTH, VISIBLE, INFRARED = MODALITIES
Corners = tuple[float, float, float, float]  # left, top, right, bottom


class Found(NamedTuple):
    """One object.

    Attributes:
        name: Its class.
        box_xyxyn: Left, top, right, bottom, normalised.
        score: That of the detector, [0, 1]; None if a person drew the box.
        shows_in: The camera that shows it: "visible", "infrared" or "both"; "" if an export does not say it.
        outline: Polygon of a mask, or corners of an oriented box, (P, 2), normalised; None for a box.
        keypoints: (points, 2 or 3), normalised x and y, and whether it shows; None without any.
    """

    name: str
    box_xyxyn: Corners
    score: float | None = None
    shows_in: str = BOTH
    outline: np.ndarray | None = None
    keypoints: np.ndarray | None = None


@dataclass(frozen=True)
class Pair:
    """A pair to label.

    Attributes:
        key: Its name in the files of other tools: the path of the visible image below the data set, or below the
            folder of all images if they lie elsewhere, without suffix.
        visible: The visible image.
        infrared: The infrared image.
        label: Its label file, which need not exist.
    """

    key: str
    visible: str
    infrared: str
    label: Path


@dataclass(frozen=True)
class Sheet:
    """A labelled pair, as people and their tools see it.

    Attributes:
        key: See :class:`Pair`.
        visible: Picture of the visible image, 8 bits.
        infrared: Picture of the infrared image, 8 bits, registered, of the same size.
        size: Width and height of both, pixels.
        found: The objects.
    """

    key: str
    visible: Path
    infrared: Path
    size: tuple[int, int]
    found: Sequence[Found]

    def pixels(self, found: Found) -> Corners:
        """Return the box of an object in pixels."""
        (width, height), (left, top, right, bottom) = self.size, found.box_xyxyn
        return round(left * width, 2), round(top * height, 2), round(right * width, 2), round(bottom * height, 2)


def rows_of(found: Sequence[Found], names: Mapping[int, str]) -> str:
    """Return objects as the text of a label file.

    Args:
        found: The objects.
        names: Class names by number.

    Raises:
        UserValueError: If a class is not among the names.
    """
    numbers = {name: number for number, name in names.items()}
    for one in found:
        if one.name not in numbers:
            known = ", ".join(f"'{name}'" for name in numbers)
            raise UserValueError(
                f"class '{one.name}' is not among the data set's {known}; add it to 'names:' in the YAML"
            )
    if any(one.outline is not None for one in found):
        return outline_rows([(numbers[one.name], one.outline.clip(0, 1)) for one in found if one.outline is not None])
    boxes = np.array([one.box_xyxyn for one in found], np.float64).reshape(-1, 4).clip(0, 1)
    marks = [one.keypoints for one in found if one.keypoints is not None]
    return label_rows([numbers[one.name] for one in found], boxes, np.stack(marks) if marks else None)
