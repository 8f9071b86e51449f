"""Which camera shows a labelled object: `shown_in.csv` in the folder of a data set."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from metafusion_yolo.options import MODALITIES
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import replacing

INDEX = "shown_in.csv"
COLUMNS = ("file", "box", "class", "shown_in")  # label file below the data set, its line from 0 on, class, camera
UNSAID = "not said"


class ShownIn:
    """The cameras that show the objects of a data set: "both", "visible", "infrared", or "" where nobody has said it.

    Rows hold for a label file while it has as many lines, of the same classes; of a file that stands there several
    times, from line 0 on, the last rows count. Columns of others, such as `condition`, are kept.

    Args:
        root: Folder of the data set; it need not have the file.

    Raises:
        UserValueError: If the file is none of these rows.
    """

    def __init__(self, root: str | Path) -> None:
        self._root = os.path.realpath(root)
        self.file = Path(root) / INDEX
        self._columns: list[str] = [*COLUMNS]
        self._rows: dict[str, list[dict[str, str]]] = {}
        self._folders: dict[Path, str] = {}
        self._said: dict[str, list[dict[str, str]]] = {}  # since it was read
        if self.file.is_file():
            self._read()

    def _read(self) -> None:
        expected = f"expected rows {','.join(COLUMNS)}, shown_in one of {', '.join(MODALITIES)} or empty"
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as stream:
                rows = csv.DictReader(stream)
                self._columns = [*(rows.fieldnames or COLUMNS)]
                for row in rows:
                    if row["shown_in"] not in ("", *MODALITIES):
                        raise ValueError
                    if int(row["box"]) == 0:
                        self._rows[row["file"]] = []
                    self._rows[row["file"]].append(row)
        except (KeyError, ValueError, TypeError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
            raise UserValueError(f"'{self.file}' cannot be used: {expected}; mend or remove it") from error

    def of(self, label: Path, classes: Sequence[int | None], only: Sequence[int] | None = None) -> list[str] | None:
        """Return the camera of each object of a label file; None if its rows are missing or do not fit it.

        Args:
            label: The label file.
            classes: Classes of its lines; None for one that is numbered otherwise there.
            only: Classes that are looked at; None for all.
        """
        rows = [row for row in self._rows.get(self._key(label), []) if only is None or int(row["class"]) in only]
        known = [int(row["class"]) for row in rows]
        fits = len(known) == len(classes) and all(one in (None, row) for one, row in zip(classes, known, strict=True))
        return [row["shown_in"] for row in rows] if rows and fits else None

    def say(self, label: Path, classes: Sequence[int], cameras: Sequence[str]) -> None:
        """Take in the camera of each object of a label file; :meth:`write` writes it."""
        key = self._key(label)
        before = self._rows.pop(key, [])
        more = {name: before[0][name] for name in self._columns[len(COLUMNS) :]} if before else {}
        told = (camera if camera in MODALITIES else "" for camera in cameras)
        rows = [
            {**more, "file": key, "box": str(box), "class": str(number), "shown_in": camera}
            for box, (number, camera) in enumerate(zip(classes, told, strict=True))
        ]
        if before or any(cameras):
            self._rows[key] = self._said[key] = rows

    def take(self, labels: Sequence[Path]) -> int:
        """Take in what the data sets of label files say of them, and return of how many; :meth:`write` writes it."""
        others: dict[Path, ShownIn | None] = {}
        for label in labels:
            if (folder := label.parent.absolute()) not in others:
                roots = (root for root in folder.parents if (root / INDEX).is_file())
                others[folder] = next(map(ShownIn, roots), None)
            other = others[folder]
            if other and (rows := other._rows.get(other._key(label))):
                self._columns = [*dict.fromkeys((*self._columns, *other._columns))]
                key = self._key(label)
                self._rows[key] = self._said[key] = [{**row, "file": key} for row in rows]
        return len(self._said)

    def write(self, add: bool = False) -> None:
        """Write the file anew if anything was said, or add to it, as jobs do that work side by side.

        Raises:
            OSError: If it cannot be written; the previous file is kept.
        """
        if not self._said:
            return
        if add and self.file.is_file():
            with self.file.open("a", encoding="utf-8", newline="") as stream:
                csv.DictWriter(stream, self._columns).writerows(row for rows in self._said.values() for row in rows)
        else:
            with replacing(self.file, durable=True) as part, part.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, self._columns)
                writer.writeheader()
                writer.writerows(row for rows in self._rows.values() for row in rows)
        self._said = {}

    def _key(self, label: Path) -> str:
        """Return the name of a label file in the rows: its path below the folder of the data set."""
        if label.parent not in self._folders:
            folder = os.path.relpath(os.path.realpath(label.parent), self._root)
            self._folders[label.parent] = Path(folder).as_posix()
        return f"{self._folders[label.parent]}/{label.name}"
