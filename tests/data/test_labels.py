"""YOLO label files are read in one way, and told to be wrong in one."""

from __future__ import annotations

import numpy as np
import pytest
from ultralytics.cfg import get_cfg

from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.labels import LabelError, crosses_itself, is_empty, label_file, label_rows, read_labels
from metafusion_yolo.data.packed_dataset import POLYGON_FAULTS


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
        (b"\xff", r"not UTF-8 text \(at byte 0\)"),
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


def test_polygons_that_make_no_mask_are_named_in_a_line(make_pair_folder, caplog, monkeypatch) -> None:
    pairs = make_pair_folder(3, polygons=True)
    labels = sorted((pairs.root / "labels" / "train").iterdir())
    labels[0].write_text("0 0.1 0.1 0.5 0.5 0.3 0.3\n1 0.1 0.1 0.9 0.1 0.9 0.9\n")
    labels[1].write_text("0 0.1 0.1 0.9 0.9 0.9 0.1 0.1 0.9\n")
    args = get_cfg(overrides={"task": "segment", "imgsz": 64})
    build_paired_dataset(args, str(pairs.images), 1, pairs.data, "train", stride=32)
    monkeypatch.setitem(POLYGON_FAULTS, "cross themselves", None)  # nothing is counted again at the next start
    caplog.clear()
    build_paired_dataset(args, str(pairs.images), 1, pairs.data, "train", stride=32)
    said = [record.message for record in caplog.records if "masks or boxes will be wrong" in record.message]
    assert len(said) == 2
    assert "1 of 5 polygons have no area" in said[0] and said[0].endswith(f"'{pairs.visible[0]}'")
    assert "1 of 5 polygons cross themselves" in said[1] and said[1].endswith(f"'{pairs.visible[1]}'")
    caplog.clear()  # of oriented boxes the order of the corners does not matter
    build_paired_dataset(get_cfg(args, {"task": "obb"}), str(pairs.images), 1, pairs.data, "train", stride=32)
    said = [record.message for record in caplog.records if "masks or boxes will be wrong" in record.message]
    assert len(said) == 1 and "1 of 5 polygons have no area" in said[0]


def test_only_edges_that_cross_tear_a_mask() -> None:
    angles = np.sort(np.random.default_rng(0).uniform(0, 2 * np.pi, 60))
    around = np.stack((np.cos(angles), np.sin(angles)), 1)
    assert not crosses_itself(around) and not is_empty(around)
    around[[10, 30]] = around[[30, 10]]
    assert crosses_itself(around)
