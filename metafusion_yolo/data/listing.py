"""The visible images that a path, folder, glob or text file stands for, in training as in prediction."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ultralytics.data.utils import IMG_FORMATS, VID_FORMATS
from ultralytics.utils import LOGGER, YAML

from metafusion_yolo.data.makers import APART, radiometric_maker
from metafusion_yolo.support.errors import MissingFileError, UserValueError

SPLITS = ("train", "val", "test")  # of a data-set YAML
SPLIT_KEYS = (*SPLITS, "validation")  # keys of splits in a YAML
WANTED = "give an image, a folder with images, a glob, a .txt list of images or a .csv list of pairs"
ONE_BY_ONE = "give a video by itself, and the one of the other camera as infrared="
NO_PAIRS = {  # what the host reads, and pairs cannot be, by the form of its name
    r"https?://": "is on the web; download it first",
    r"screen( |$)": "is one image, and no pair; record both cameras, and give two videos",
    r".*\.streams$": "lists cameras; give those of one pair, source=rtsp://... infrared=rtsp://...",
}
MISSING_SHOWN = 5


def list_images(source: Any, lost: bool = False) -> list[str]:
    """Return the image files of a path, folder (nested too), glob, text or CSV file, sorted; of a list in its order.

    Links to files and folders are followed; the returned paths are not resolved.

    Args:
        source: A path, or several of them.
        lost: Whether to return listed files that do not exist, and broken links, instead of raising an error.

    Raises:
        FileNotFoundError: If there are none, a link is broken, or files of a text file do not exist.
        ValueError: If a text file is not UTF-8.
    """
    if isinstance(source, (list, tuple)):
        return [file for item in source for file in list_images(item, lost)]
    path = Path(source)
    if path.is_dir():
        candidates: list[Path] | list[str] = [*_files_below(path)]
    elif path.suffix.lower() == ".txt" and path.is_file():
        candidates = read_list(path, lost)
    elif is_pair_list(path) and path.is_file():
        candidates = [Path(row[0]) for row in read_pair_rows(path, lost)]
    elif "*" in str(source):
        candidates = [*Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))]
    elif path.exists():
        candidates = [path]
    else:
        raise MissingFileError(f"'{source}' {not_a_pair(source) or f'does not exist; {WANTED}'}")
    # Texts, as a path takes ten times as long, which is what the start of a large training would wait for.
    kinds = [(f, os.path.splitext(f)[1][1:].lower()) for f in map(str, candidates)]  # noqa: PTH122
    images = [f for f, kind in kinds if kind in IMG_FORMATS]
    videos = sum(kind in VID_FORMATS for _, kind in kinds) if len(images) < len(kinds) else 0
    files = sorted(f for f in images if lost or os.path.isfile(f))  # noqa: PTH113
    for link in (f for f in map(Path, images) if f.is_symlink() and not f.exists()) if len(files) < len(images) else ():
        raise MissingFileError(f"the link '{link}' is broken; restore its target, or remove it")
    if not files:
        told = not_a_pair(source)
        hint = _apart(candidates) or (ONE_BY_ONE if videos else WANTED)
        raise MissingFileError(f"'{source}' {told}" if told else f"no images in '{source}'; {hint}")
    if videos:
        LOGGER.warning(f"videos in '{source}' left out: {videos}; {ONE_BY_ONE}")
    return files


def not_a_pair(source: Any) -> str:
    """Return why a source that the host reads cannot be pairs, by its name; empty if it is none of these."""
    return next((told for form, told in NO_PAIRS.items() if re.match(form, str(source), re.IGNORECASE)), "")


def _apart(files: Iterable[str | Path]) -> str:
    """Return what to do with files that hold both images of a camera; empty if the first one does not."""
    for file in filter(_is_file, map(Path, files)):
        with file.open("rb") as stream:
            camera = APART.get(radiometric_maker(stream, file.name))
        return f"metafusion data init camera={camera} takes what '{file.name}' holds apart" if camera else ""
    return ""


def _files_below(root: Path) -> Iterator[str]:
    """Yield the files below a folder; links to folders are followed, except to a folder that contains the link."""
    above = {str(root): {os.path.realpath(root)}}  # real paths of each folder and its parents
    for folder, folders, names in os.walk(root, followlinks=True):
        passed = above.pop(folder)
        inside = {name: os.path.realpath(Path(folder) / name) for name in folders}
        folders[:] = [name for name in folders if inside[name] not in passed]
        above |= {os.path.join(folder, name): passed | {inside[name]} for name in folders}  # noqa: PTH118 - as `os.walk`
        start = str(Path(folder, "_"))[:-1]
        yield from (start + name for name in names)


def read_list(listing: Path, lost: bool = False) -> list[Path]:
    r"""Return the files of a text file, one path per line: absolute, or relative to the list or the working folder.

    A line that begins with `#`, and names no file, is a comment.

    Args:
        listing: UTF-8, with or without a byte-order mark; separators may be those of Windows, `\`.
        lost: Whether to return files that do not exist too, at their path relative to the list.

    Raises:
        FileNotFoundError: If some files do not exist.
        ValueError: If the list is not UTF-8.
    """
    return _existing(listing, read_lines(listing), lost)


def read_pair_list(listing: Path) -> list[tuple[str, str]]:
    """Return the `(visible, infrared)` files of a CSV list, one pair per row; paths are as in :func:`read_list`.

    Args:
        listing: As for :func:`read_pair_rows`.

    Raises:
        FileNotFoundError: As :func:`read_pair_rows`.
        ValueError: As :func:`read_pair_rows`.
    """
    rows = read_pair_rows(listing)
    if lone := [f"'{visible or infrared}'" for visible, infrared, _ in rows if not (visible and infrared)]:
        raise UserValueError(
            f"{len(lone)} rows of '{listing}' hold one image, such as {lone[0]}; give both, or layout="
        )
    return [(visible, infrared) for visible, infrared, _ in rows]


def read_pair_rows(listing: Path, lost: bool = False) -> list[tuple[str, str, str]]:
    """Return the `(visible, infrared, label file)` rows of a CSV list of pairs, empty where none is named.

    Images that hold both cameras have no infrared file.

    Args:
        listing: As for :func:`read_table`; a first row `visible,infrared` or `visible,infrared,labels` is its header.
        lost: As for :func:`read_list`.

    Raises:
        FileNotFoundError: If there are no pairs, or some images do not exist; a label file need not.
        ValueError: If a row does not have two or three columns, or the list is not UTF-8.
    """
    rows = read_table(listing, ("visible", "infrared"), "labels")
    if not rows:
        raise MissingFileError(f"no pairs in '{listing}'; give a row for each, visible,infrared")
    files = iter(_existing(listing, [cell for row in rows for cell in row[:2] if cell], lost))
    pairs = [[str(next(files)) if cell else "" for cell in row[:2]] for row in rows]
    labels = [str(next(iter(_existing(listing, row[2:], True)), "")) if any(row[2:]) else "" for row in rows]
    return [(visible, infrared, label) for (visible, infrared), label in zip(pairs, labels, strict=True)]


def is_pair_list(source: Any) -> bool:
    """Return whether a source is named like a CSV list of pairs."""
    return isinstance(source, (str, Path)) and Path(source).suffix.lower() == ".csv"


def read_table(listing: Path, header: tuple[str, str], third: str = "") -> list[tuple[str, ...]]:
    """Return the rows of a CSV file of two columns.

    Args:
        listing: UTF-8, with or without a byte-order mark; columns separated by comma, semicolon or tab.
        header: Names of the columns, which the first row may contain.
        third: Name of a third column that rows may have.

    Raises:
        ValueError: If a row does not have its columns, or the file is not UTF-8.
    """
    lines = read_lines(listing)
    delimiter = next((mark for mark in "\t;" if lines and mark in lines[0]), ",")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UserValueError(f"'{listing}' is not a CSV list ({error}); give rows {','.join(header)}") from error
    if rows and [cell.lower() for cell in rows[0]] in ([*header], [*header, third]):
        rows = rows[1:]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 and not (third and len(row) == 3):
            told = f"has {len(row)} columns; give two, {' and '.join(header)}"
            raise UserValueError(f"row {number} of '{listing}' {told}")
    return [tuple(row) for row in rows]


def read_lines(listing: Path, errors: str = "strict") -> list[str]:
    """Return the lines of a text file that hold something, without the blanks around them.

    Args:
        listing: UTF-8, with or without a byte-order mark.
        errors: "replace" to replace what is not UTF-8, in lists that others publish.

    Raises:
        ValueError: If it is not UTF-8 text.
    """
    try:
        text = listing.read_text(encoding="utf-8-sig", errors=errors)
        return [line.strip() for line in text.splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserValueError(f"'{listing}' is not UTF-8 text (at byte {error.start}); save it as UTF-8") from error


def _existing(listing: Path, written: Iterable[str], lost: bool = False) -> list[Path]:
    """Return the paths of the files of a list, relative to the list or to the working folder."""
    files, missing = [], []
    for line in written:
        spellings = (line, line.replace("\\", "/"))
        found = [file for text in spellings for file in (listing.parent / text, Path(text)) if _is_file(file)]
        files += found[:1] or ([listing.parent / spellings[1]] if lost else [])
        missing += [] if found or lost or line.startswith("#") else [f"'{line}'"]
    if missing:
        shown = ", ".join(missing[:MISSING_SHOWN]) + ", ..." * (len(missing) > MISSING_SHOWN)
        raise MissingFileError(
            f"{len(missing)} of {len(missing) + len(files)} files listed in '{listing}' do not exist: {shown}; "
            f"restore them or correct the list"
        )
    return files


def _is_file(path: Path) -> bool:
    """Return whether a file exists; names that the system does not allow do not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def split_images(data: Mapping[str, Any], split: str, lost: bool = False) -> list[str]:
    """Return the visible images of a split as training lists them: sorted, with paths as written in the YAML.

    Args:
        data: The data-set dictionary of the host.
        split: A split that it names.
        lost: As for :func:`list_images`.

    Raises:
        FileNotFoundError: If there are none, or some of a list do not exist.
        ValueError: As :func:`as_written`.
    """
    return sorted(list_images(as_written(data[split], data), lost))


def as_written(split: str | list[str], data: Mapping[str, Any]) -> str | list[str]:
    """Return the paths of a split as written in the data-set YAML; the host resolves links in them.

    Partners and labels lie beside a linked folder, not beside its target.

    Args:
        split: Paths of a split, as resolved by the host.
        data: The data-set dictionary of the host, with `path` and `yaml_file`.

    Raises:
        ValueError: If a relative path leaves the folder that the YAML names as `path:`.
    """
    if isinstance(split, list):
        return [str(as_written(part, data)) for part in split]
    if "path" not in data or not Path(data.get("yaml_file", "")).is_file():
        return split
    written = YAML.load(data["yaml_file"])
    entries = [written.get(key) or [] for key in SPLIT_KEYS]
    for entry in (e for part in entries for e in (part if isinstance(part, list) else [part])):
        root = Path(os.path.normpath(Path(data["path"]).absolute()))
        path = Path(os.path.normpath(root / str(entry)))
        if path.exists() and path.resolve() == Path(split).resolve():
            if written.get("path") and not Path(entry).is_absolute() and not path.is_relative_to(root):
                raise UserValueError(
                    f"'{entry}' in '{data['yaml_file']}' leads out of its 'path: {written['path']}'; write an absolute "
                    f"path if that is intended"
                )
            return str(path)
    return split
