"""Which camera shows an object: rows that fit their label file, or none; written whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from metafusion_yolo.data.shown_in import ShownIn

HEAD = "file,box,class,shown_in,condition\n"
ROWS = "labels/0.txt,0,1,visible,fog\nlabels/0.txt,1,0,,fog\nlabels/1.txt,0,0,both,day\n"


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "shown_in.csv").write_text(HEAD + ROWS)
    return tmp_path


def test_rows_count_while_they_fit_the_label_file(root):
    label, shown_in = root / "labels" / "0.txt", ShownIn(root)
    assert shown_in.of(label, [1, 0]) == ["visible", ""]
    assert shown_in.of(label, [0, 1]) is None and shown_in.of(label, [1]) is None
    assert shown_in.of(label, [0], only=[0]) == [""]
    assert shown_in.of(label, [None, None]) == ["visible", ""], "numbered otherwise, as with single_cls"
    assert shown_in.of(label, [None]) is None and shown_in.of(root / "labels" / "2.txt", [1]) is None


def test_rows_of_a_corrected_file_are_replaced_and_those_of_others_kept(root):
    shown_in = ShownIn(root)
    shown_in.say(root / "labels" / "0.txt", [0, 0, 0], ["infrared", "", "of a stranger"])
    shown_in.say(root / "labels" / "2.txt", [1], [""])
    shown_in.write()
    rows = "".join(f"labels/0.txt,{row},fog\n" for row in ("0,0,infrared", "1,0,", "2,0,"))
    assert (root / "shown_in.csv").read_text() == f"{HEAD}labels/1.txt,0,0,both,day\n{rows}"


def test_jobs_side_by_side_add_their_rows_and_the_last_ones_count(root):
    first, second = ShownIn(root), ShownIn(root)
    for shown_in, number in ((first, 0), (second, 1)):
        shown_in.say(root / "labels" / f"{number}.txt", [0], ["infrared"])
        shown_in.write(add=True)
    now = ShownIn(root)
    assert [now.of(root / "labels" / f"{number}.txt", [0]) for number in (0, 1)] == [["infrared"]] * 2


def test_a_data_set_about_which_nothing_is_said_has_no_such_file(tmp_path):
    shown_in = ShownIn(tmp_path)
    shown_in.say(tmp_path / "labels" / "0.txt", [0], [""])
    shown_in.write()
    assert not [*tmp_path.iterdir()]
