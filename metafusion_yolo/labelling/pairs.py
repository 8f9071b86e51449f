"""The pairs to label: those of a data-set YAML."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metafusion_yolo.data.description import data_error
from metafusion_yolo.data.listing import SPLITS
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import find_pairs
from metafusion_yolo.labelling.found import Pair
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.resources import find_data_yaml, read_yaml

UNLABELLED = "unlabelled"
PARTS = (*SPLITS, UNLABELLED)


@dataclass(frozen=True)
class Job:
    """What is to be labelled.

    Attributes:
        pairs: The pairs, by part of the data set: train, val, test, unlabelled.
        names: Class names by number; empty to take those of the detector.
        yaml: The data-set YAML.
        root: The folder of the data set.
    """

    pairs: dict[str, list[Pair]]
    names: dict[int, str]
    yaml: str
    root: Path


def of_yaml(data: str, parts: Iterable[str] = PARTS) -> Job:
    """Return the pairs that a data-set YAML names; unlike training, labelling needs no `val:`, names or labels.

    Args:
        data: The YAML, or the name of one of the package.
        parts: The parts to list, if the YAML names them.

    Raises:
        FileNotFoundError: If the YAML or a folder of it does not exist.
        PairError: If a visible image has no partner.
        UserValueError: If the YAML is wrong, or names no images.
    """
    file = find_data_yaml(data)
    content = read_yaml(file) if Path(file).is_file() else {}
    if not content:
        raise data_error(FileNotFoundError("the file does not exist; give the path of a data-set YAML"), data)
    root = Path(os.path.abspath(Path(file).parent / (content.get("path") or ".")))  # noqa: PTH100 - keeps links
    rig = Rig.from_yaml(content, file)
    if rig.layout:
        raise UserValueError(f"'{data}' has both cameras in each image ('layout:'); labelling needs a file for each")
    found: dict[str, list[tuple[str, str, Path]]] = {}
    for part in parts:
        if entries := content.get(part) or []:
            entries = [entries] if isinstance(entries, str) else entries
            if not (isinstance(entries, list) and all(isinstance(entry, str) for entry in entries)):
                raise UserValueError(
                    f"data set '{data}': '{part}:' must be a folder or list file, or several of them, not {entries!r}"
                )
            written = [str(root / entry) for entry in entries]
            split = find_pairs(written, rig, orphans=False).complete(f"'{part}:' of '{data}'")
            found[part] = [(v, i, split.label_of(v)) for v, i in split.partners.items()]
    if not found:
        raise UserValueError(f"'{data}' names no images under {', '.join(f'{part}:' for part in parts)}")
    home = root
    folders = {Path(visible).absolute().parent for rows in found.values() for visible, _, _ in rows}
    if not all(folder.is_relative_to(root) for folder in folders):
        root = Path(os.path.commonpath(folders))
    pairs = {part: [Pair(_key(row[0], root), *row) for row in rows] for part, rows in found.items()}
    return Job(pairs, _names(content, file), file, home)


def _names(content: dict[str, Any], file: str) -> dict[int, str]:
    names = content.get("names") or {}
    named = {
        int(number): str(name) for number, name in (names.items() if isinstance(names, dict) else enumerate(names))
    }
    if {*named} != {*range(len(named))}:
        raise UserValueError(f"data set '{file}': 'names:' must name every class from 0 on, as a list or by number")
    return named


def _key(image: str, root: Path) -> str:
    """Return the path of an image below a folder, without suffix."""
    return Path(image).absolute().with_suffix("").relative_to(root).as_posix()
