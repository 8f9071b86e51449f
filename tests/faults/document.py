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

How messages begin; each continues with what to do. `…` stands for a name. Not listed: messages that begin with the
argument or key that is wrong, and say what is expected.

* {refused} faults are **refused**: one line, exit code 2 or an exception, and no earlier file is touched.
  `METAFUSION_DEBUG=1` shows the traceback.
* {found} are **found** by `metafusion data check`, exit code 1.
* {tolerated} are **tolerated**: the command continues, exit code 0.

Tests play each of them; `python -m tests.faults` writes this page.
"""
PLAIN = re.compile(  # begins with what it is about, or quotes that in words of others
    r"(\w+Error: )?(data set \S+: )?(unknown |'?[\w.]+[=:]|data\.yaml '|…\S|'[^']*' is (invalid|unknown|missing)$)"
    r"|data set …: …$"
)
FEW_WORDS = 1  # of a message that does not say enough without what goes wrong
ENOUGH = 4  # plain words of a message, with which it is found
MOST = 4  # things that go wrong which stand beside one message
REST = re.compile(
    r"; |, for example |: looked for |, known: |, did you mean |(?<=is invalid), expected | \\(in [^)]*\\)$"
)
CHECK = re.compile(r"(?:error|warning|note) +([a-z-]+) +\d+ ")


def document() -> str:
    """Return the page."""
    faults = [fault for area in AREAS for fault in area.faults]
    found, tolerated = (sum(fault.code == code for fault in faults) for code in (1, 0))
    refused = len(faults) - found - tolerated
    head = INTRODUCTION.format(refused=refused, found=found, tolerated=tolerated)
    said = set[str]()
    return "\n".join([head, *(chapter(area, said) for area in AREAS)])


def chapter(area: Area, said: set[str]) -> str:
    """Return the faults of an area as a list: what is refused, what the check finds, what is tolerated.

    Args:
        area: The area.
        said: What earlier areas say, which is not said again; it takes up what this one says.
    """
    refused: dict[str, list[Fault]] = {}
    checked: dict[str, list[Fault]] = {}
    tolerated: dict[str, list[Fault]] = {}
    for fault in area.faults:
        if kind := CHECK.match(fault.says):
            checked.setdefault(kind[1], []).append(fault)
        elif fault.code == 0:
            tolerated.setdefault(fault.note or folded(fault), []).append(fault)
        else:
            refused.setdefault(folded(fault), []).append(fault)
    lines = [line for line in map(row, refused.values()) if line not in said and not PLAIN.match(line)]
    said.update(lines)
    items = []
    if checked:
        kinds = (f"`{kind}`" for kind in checked)
        items.append(f"[`data check`](data-check.md) reports: {', '.join(kinds)}")
    for said, faults in tolerated.items():
        if said.startswith("val: "):  # what the host says of a label: the kinds of the check are above
            continue
        items.append(f"{titles(faults)}: {faults[0].note or code(folded(faults[0]))}")
    block = "\n".join(["", "```text", *lines, "```", *[""] * (1 + bool(items))])
    return f"## {area.title}\n\n{area.about}\n{block}" + "".join(f"* {item}\n" for item in items)


def row(faults: Sequence[Fault]) -> str:
    """Return refused faults with one answer: what is said, and what they are where that says too little."""
    said = escaped(folded(faults[0]))
    words = re.findall(r"[a-z]+", re.sub(r"'[^']*'|\(.*?\)|^\w+Error: ", "", said))
    return said if len(words) > FEW_WORDS else f"{said}  # {titles(faults)}"


def titles(faults: Sequence[Fault]) -> str:
    """Return what goes wrong in some faults, without the commands that meet it."""
    names = [*dict.fromkeys(fault.title.partition(", ")[0] for fault in faults)]
    return "; ".join([*names[:MOST], *(["others"] if len(names) > MOST else [])])


def folded(fault: Fault) -> str:
    """Return the first part of what is said, up to what to do, without the names of the folder that it is played in."""
    said = re.sub(r"^\d+ problems? in [^:]*:\s*", "", fault.says).partition("\n")[0]
    said = REST.split(said)[0].rstrip(":")
    for name in re.findall(r"'(?!\w+=)[^']*[/.][^']*'", said):
        said = said.replace(name, "…")
    words = said.split()
    plain = [i for i, word in enumerate(words) if word.isalpha()]
    kept = words[: plain[ENOUGH - 1] + 1] if len(plain) >= ENOUGH else words
    return " ".join([*kept, *(["…"] if len(words) > len(kept) else [])])


def code(text: str) -> str:
    """Return text of any kind as code in one line."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{escaped(text)}{fence}"


def escaped(text: str) -> str:
    """Return text of any kind as UTF-8 has it."""
    return text.encode(errors="backslashreplace").decode()


def write() -> Path:
    """Write the page and return its path."""
    FILE.write_text(document(), encoding="utf-8")
    return FILE
