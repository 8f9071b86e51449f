"""Registration of the infrared image to the visible one, with NumPy and OpenCV only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import refuse_unknown

Matrix = tuple[tuple[float, float, float], ...]
Size = tuple[int, int]  # width, height

KEYS = ("matrix", "visible", "infrared", "sequences", "parallax", "at", "distance")
SINGULAR = 1e12  # condition number above which a homography counts as not invertible


@dataclass(frozen=True)
class Registration:
    """Position of the infrared image in the visible one: the `registration:` section of a data-set YAML.

    Attributes:
        matrix: Homography from pixels of the infrared image to pixels of the visible image, 3 x 3; pixel centres are
            whole numbers. None if only the sequences have one.
        visible: (width, height) of the visible images that the matrices were measured on; None for any.
        infrared: (width, height) of the infrared images that they were measured on; None for any.
        sequences: Matrices by folder of the visible images, given as its last parts, such as "train/drive-1".
        parallax: (x, y), visible pixels by which something a metre away is shifted against what is far away: baseline
            times focal length. See :func:`with_parallax`.
        at: Distance in metres at which the matrices were measured; None for far away.
        distance: Distance in metres for which they are to hold now; None for that at which they were measured.
    """

    matrix: Matrix | None
    visible: Size | None = None
    infrared: Size | None = None
    sequences: Mapping[str, Matrix] = field(default_factory=dict)
    parallax: tuple[float, float] | None = None
    at: float | None = None
    distance: float | None = None

    @classmethod
    def from_yaml(cls, section: Any, where: str = "the data-set YAML") -> Registration | None:
        """Read the `registration:` section, a mapping or a bare 3 x 3 matrix; None gives None.

        Raises:
            ValueError: If a key is unknown or a value wrong.

        Examples:
            >>> Registration.from_yaml([[2, 0, 0], [0, 2, 0], [0, 0, 1]]).matrix[0]
            (2.0, 0.0, 0.0)
        """
        if section is None:
            return None
        if not isinstance(section, Mapping):
            section = {"matrix": section}
        refuse_unknown(section, KEYS, f"under 'registration:' in {where}")
        sequences = section.get("sequences") or {}
        if not isinstance(sequences, Mapping):
            raise UserValueError(
                f"registration: sequences in {where} must map folders to 3 x 3 matrices, not {sequences!r}"
            )
        if section.get("matrix") is None and not sequences:
            raise UserValueError(f"'registration:' in {where} holds no matrix; give 'matrix:', 3 x 3, or 'sequences:'")
        parallax = section.get("parallax")
        if parallax is not None and not (
            isinstance(parallax, (list, tuple)) and len(parallax) == 2 and all(map(_is_number, parallax))
        ):
            raise UserValueError(
                f"registration: parallax in {where} must be [x, y], pixels times metres, not {parallax!r}"
            )
        for key in ("at", "distance"):
            value = section.get(key)
            if value is not None and not (_is_number(value) and value > 0):
                raise UserValueError(f"registration: {key} in {where} must be metres above 0, not {value!r}")
        if section.get("distance") is not None and parallax is None:
            raise UserValueError(f"registration: distance in {where} needs the 'parallax:' of the two lenses")
        return cls(
            None if section.get("matrix") is None else _matrix(section["matrix"], f"matrix in {where}"),
            _size(section.get("visible"), f"visible in {where}"),
            _size(section.get("infrared"), f"infrared in {where}"),
            {str(folder): _matrix(m, f"sequences: {folder} in {where}") for folder, m in sequences.items()},
            None if parallax is None else (float(parallax[0]), float(parallax[1])),
            section.get("at"),
            section.get("distance"),
        )

    def to_yaml(self) -> dict[str, Any]:
        """Return the section that :meth:`from_yaml` reads."""
        section: dict[str, Any] = {"matrix": None if self.matrix is None else [list(row) for row in self.matrix]}
        section.update({k: list(v) for k, v in (("visible", self.visible), ("infrared", self.infrared)) if v})
        if self.sequences:
            section["sequences"] = {k: [list(row) for row in m] for k, m in self.sequences.items()}
        lenses = {"parallax": self.parallax and list(self.parallax), "at": self.at, "distance": self.distance}
        return section | {key: value for key, value in lenses.items() if value is not None}

    def homography(self, file: str | Path | None, visible: Size, infrared: Size) -> np.ndarray | None:
        """Return the homography from infrared to visible pixels for images of these sizes.

        Args:
            file: The visible file, whose folder selects the sequence; None for an image in memory.
            visible: (width, height) of the visible image.
            infrared: (width, height) of the infrared image.

        Returns:
            (3, 3) float64; None if the sequence has none, which means that both images have the same field of view.
        """
        matrix = self._of_sequence(file)
        if matrix is None:
            return None
        there = scaling(self.visible or visible, visible)
        back = scaling(infrared, self.infrared or infrared)
        moved = np.array(matrix, np.float64)
        if self.parallax and self.distance:
            moved[:2, 2] += (1 / self.distance - (1 / self.at if self.at else 0)) * np.array(self.parallax)
        return there @ moved @ back

    def _of_sequence(self, file: str | Path | None) -> Matrix | None:
        """Return the matrix of the longest sequence name that ends the folder of the file, else the common one."""
        name = sequence_of(file, self.sequences)
        return self.matrix if name is None else self.sequences[name]


def sequence_of(file: str | Path | None, names: Iterable[str]) -> str | None:
    """Return the longest of some names of sequences, last parts of folders, that ends the folder of a file.

    Examples:
        >>> sequence_of("pairs/train/drive-1/7.png", ["drive-1", "train/drive-1", "drive"])
        'train/drive-1'
    """
    parts = PurePosixPath(Path(file).parent.as_posix()).parts if file is not None else ()
    wanted = {name: PurePosixPath(name).parts for name in names}
    fitting = [name for name, last in wanted.items() if last and parts[-len(last) :] == last]
    return max(fitting, key=lambda name: len(wanted[name]), default=None)


def with_parallax(matrices: Mapping[float, Any], visible: Size, infrared: Size) -> Registration:
    """Return the registration for any distance from those at two distances or more, metres.

    Two lenses side by side that look at a plane in front of them at the distance d are registered by
    H(d) = H(far away) + p / d, where p stands in the last column alone. It is fitted by least squares.

    Args:
        matrices: Homographies from infrared to visible pixels, 3 x 3, by distance.
        visible: (width, height) of the visible images.
        infrared: (width, height) of the infrared images.

    Raises:
        ValueError: If there are fewer than two distances, or something is no matrix.

    Source: the homography of a plane, Hartley and Zisserman 2004, equation 13.2, without a step between the lenses.

    Examples:
        >>> near, far = [[1, 0, 8], [0, 1, 0], [0, 0, 1]], [[1, 0, 3], [0, 1, 0], [0, 0, 1]]
        >>> with_parallax({5: near, 10: far}, (640, 512), (640, 512)).parallax[0]
        50.0
    """
    if len(matrices) < 2 or not all(_is_number(d) and d > 0 for d in matrices):
        raise UserValueError(f"with_parallax needs matrices at two distances or more, metres, not {list(matrices)}")
    all_of_them = np.array([_matrix(m, f"{d} metres") for d, m in matrices.items()])
    all_of_them /= all_of_them[:, 2:, 2:]
    known = np.stack((np.ones(len(matrices)), 1 / np.array([*matrices], np.float64)), 1)
    (far, parallax), *_ = np.linalg.lstsq(known, all_of_them[:, :2, 2], rcond=None)
    matrix = all_of_them.mean(0)
    matrix[:2, 2] = far
    rounded = [round(float(value), 6) for value in parallax]
    return Registration(_matrix(matrix, "the fit"), visible, infrared, parallax=(rounded[0], rounded[1]))


def scaling(before: Size, after: Size) -> np.ndarray:
    """Return the (3, 3) matrix of a resize from one (width, height) to another; pixel centres are whole numbers.

    Examples:
        >>> scaling((4, 4), (8, 8))[0].tolist()
        [2.0, 0.0, 0.5]
    """
    (w, h), (x, y) = before, after
    return np.array([[x / w, 0, (x / w - 1) / 2], [0, y / h, (y / h - 1) / 2], [0, 0, 1]])


def warp_infrared(visible: np.ndarray, infrared: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Warp an infrared image to the visible one; pixels outside its view get the visible luminance.

    A flat border would add an edge that no object has. If the visible image is blank, they get the mean of the infrared
    image.

    Args:
        visible: (H, W, 3) uint8, R, G, B.
        infrared: (h, w) uint8.
        homography: (3, 3), from infrared to visible pixels.

    Returns:
        (H, W) uint8.
    """
    size = visible.shape[1::-1]
    if infrared.size and infrared.min() == infrared.max():
        return np.full(visible.shape[:2], infrared.flat[0], np.uint8)  # a blank camera
    if visible.min() == visible.max():
        outside = np.full(visible.shape[:2], round(float(infrared.mean())), np.uint8)
    else:
        outside = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY)
    return cv2.warpPerspective(
        infrared, homography, size, dst=outside, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )


def _matrix(value: Any, where: str) -> Matrix:
    """Return a value as an invertible 3 x 3 matrix of finite numbers."""
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise UserValueError(f"registration: {where} must be a 3 x 3 matrix of numbers, not {value!r}")
    if np.linalg.cond(matrix) > SINGULAR:
        raise UserValueError(
            f"registration: {where} cannot be inverted; it maps infrared to visible pixels, as OpenCV's do"
        )
    return tuple(tuple(row) for row in matrix.tolist())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(value))


def _size(value: Any, where: str) -> Size | None:
    """Return a value as (width, height); None gives None."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(v) is int and v > 0 for v in value):
        return value[0], value[1]
    raise UserValueError(f"registration: {where} must be [width, height] in pixels, not {value!r}")
