"""The report of a conversion: pairs and boxes by class and split, and what was left out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Remarks:
    """Number of objects or pairs that were left out or changed, and the first file, by reason."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Count one more case of a reason."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, example)

    def __str__(self) -> str:
        rows = sorted(self.counts.items(), key=lambda row: -row[1])
        return "\n".join(f"  {count:>6}  {reason}; first: {self.examples[reason]}" for reason, count in rows)


@dataclass
class ConversionReport:
    """The result of a conversion.

    Attributes:
        title: The data set, and where it is described.
        yaml: The data-set YAML to train with.
        files: How the images were written: "linked", "copied" or "written, ...".
        notes: Lines for the user, on split and labels.
        pairs: Number of pairs by split.
        boxes: Number of boxes by class and split.
        remarks: What was left out or changed.
        unchanged: Whether an earlier run had done everything.
    """

    title: str
    yaml: Path
    files: str
    notes: list[str]
    pairs: dict[str, int]
    boxes: dict[str, dict[str, int]]
    remarks: Remarks = field(default_factory=Remarks)
    unchanged: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for :meth:`from_dict`, without the path, which may change."""
        return {key: value for key, value in asdict(self).items() if key not in ("yaml", "unchanged")}

    @classmethod
    def from_dict(cls, values: dict[str, Any], yaml: Path) -> "ConversionReport":
        """Return the report of an earlier run."""
        return cls(**{**values, "remarks": Remarks(**values["remarks"])}, yaml=yaml, unchanged=True)

    def __str__(self) -> str:
        """Return the report as plain text."""
        splits = list(self.pairs)
        table = [["", *splits], *([name, *(str(by.get(s, 0)) for s in splits)] for name, by in self.boxes.items())]
        table.insert(1, ["pairs", *map(str, self.pairs.values())])
        parts = [self.title, *(f"  {note}" for note in self.notes), f"  images: {self.files}", "", *columns(table)]
        if self.remarks.counts:
            parts += ["", "Left out or changed:", str(self.remarks)]
        if self.unchanged:
            parts += ["", "Nothing changed since the last conversion: nothing was written."]
        return "\n".join(parts)


def columns(rows: list[list[str]]) -> Iterable[str]:
    """Yield rows as lines, the first column flush left, numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *numbers in rows:
        cells = (number.rjust(max(7, width)) for number, width in zip(numbers, widths[1:], strict=True))
        yield f"  {first.ljust(widths[0])}{''.join(cells)}".rstrip()
