"""The page for users is the catalogue that is played, and the catalogue is large and plain."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import ultralytics

from tests.faults import document
from tests.faults.catalogue import ANY, ROOT, matches

FAULTS = [fault for area in document.AREAS for fault in area.faults]


def test_the_page_is_up_to_date() -> None:
    page = document.FILE.read_text(encoding="utf-8")
    assert page == document.document(), "run `python -m tests.faults`, and commit docs/faults.md"


def test_a_user_can_read_it() -> None:
    page = document.FILE.read_text(encoding="utf-8")
    assert len(page.split()) < 2000
    assert max(len(row.split()) for row in page.splitlines() if "data-check.md" not in row) < 50


def test_every_message_can_be_found() -> None:
    page = document.FILE.read_text(encoding="utf-8")
    refused = {document.escaped(document.folded(fault)) for fault in FAULTS if fault.code == 2}
    refused = {said for said in refused if not document.PLAIN.match(said)}
    assert len(refused) > 100
    assert [said for said in refused if said not in page or not said.strip(ANY)] == []


def test_nothing_quotes_the_host() -> None:
    """Its words change as it does: a message of its own is `…` around the argument and the value that it names."""
    said = set[str]().union(*(phrases(fault.says) for fault in FAULTS))
    host, ours = (
        set[str]().union(*(said & phrases(file.read_text(encoding="utf-8")) for file in Path(folder).rglob("*.py")))
        for folder in (Path(ultralytics.__file__).parent, ROOT / "metafusion_yolo")
    )
    quoted = {fault.title: phrases(fault.says) & host - ours for fault in FAULTS}
    assert {title: found for title, found in quoted.items() if found} == {}


def phrases(text: str) -> set[str]:
    """Return all that a text has of five words in a row."""
    words = re.findall(r"[a-z]{2,}", text.lower())
    return {" ".join(words[i : i + 5]) for i in range(len(words) - 4)}


def test_every_file_of_faults_is_on_the_page() -> None:
    files = {file.stem for file in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).stem}
    assert files == {name for name in vars(document) if name.startswith("test_")}


def test_there_are_many_and_no_two_are_one() -> None:
    assert len(FAULTS) >= 120
    planted = Counter((area.title, fault.title, fault.command) for area in document.AREAS for fault in area.faults)
    assert [key for key, count in planted.items() if count > 1] == []


def test_what_is_tolerated_says_what_becomes_of_it() -> None:
    assert [fault.title for fault in FAULTS if fault.code == 0 and not (fault.says or fault.note)] == []
    assert [fault.title for fault in FAULTS if fault.code == 2 and not fault.says.strip(ANY)] == []


def test_what_stands_for_anything() -> None:
    assert matches("a … c", "a long b c") and not matches("a … c", "a long b") and not matches("(a)", "a")
