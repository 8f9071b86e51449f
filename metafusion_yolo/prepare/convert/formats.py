"""The terms that all converters share: boxes, pairs, listings and formats of published data sets."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ultralytics.data.utils import IMG_FORMATS

from metafusion_yolo.data.listing import read_lines
from metafusion_yolo.support.errors import MissingFileError, UserValueError

Corners = tuple[float, float, float, float]
Outline = Sequence[tuple[float, float]]
SHARED = "both"  # key of labels that hold for both cameras
CAMERAS = ("visible", "infrared")
UNLISTED = "unlisted"


@dataclass(frozen=True)
class Box:
    """A labelled object as published.

    Attributes:
        name: Class, in the spelling of the data set.
        xyxy: Left, top, right, bottom in pixels of the published image; None if there is no box.
        skip: Reason to leave the object out; empty to keep it.
        outline: Corners (x, y) of the oriented box or of the region in those pixels; None where only the box is known.
    """

    name: str
    xyxy: Corners | None
    skip: str = ""
    outline: Outline | None = None


Reader = Callable[[], list[Box]]


@dataclass(frozen=True)
class Pair:
    """A pair as published; its files may be missing.

    Attributes:
        split: "train", "val" or "test"; "unlisted" if it is on no list of a split; empty if no split is published.
        name: Path below the folder of the split, without suffix; folders in it are sequences.
        visible: Visible image.
        infrared: Infrared image.
        labels: Functions that read the boxes, by camera: "visible" and "infrared", or "both"; they raise LabelError.
    """

    split: str
    name: str
    visible: Path
    infrared: Path
    labels: Mapping[str, Reader]


@dataclass(frozen=True)
class Listing:
    """The pairs of a published data set.

    Attributes:
        pairs: Pairs in the order of their names within each split.
        classes: Class names by index.
        notes: Lines for the user, such as where the split comes from.
    """

    pairs: list[Pair]
    classes: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Format:
    """A published layout.

    Attributes:
        name: Its name for `format=`.
        title: The data set or label format, and where it is described.
        read: Lists the pairs of a folder; raises FileNotFoundError if a folder or file of the layout is missing.
        aliases: Other spellings of classes in the labels, and the names they stand for.
        labels: Camera whose labels are taken by default, or "union", if the two are labelled separately.
        outlines: What its labels have beside upright boxes: "oriented" boxes, "segments", or nothing.
        border: (width, height) of the published images and pixels to cut off on each side; None to keep the images.
    """

    name: str
    title: str
    read: Callable[[Path], Listing]
    aliases: Mapping[str, str] = field(default_factory=dict)
    labels: str = "union"
    outlines: str = ""
    border: tuple[int, int, int] | None = None


def find_folder(parent: Path, *names: str) -> Path | None:
    """Return the first existing folder of these names, ignoring case; None if there is none."""
    there = {path.name.lower(): path for path in sorted(parent.iterdir()) if path.is_dir()} if parent.is_dir() else {}
    return next((there[name.lower()] for name in names if name.lower() in there), None)


def require_folder(parent: Path, *names: str, layout: str) -> Path:
    """Return the first existing folder of these names, ignoring case; without one, raise an error with the layout."""
    if (found := find_folder(parent, *names)) is None:
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise MissingFileError(f"no folder '{parent / names[0]}'{others}; expected {layout} in the folder src=")
    return found


def require_file(name: str, *folders: Path, layout: str) -> Path:
    """Return the file in the first folder that has it; without one, raise an error with the layout."""
    if (found := next((folder / name for folder in folders if (folder / name).is_file()), None)) is None:
        raise MissingFileError(f"no file '{folders[0] / name}'; expected {layout} in the folder src=")
    return found


def images_by_name(folder: Path, arrays: bool = False) -> dict[str, Path]:
    """Return the images below a folder by relative path without suffix, in the order of the names.

    Args:
        folder: The folder; links to folders are followed.
        arrays: Whether `.npy` files count if there is no image of that name; caches of a data set never count.

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
    """Return name, visible and infrared file of all images of two folders; one file of a pair may be missing."""
    first, second = images_by_name(visible), images_by_name(infrared, arrays=True)
    names = sorted({*first, *second})
    return [(name, first.get(name, visible / name), second.get(name, infrared / name)) for name in names]


def read_list(file: Path) -> list[str]:
    """Return the lines of a published list that are not empty."""
    return read_lines(file, errors="replace")
