"""Which infrared file belongs to a visible one, and how a pair is read. Pairing is by name, never by order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps
from ultralytics.data.utils import IMG_FORMATS
from ultralytics.utils.patches import imread

from metafusion_yolo.config import nearest
from metafusion_yolo.data.thermal import to_uint8

DEFAULT_FOLDER = "infrared"
ASPECT_TOLERANCE = 0.02  # largest relative difference of the two aspect ratios that a resize may bridge
PROBLEMS_SHOWN = 20

PairingRule = str | dict[str, str]
Expected = Callable[[Path], Path]


class PairError(ValueError):
    """A visible and an infrared image do not make a pair: names the files and the remedy."""

    @classmethod
    def of(cls, problems: list[str], where: str) -> PairError:
        """Sum up all problems of a data set in one error.

        Args:
            problems: One line each.
            where: What was looked at.
        """
        shown = "\n  ".join(problems[:PROBLEMS_SHOWN])
        rest = len(problems) - PROBLEMS_SHOWN
        more = f"\n  ... and {rest} more" if rest > 0 else ""
        return cls(f"{len(problems)} problem{'s' * (len(problems) > 1)} in {where}:\n  {shown}{more}")


def parse_rule(value: Any) -> PairingRule:
    """Return the pairing rule of a data-set YAML.

    Args:
        value: What stands under `infrared:`; None for the default folder.

    Returns:
        A folder name, or {"from": ..., "to": ...}.

    Raises:
        ValueError: If it is anything else.

    Example:
        >>> parse_rule({"from": "_co.png", "to": "_ir.png"})
        {'from': '_co.png', 'to': '_ir.png'}
    """
    if value is None:
        return DEFAULT_FOLDER
    if isinstance(value, str) and value:
        return value
    if isinstance(value, Mapping) and set(value) == {"from", "to"} and all(isinstance(v, str) for v in value.values()):
        if value["from"]:
            return dict(value)
    elif isinstance(value, Mapping):
        for key in set(value) - {"from", "to"}:
            raise ValueError(f"unknown key '{key}' in 'infrared', {nearest(key, ['from', 'to'])}")
    raise ValueError(
        f"'infrared: {value!r}' is no pairing rule; expected a folder name that replaces the last 'images' of a path, "
        f"or {{from: visible part, to: infrared part}}"
    )


def expected_by_rule(rule: PairingRule) -> Expected:
    """Return the function from a visible path to where its partner is expected; the suffix may still differ.

    Example:
        >>> expected_by_rule("infrared")(Path("my images/images/val/7.jpg")).as_posix()
        'my images/infrared/val/7.jpg'
        >>> expected_by_rule({"from": "rgb/", "to": "ir/"})(Path("set/rgb/7.jpg")).as_posix()
        'set/ir/7.jpg'
    """

    def by_folder(visible: Path) -> Path:
        parts = list(visible.parts)
        for i in reversed(range(len(parts) - 1)):
            if parts[i] == "images":
                parts[i] = str(rule)
                return Path(*parts)
        raise PairError(
            f"'{visible}' lies in no folder named 'images', which 'infrared: {rule}' would replace; "
            f"set 'infrared: {{from: ..., to: ...}}' in the data-set YAML"
        )

    def by_substitution(visible: Path) -> Path:
        substitution = dict(rule)  # type: ignore[arg-type]
        head, found, tail = visible.as_posix().rpartition(substitution["from"])
        if not found:
            raise PairError(f"'{visible}' does not contain '{substitution['from']}', which 'infrared: from' names")
        return Path(head + substitution["to"] + tail)

    return by_folder if isinstance(rule, str) else by_substitution


def expected_beside(visible_root: Path, infrared_root: Path) -> Expected:
    """Return the function for two folders given by hand: the same relative path under the other root."""
    return lambda visible: infrared_root / visible.relative_to(visible_root)


def find_partners(visible: Iterable[str], expected: Expected) -> tuple[dict[str, str], list[str]]:
    """Find the infrared partner of every visible file.

    Args:
        visible: Paths of visible images.
        expected: Where the partner of a path should be, suffix aside.

    Returns:
        Partners by visible path, and the problems, a line each: no partner, or more than one.
    """
    partners, problems = {}, []
    for file in visible:
        try:
            partners[file] = _partner(Path(file), expected(Path(file)))
        except PairError as error:
            problems.append(str(error))
    _images_by_stem.cache_clear()
    return partners, problems


def _partner(visible: Path, target: Path) -> str:
    candidates = [f for f in _images_by_stem(target.parent).get(target.stem, []) if f != visible]
    if len(candidates) == 1:
        return str(candidates[0])
    if not candidates:
        raise PairError(
            f"no infrared image for '{visible}': looked for '{target.with_suffix('')}.*'; add the file, or set "
            f"'infrared:' in the data-set YAML (at predict: infrared=)"
        )
    names = ", ".join(f"'{f.name}'" for f in candidates)
    raise PairError(f"ambiguous infrared image for '{visible}': {names} in '{target.parent}'; keep one of them")


@cache
def _images_by_stem(folder: Path) -> dict[str, list[Path]]:
    """List the images of a folder once, by stem."""
    by_stem: dict[str, list[Path]] = {}
    if folder.is_dir():
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            path = folder / entry.name
            if path.suffix[1:].lower() in IMG_FORMATS:
                by_stem.setdefault(path.stem, []).append(path)
    return by_stem


def find_orphans(partners: Mapping[str, str]) -> list[str]:
    """Return a line for each infrared image, in the folders of the partners, that no visible image claims."""
    claimed = set(partners.values())
    visible_folders = {str(Path(infrared).parent): Path(visible).parent for visible, infrared in partners.items()}
    problems = []
    for folder, visible_folder in visible_folders.items():
        if Path(folder) == visible_folder:
            continue  # both cameras in one folder: what is unclaimed cannot be told from a visible image
        for files in _images_by_stem(Path(folder)).values():
            problems += [
                f"no visible image for '{f}': looked in '{visible_folder}'; add the visible image or remove this one"
                for f in files
                if str(f) not in claimed
            ]
    _images_by_stem.cache_clear()
    return problems


def check_pair(visible: str, infrared: str) -> tuple[str, str]:
    """Decode both files of a pair and compare their sizes.

    Returns:
        A problem that makes the pair unusable, and a warning; empty where there is none.
    """
    shapes = []
    for file in (visible, infrared):
        try:
            if not Path(file).stat().st_size:
                return f"'{file}' is empty (0 bytes); restore the file or remove the pair", ""
            with Image.open(file) as image:
                image.load()
                shapes.append(ImageOps.exif_transpose(image).size[::-1] if image.getexif() else image.size[::-1])
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return f"'{file}' cannot be read ({error}); restore the file or remove the pair", ""
    return compare_sizes(shapes[0], shapes[1], f"'{visible}' and '{infrared}'")


def compare_sizes(visible: tuple[int, int], infrared: tuple[int, int], names: str) -> tuple[str, str]:
    """Return a problem and a warning about the (height, width) of two images, empty where there is none."""
    if visible == infrared:
        return "", ""
    (h, w), (ih, iw) = visible, infrared
    sizes = f"{names} have different sizes ({w}x{h} and {iw}x{ih})"
    if abs(w / h - iw / ih) / (w / h) > ASPECT_TOLERANCE:
        return f"{sizes} and shapes; crop or register them to the same field of view", ""
    return "", f"{sizes}; the infrared image is resized"


def read_visible(file: str | Path) -> np.ndarray:
    """Read a visible image as (H, W, 3) uint8, RGB, upright; grey, palette, alpha and 16-bit files included.

    Raises:
        PairError: If the file cannot be decoded.
    """
    image = imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise PairError(f"'{file}' cannot be read as an image; restore the file or remove the pair")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_infrared(file: str | Path) -> np.ndarray:
    """Read an infrared image as (H, W) uint8, upright; see :func:`to_uint8` for deeper files.

    Raises:
        PairError: If the file cannot be decoded.
    """
    image = imread(str(file), cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise PairError(f"'{file}' cannot be read as an image; restore the file or remove the pair")
    return to_uint8(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.shape[2] == 3 else image[..., 0])


def stack_pair(visible: np.ndarray, infrared: np.ndarray | None, names: str = "the two images") -> np.ndarray:
    """Stack a visible (H, W, 3) RGB and an infrared (h, w) image, both uint8, to one (H, W, 4) array.

    Args:
        visible: The visible image; its size is the size of the pair.
        infrared: The infrared image, resized if its shape agrees; None leaves the plane blank.
        names: What to call the images in an error.

    Raises:
        PairError: If the aspect ratios differ by more than 2 %.
    """
    height, width = visible.shape[:2]
    if infrared is None:
        infrared = np.zeros((height, width), np.uint8)
    elif infrared.shape != (height, width):
        problem, _ = compare_sizes((height, width), (infrared.shape[0], infrared.shape[1]), names)
        if problem:
            raise PairError(problem)
        infrared = cv2.resize(infrared, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.dstack((visible, infrared))


def read_pair(visible: str | Path, infrared: str | Path | None) -> np.ndarray:
    """Read two files as one (H, W, 4) uint8 array, R, G, B, IR, in the size of the visible image.

    Raises:
        PairError: If a file cannot be decoded, or the two shapes differ.
    """
    names = f"'{visible}' and '{infrared}'"
    return stack_pair(read_visible(visible), None if infrared is None else read_infrared(infrared), names)
