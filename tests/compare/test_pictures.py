"""Which boxes of an example are right, and which examples are shown."""

import numpy as np
import pytest

from metafusion_yolo.compare.pictures import iou, matched, most_telling, read_labels

BOXES = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], float)
CLASSES = np.array([0, 1])


def test_overlap() -> None:
    assert iou([0, 0, 10, 10], [5, 0, 15, 10]) == pytest.approx(1 / 3)
    assert iou([0, 0, 1, 1], [2, 2, 3, 3]) == 0


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        ([], []),
        ([[0, 0, 10, 10, 0.9, 0]], [True]),
        ([[0, 0, 10, 10, 0.9, 1]], [False]),  # another class
        ([[0, 0, 10, 10, 0.5, 0], [1, 0, 10, 10, 0.9, 0]], [False, True]),  # found twice: the surer one counts
        ([[20, 20, 40, 29, 0.9, 1]], [False]),  # overlaps too little
    ],
)
def test_right_boxes(predicted, right) -> None:
    assert matched(np.array(predicted, float).reshape(-1, 6), BOXES, CLASSES) == right


def test_the_images_on_which_rows_differ_come_first() -> None:
    def found(hits: int) -> dict:
        return {"tp": [[1] * 10] * hits, "conf": [0.9] * hits, "target_cls": [0] * 4}

    rows = {"a": {"x": found(1), "y": found(0), "z": found(2)}, "b": {"x": found(2), "y": found(4), "z": found(2)}}
    assert most_telling(rows, 2) == ["y", "x"]


def test_labels_are_boxes_or_polygons(make_pair_folder) -> None:
    for polygons in (False, True):
        pairs = make_pair_folder(count=1, name=f"polygons-{polygons}", polygons=polygons)
        boxes, classes = read_labels(str(pairs.visible[0]), 64, 48)
        assert classes.tolist() == [0, 1]
        assert boxes.shape == (2, 4) and (boxes[:, 2:] > boxes[:, :2]).all() and boxes.max() <= 64
