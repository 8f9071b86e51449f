"""YOLO label files are read in one way, and told to be wrong in one."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.data.labels import LabelError, label_file, label_rows, read_labels


def test_a_label_file_lies_where_the_host_looks_for_it() -> None:
    assert label_file("set/images/val/7.jpg").as_posix() == "set/labels/val/7.txt"


def test_boxes_and_polygons_are_boxes(tmp_path) -> None:
    file = tmp_path / "1.txt"
    file.write_text("\ufeff1 0.5 0.5 0.2 0.4\n\n3.0 0.1 0.1 0.1 0.1\n", encoding="utf-8")
    labels = read_labels(file)
    assert labels.classes.tolist() == [1, 3]
    np.testing.assert_allclose(labels.boxes_xyxyn, [[0.4, 0.3, 0.6, 0.7], [0.05, 0.05, 0.15, 0.15]])
    file.write_text("1 0.4 0.3 0.6 0.3 0.6 0.7")
    np.testing.assert_allclose(read_labels(file).boxes_xywhn, [[0.5, 0.5, 0.2, 0.4]])


def test_no_file_and_an_empty_one_are_background(tmp_path) -> None:
    (tmp_path / "1.txt").write_text("\n")
    for name in ("0.txt", "1.txt"):
        labels = read_labels(tmp_path / name)
        assert labels.classes.shape == (0,) and labels.boxes_xywhn.shape == labels.boxes_xyxyn.shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0 0.5 0.5", "line 1 has 3 columns; expected 'class x y width height', or a polygon"),
        (b"0 0.5 0.5 0.1 0.1\n\n0 x 0.5 0.1 0.1", "line 2 is not made of numbers: '0 x 0.5 0.1 0.1'"),
        (b"0 nan 0.5 0.1 0.1", "line 1 has no whole class and finite numbers"),
        (b"0.5 0.5 0.5 0.1 0.1", "line 1 has no whole class and finite numbers"),
        (b"0 0.5 0.5 0.1 0.1\n0 0 0 1 0 1 1", "line 2 has 7 columns, the first 5; do not mix boxes and polygons"),
        (b"\xff", "can't decode byte"),
    ],
)
def test_a_row_that_training_would_misread_is_named(tmp_path, text, message) -> None:
    (tmp_path / "1.txt").write_bytes(text)
    with pytest.raises(LabelError, match=message):
        read_labels(tmp_path / "1.txt")


def test_a_published_file_may_mix_boxes_and_polygons(tmp_path) -> None:
    (tmp_path / "1.txt").write_text("0 0.5 0.5 1 1\n0 0 0 1 0 1 1")
    np.testing.assert_allclose(read_labels(tmp_path / "1.txt", mixed=True).boxes_xyxyn, [[0, 0, 1, 1]] * 2)


def test_what_is_written_is_read_again(tmp_path) -> None:
    boxes = np.random.default_rng(0).uniform((0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1), (5, 4))
    (tmp_path / "1.txt").write_text(label_rows(range(5), boxes))
    labels = read_labels(tmp_path / "1.txt")
    assert labels.classes.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(labels.boxes_xyxyn, boxes, atol=2e-6)
