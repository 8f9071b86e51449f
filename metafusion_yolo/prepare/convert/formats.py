"""What a published data set is made of, in the words that all converters share: boxes, pairs, listings, formats."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ultralytics.data.utils import IMG_FORMATS

from metafusion_yolo.data.listing import read_lines
from metafusion_yolo.support.errors import MissingFileError, UserValueError

Corners = tuple[float, float, float, float]
SHARED = "both"  # camera of labels that hold for both
CAMERAS = ("visible", "infrared")
TRAIN, VAL, TEST = "train", "val", "test"
UNLISTED = "unlisted"


@dataclass(frozen=True)
class Box:
    """A labelled object, as its data set has it.

    Attributes:
        name: Class, in the spelling of the data set.
        xyxy: Left, top, right, bottom in pixels of the published image; None if the data set gives none.
        skip: Why the object is not to be trained with, empty otherwise.
    """

    name: str
    xyxy: Corners | None
    skip: str = ""


Reader = Callable[[], list[Box]]


@dataclass(frozen=True)
class Pair:
    """A pair as published; its files need not exist.

    Attributes:
        split: "train", "val" or "test"; "unlisted" if there are lists of others; empty if no split is published.
        name: Path below the folder of its split, without suffix; the folders in it are the sequences.
        visible: Visible image.
        infrared: Infrared image.
        labels: What reads the boxes, by camera: "visible" and "infrared", or "both"; raises LabelError.
    """

    split: str
    name: str
    visible: Path
    infrared: Path
    labels: Mapping[str, Reader]


@dataclass(frozen=True)
class Listing:
    """All that a folder holds.

    Attributes:
        pairs: In the order of their names within each split.
        classes: Names, in the order of their numbers.
        notes: What a user should know of it, a line each.
    """

    pairs: list[Pair]
    classes: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Format:
    """A published layout.

    Attributes:
        name: What `format=` calls it.
        title: The data set or label format and where it is described.
        read: Lists what a folder holds, None for another layout: FileNotFoundError names what is missing.
        aliases: Spellings of classes that occur in the labels, and the names they stand for.
        labels: Camera whose labels are taken, or "union", where the two are labelled separately.
        border: (width, height) of the published images and pixels to cut off on each side; None to leave them alone.
    """

    name: str
    title: str
    read: Callable[[Path], Listing]
    aliases: Mapping[str, str] = field(default_factory=dict)
    labels: str = "union"
    border: tuple[int, int, int] | None = None


def spelling(name: str) -> str:
    """Return a class name in the form that names are compared in.

    Example:
        >>> spelling(" Freight_Car")
        'freight car'
    """
    return re.sub(r"[\s_-]+", " ", name.strip().lower())


def find_folder(parent: Path, *names: str) -> Path | None:
    """Return the first folder of these names, upper and lower case alike; None if there is none."""
    there = {path.name.lower(): path for path in sorted(parent.iterdir()) if path.is_dir()} if parent.is_dir() else {}
    return next((there[name.lower()] for name in names if name.lower() in there), None)


def require_folder(parent: Path, *names: str, layout: str) -> Path:
    """Return the first folder of these names, upper and lower case alike.

    Args:
        parent: Where to look.
        *names: Names of one folder, the usual one first.
        layout: What the folders of the data set are, for the error.

    Raises:
        FileNotFoundError: If there is none, naming what was expected.
    """
    if (found := find_folder(parent, *names)) is None:
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise MissingFileError(f"no folder '{parent / names[0]}'{others}; expected {layout} in the folder src=")
    return found


def require_file(name: str, *folders: Path, layout: str) -> Path:
    """Return the file of this name in the first folder that has it.

    Raises:
        FileNotFoundError: If none has, naming where it was expected.
    """
    if (found := next((folder / name for folder in folders if (folder / name).is_file()), None)) is None:
        raise MissingFileError(f"no file '{folders[0] / name}'; expected {layout} in the folder src=")
    return found


def images_by_name(folder: Path, arrays: bool = False) -> dict[str, Path]:
    """Return the images below a folder by their path in it without suffix, in the order of the names.

    Args:
        folder: Where to look; links to folders are followed.
        arrays: Whether `.npy` files count, where there is no image of that name; caches of a data set never do.

    Raises:
        ValueError: If two images differ in their suffix only.
    """
    files = [Path(path, name) for path, _, names in os.walk(folder, followlinks=True) for name in names]
    found: dict[str, Path] = {}
    for suffixes in (IMG_FORMATS, {"npy"} if arrays else set()):
        images = dict(found)
        for path in sorted(file for file in files if file.suffix[1:].lower() in suffixes):
            name = path.relative_to(folder).with_suffix("").as_posix()
            if path.name.startswith(".") or name in images or path.name.endswith(".pair.npy"):
                continue
            if name in found:
                raise UserValueError(f"'{found[name]}' and '{path}' differ in their suffix only; keep one of them")
            found[name] = path
    return found


def side_by_side(visible: Path, infrared: Path) -> list[tuple[str, Path, Path]]:
    """Return name, visible and infrared file of all images of two folders; one of the two may not exist."""
    first, second = images_by_name(visible), images_by_name(infrared, arrays=True)
    return [
        (name, first.get(name, visible / name), second.get(name, infrared / name))
        for name in sorted({**first, **second})
    ]


def read_list(file: Path) -> list[str]:
    """Return the lines of a list of a published split that hold something."""
    return read_lines(file, errors="replace")
