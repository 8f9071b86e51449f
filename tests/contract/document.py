"""`docs/host-contract.md`, made from the table that the guard checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.contract.rows import TABLES, Row

FILE = Path(__file__).parents[2] / "docs" / "host-contract.md"
INTRODUCTION = """\
# What becomes of every door of Ultralytics

`MetaFusionYOLO` inherits the host's `Model`, and its trainer, validator, predictor, exporter and results those of the
host. Each public name and argument of them works with pairs, or is refused in one line; none leaves the infrared camera
out in silence. {works} work, as a test shows, {refused} are refused. `tests/contract` checks that the tests exist and
plays the refusals; a new name of a newer Ultralytics fails there until it has its row. Other names, such as
`state_dict`, are PyTorch's.

The page is written by `python -m tests.contract`.
"""


def document() -> str:
    """Return the page."""
    rows = [row for _, table in TABLES.values() for row in table]
    works = sum(len(row.each()) for row in rows if row.shown)
    text = INTRODUCTION.format(works=works, refused=sum(len(row.each()) for row in rows if row.refused))
    return text + "".join(chapter(title, *TABLES[title]) for title in TABLES)


def chapter(title: str, about: str, rows: Sequence[Row]) -> str:
    """Return a table."""
    return (
        f"\n## {title}\n\n{about[0].upper()}{about[1:]}.\n\n| name | works with pairs, or what is said |\n|---|---|\n"
        + "".join(map(line, rows))
    )


def line(row: Row) -> str:
    """Return a row of a table."""
    names = ", ".join(f"`{name}`" for name in row.each())
    said = f"refused: `{row.refused}`" if row.refused else f"`tests/{row.shown}`"
    return f"| {names} | {said}{'; ' + row.note if row.note else ''} |\n"


def write() -> Path:
    """Write the page and return its path."""
    FILE.write_text(document(), encoding="utf-8")
    return FILE
