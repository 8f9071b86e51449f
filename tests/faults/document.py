"""`docs/faults.md`, made from the catalogue that the tests play."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.faults import (
    test_arguments,
    test_cameras_yaml,
    test_checkpoints,
    test_data_commands,
    test_data_yaml,
    test_files,
    test_labelling,
    test_labels,
    test_model_yaml,
    test_odd_files,
    test_outputs,
    test_python,
    test_serving,
    test_sources,
    test_starts,
)
from tests.faults.catalogue import ROOT, Area, Fault

FILE = ROOT / "docs" / "faults.md"
AREAS: Sequence[Area] = [
    module.AREA
    for module in (
        test_files,
        test_odd_files,
        test_sources,
        test_data_yaml,
        test_cameras_yaml,
        test_model_yaml,
        test_labels,
        test_arguments,
        test_checkpoints,
        test_starts,
        test_data_commands,
        test_labelling,
        test_serving,
        test_outputs,
        test_python,
    )
]
INTRODUCTION = """\
# What goes wrong, and what you see

{count} faults; those that are answered in the same words, but for names, share a row. `…` stands for the host's own
words and for what depends on the machine or on a version, `⏎` for a new line. {refused} are refused: the command
ends in exit code 2 with that one message behind `metafusion: error:`, or Python raises that exception; there is no
traceback, and no file that was there before is touched. {found} are findings of `metafusion data check`, exit code
1. {tolerated} are tolerated, exit code 0: the command goes on.

The tests plant each of them in a small folder of pairs and compare what is said with this page: `pytest tests/faults`.
The page is written by `python -m tests.faults`. `METAFUSION_DEBUG=1` shows the traceback of a refusal.
"""
FEW_WORDS = 4  # of a message that does not say enough to stand for several faults
TABLE = "| what goes wrong | what you type | what you see |\n|---|---|---|\n"


def document() -> str:
    """Return the page."""
    faults = [fault for area in AREAS for fault in area.faults]
    found, tolerated = (sum(fault.code == code for fault in faults) for code in (1, 0))
    refused = len(faults) - found - tolerated
    head = INTRODUCTION.format(count=len(faults), refused=refused, found=found, tolerated=tolerated)
    return "\n".join([head, *map(chapter, AREAS)])


def chapter(area: Area) -> str:
    """Return the faults of an area as a table."""
    alike: dict[tuple[str, ...], list[Fault]] = {}
    for fault in area.faults:
        alike.setdefault(answer(fault), []).append(fault)
    rows = map(row, alike.values())
    return f"## {area.title}\n{area.about}\n\n{TABLE}{''.join(rows)}"


def answer(fault: Fault) -> tuple[str, ...]:
    """Return what faults of a row have in common: what is seen but for names, and what they are if that is little."""
    said = re.sub(r"^\d+ problems? in [^:]*:\s*", "", seen(fault))
    said = re.sub(r"'[^']*'", "'…'", said)
    return said, fault.note, "" if len(re.findall(r"[a-z]+", said)) > FEW_WORDS else fault.title.partition(", ")[0]


def row(faults: Sequence[Fault]) -> str:
    """Return faults with one answer as a row: what they are, what is typed, what is seen."""
    said, note = seen(faults[0]), faults[0].note
    places: dict[str, list[str]] = {}
    for fault in faults:
        what, _, place = fault.title.partition(", ")
        places.setdefault(what, []).extend([place] if place else [])
    title = "; ".join(", ".join([what, *where]) for what, where in places.items())
    tolerated = "goes on: " if faults[0].code == 0 and said else ""
    what = "<br>".join(filter(None, [f"{tolerated}{code(said)}" if said else "", note]))
    cells = title[0].upper() + title[1:], "<br>".join(dict.fromkeys(map(typed, faults))), what
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def typed(fault: Fault) -> str:
    """Return the command or the expression of a fault as code."""
    if fault.raises or fault.python:
        return code(fault.command)
    return code(f"metafusion {fault.command}")


def seen(fault: Fault) -> str:
    """Return what is said: a message, an exception, or what the output has of it."""
    return f"{fault.raises.__name__}: {fault.says}" if fault.raises else fault.says


def code(text: str) -> str:
    """Return text of any kind as code in one line."""
    text = " ⏎ ".join(line.strip() for line in text.encode(errors="backslashreplace").decode().splitlines())
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def write() -> Path:
    """Write the page and return its path."""
    FILE.write_text(document(), encoding="utf-8")
    return FILE
