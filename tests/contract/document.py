"""`docs/host-contract.md`, made from the table that the guard checks."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.rows import TABLES, Row

FILE = Path(__file__).parents[2] / "docs" / "host-contract.md"
MOST = 15  # names that are listed
INTRODUCTION = """\
# Which names of Ultralytics work with pairs

`MetaFusionYOLO`, its trainer, validator, predictor, exporter and results inherit from Ultralytics. Each of their {all}
public names and arguments works with pairs, as a test shows, or is refused in one line; a new one fails the tests until
someone has decided about it. `python -m tests.contract` writes this page.

`YOLO(checkpoint)` of Ultralytics, `yolo` and its solutions look with the visible camera alone, and say so once. Images
on the web, screens and `.streams` are refused as sources.

**{works} work.** Remarks:

{notes}
**{no} are refused.**

{refused}"""


def document() -> str:
    """Return the page."""
    rows = [row for _, table in TABLES.values() for row in table]
    works, no = (sum(len(row.each()) for row in rows if kind(row)) for kind in (shown, refused))
    notes = "".join(f"- {names(row)}: {row.note}\n" for row in rows if shown(row) and row.note)
    grouped: dict[str, list[str]] = {}
    for row in rows:
        if refused(row):
            said = re.sub(r"the task '\w+'", "the task 'TASK'", row.refused.partition("; ")[0])
            grouped.setdefault(f"`{said}`{'; ' + row.note if row.note else ''}", []).append(names(row))
    nos = "".join(f"- {', '.join(each)}: {said}\n" for said, each in grouped.items())
    return INTRODUCTION.format(all=works + no, works=works, no=no, notes=notes, refused=nos)


def shown(row: Row) -> bool:
    """Return whether a test shows that the names work."""
    return bool(row.shown)


def refused(row: Row) -> bool:
    """Return whether the names are refused."""
    return bool(row.refused)


def names(row: Row) -> str:
    """Return the names of a row as code; of many, the first and last."""
    each = [f"`{name}`" for name in row.each()]
    return ", ".join(each) if len(each) <= MOST else f"{each[0]} ... {each[-1]}, {len(each)} names"


def write() -> Path:
    """Write the page and return its path."""
    FILE.write_text(document(), encoding="utf-8")
    return FILE
