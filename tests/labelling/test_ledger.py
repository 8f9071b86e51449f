"""Labels of machines and of people are told apart."""

from __future__ import annotations

import json

import pytest

from metafusion_yolo.labelling.found import Found
from metafusion_yolo.labelling.ledger import LEDGER, PERSON, Ledger

CAR = Found("car", (0.1, 0.1, 0.5, 0.5), 0.8, "infrared")
ROWS = "1 0.300000 0.300000 0.400000 0.400000\n"


@pytest.fixture
def label(tmp_path):
    return tmp_path / "labels" / "7.txt"


def test_a_machine_label_may_be_replaced_until_a_person_changes_it(label) -> None:
    Ledger().write(label, ROWS, "best.pt", [CAR])
    assert label.read_text() == ROWS
    assert not Ledger().of_person(label)
    label.write_text(ROWS.replace("0.3", "0.4"))
    assert Ledger().of_person(label)


def test_files_without_a_line_and_corrections_are_of_a_person(label) -> None:
    assert not Ledger().of_person(label)  # there is none
    label.parent.mkdir()
    label.write_text("")
    assert Ledger().of_person(label)
    ledger = Ledger()
    ledger.write(label, ROWS, PERSON, [CAR])
    assert ledger.of_person(label) and Ledger().of_person(label)


def test_the_ledger_holds_scores_and_survives_a_killed_run(label) -> None:
    Ledger().write(label, ROWS, "best.pt", [CAR])
    file = label.parent / LEDGER
    entry = json.loads(file.read_text())
    assert (entry["file"], entry["by"], entry["scores"]) == ("7.txt", "best.pt", [0.8])
    file.write_text(file.read_text() + '{"file": "8.t')
    assert not Ledger().of_person(label)
