"""Which label files are by machines and which by people, so that labels by people are not overwritten.

A file `machine-labels.jsonl` beside the label files has a line for each one that this tool wrote; the last line counts.
A label file without a line, or whose content differs from it, is by a person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metafusion_yolo.labelling.found import Found
from metafusion_yolo.support.files import replacing

LEDGER = "machine-labels.jsonl"
PERSON = "person"


class Ledger:
    """The ledgers of the folders of label files."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Any]] = {}

    def of_person(self, label: Path) -> bool:
        """Return whether a label file exists and is by a person."""
        if not label.is_file():
            return False
        entry = self._entries(label.parent).get(label.name, {"by": PERSON})
        return entry["by"] == PERSON or entry["digest"] != digest(label.read_text(encoding="utf-8", errors="replace"))

    def write(self, label: Path, rows: str, by: str, found: Sequence[Found]) -> None:
        """Write a label file after its line in the ledger, so that a killed run leaves none without a line.

        Args:
            label: The label file.
            rows: Its text.
            by: The checkpoint that found the objects, or `PERSON`.
            found: The objects, in the order of the rows.

        Raises:
            OSError: If it cannot be written; the previous file is kept.
        """
        entry: dict[str, Any] = {"file": label.name, "digest": digest(rows), "by": by}
        entry |= {"scores": [one.score for one in found]}
        label.parent.mkdir(parents=True, exist_ok=True)
        entries = self._entries(label.parent)
        with (label.parent / LEDGER).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        entries[label.name] = entry
        with replacing(label) as part:
            part.write_text(rows, encoding="utf-8")

    def _entries(self, folder: Path) -> dict[str, Any]:
        if folder not in self._folders:
            file = folder / LEDGER
            lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
            self._folders[folder] = {entry["file"]: entry for entry in filter(None, map(_entry, lines))}
        return self._folders[folder]


def digest(text: str) -> str:
    """Return a fingerprint of a label file."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _entry(line: str) -> dict[str, Any] | None:
    """Return an entry of a ledger; None for a line that a killed run left unfinished."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"file", "digest", "by"} <= entry.keys() else None
