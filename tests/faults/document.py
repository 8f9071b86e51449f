"""`docs/faults.md`, made from the catalogue that the tests play."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults import (
    test_arguments,
    test_cameras_yaml,
    test_checkpoints,
    test_data_commands,
    test_data_yaml,
    test_files,
    test_labels,
    test_model_yaml,
    test_odd_files,
    test_outputs,
    test_python,
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
        test_outputs,
        test_python,
    )
]
INTRODUCTION = """\
# What goes wrong, and what you see

{count} faults, each with the command that meets it and the message in its words; `…` stands for what depends on the
machine or on a version. {refused} are refused: the command ends in exit code 2 with that one message, or Python raises
that exception; there is no traceback, and no file that was there before is touched. {found} are findings of
`metafusion data check`, exit code 1. {tolerated} are tolerated, exit code 0.

The tests plant each of them in a small folder of pairs and compare what is said with this page: `pytest tests/faults`.
The page is written by `python -m tests.faults`. `METAFUSION_DEBUG=1` shows the traceback of a refusal.
"""


def document() -> str:
    """Return the page."""
    faults = [fault for area in AREAS for fault in area.faults]
    found, tolerated = (sum(fault.code == code for fault in faults) for code in (1, 0))
    refused = len(faults) - found - tolerated
    head = INTRODUCTION.format(count=len(faults), refused=refused, found=found, tolerated=tolerated)
    chapters = [f"## {area.title}\n\n{area.about}\n\n" + "\n".join(map(entry, area.faults)) for area in AREAS]
    return "\n".join([head, *chapters])


def entry(fault: Fault) -> str:
    """Return a fault as Markdown: what it is, what is typed, what is seen."""
    python = bool(fault.raises or fault.python)
    command = fault.command.encode(errors="backslashreplace").decode()
    quoted = command.replace("'", '"')  # as ruff, which looks at the Python of a page too, would have it
    lines = [f">>> {quoted}" if python else f"$ metafusion {command}"]
    if fault.raises:
        lines.append(f"{fault.raises.__name__}: {fault.says}")
    elif fault.code == 2:
        lines.append(f"metafusion: error: {fault.says}")
    elif fault.says:
        lines.append(fault.says)
    kind = "pycon" if python else "console"
    note = f"\n{fault.note}\n" if fault.note else ""
    text = "\n".join(lines)
    return f"**{fault.title[0].upper()}{fault.title[1:]}**\n\n```{kind}\n{text}\n```\n{note}"


def write() -> Path:
    """Write the page and return its path."""
    FILE.write_text(document(), encoding="utf-8")
    return FILE
