"""People's labels, read from an export of the tool that they used."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from metafusion_yolo.labelling.found import Found, Pair
from metafusion_yolo.labelling.tools import coco, cvat, fiftyone, label_studio
from metafusion_yolo.support.errors import MissingFileError, UserValueError

EXPORTS = (
    "annotations.xml of CVAT for images 1.1, or its zip, JSON of Label Studio, samples.json of FiftyOne, COCO JSON"
)
INSIDE = "annotations.xml", "samples.json", "labels.json", "coco.json"  # of an export that is a folder
MISTAKES = (KeyError, TypeError, ValueError, AttributeError, IndexError, ElementTree.ParseError, zipfile.BadZipFile)


def read_export(file: str | Path) -> dict[str, list[Found]]:
    """Return the objects of each image in an export; the content tells the tool.

    Args:
        file: The export: a file, or the folder that holds it.

    Raises:
        MissingFileError: If there is none.
        UserValueError: If it is none of a tool that is known.
    """
    path = Path(file)
    if path.is_dir():
        path = next((path / name for name in INSIDE if (path / name).is_file()), path / INSIDE[0])
    if not path.is_file():
        raise MissingFileError(f"no export '{path}'; give corrected= {EXPORTS}")
    try:
        return _read(path)
    except MISTAKES as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserValueError(f"'{path}' cannot be read as an export ({reason}); give {EXPORTS}") from error


def _read(path: Path) -> dict[str, list[Found]]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            return cvat.read(ElementTree.fromstring(archive.read("annotations.xml")))
    if path.suffix.lower() == ".xml":
        return cvat.read(ElementTree.parse(path).getroot())
    content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, list):
        return label_studio.read(content)
    return fiftyone.read(content) if "samples" in content else coco.read(content)


def by_pair(found: dict[str, list[Found]], pairs: Sequence[Pair], where: str) -> dict[Pair, list[Found]]:
    """Return the objects of an export by pair.

    Tools drop folders or put others before them, so a name that is no key stands for the one pair whose image has it.

    Args:
        found: The objects by the name of an image.
        pairs: The pairs of the data set.
        where: The export, for an error.

    Raises:
        UserValueError: If an image is none of the data set, or could be several.
    """
    keys = {pair.key: pair for pair in pairs}
    stems: dict[str, list[Pair]] = {}
    for pair in pairs:
        stems.setdefault(PurePosixPath(pair.key).name, []).append(pair)
    result: dict[Pair, list[Found]] = {}
    for name, objects in found.items():
        plain = PurePosixPath(name.replace("\\", "/"))
        exact = [keys[key] for key in (name, str(plain.with_suffix(""))) if key in keys]
        candidates = exact[:1] or stems.get(plain.stem, [])
        if len(candidates) != 1:
            said = f"could be any of {len(candidates)} pairs" if candidates else "is not a pair of the data set"
            raise UserValueError(
                f"image '{name}' of '{where}' {said}; give the data set that it was made from as data="
            )
        result[candidates[0]] = objects
    return result
