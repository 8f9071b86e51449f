"""Weights inside and outside boxes, on maps whose answer is known."""

import numpy as np
import pytest

from metafusion_yolo.evaluation.weights import weigh_boxes

WHOLE = (0, 0, 64, 32)


def test_a_map_of_two_values_is_told_apart() -> None:
    weights = np.full((8, 16), 0.2)
    weights[2:4, 4:8] = 0.9  # cells of 4 pixels
    found = weigh_boxes(weights, np.array([[16.0, 8.0, 32.0, 16.0]]), WHOLE)
    assert found.boxes.tolist() == pytest.approx([0.9])
    assert found.outside == pytest.approx(0.2)
    assert (found.inside_counts.sum(), found.outside_counts.sum()) == (8, 120)
    assert found.inside_counts[18] == 8
    assert found.outside_counts[3:5].sum() == 120


def test_the_letterbox_does_not_count() -> None:
    weights = np.zeros((8, 16))
    weights[2:6] = 0.5
    found = weigh_boxes(weights, np.zeros((0, 4)), (0, 8, 64, 24))
    assert found.outside == 0.5
    assert found.boxes.shape == (0,)
    assert found.outside_counts.sum() == 64


@pytest.mark.parametrize("box", [[21, 9, 22, 10], [63.5, 31.5, 64, 32], [0, 0, 0.5, 0.5]])
def test_a_box_smaller_than_a_cell_has_a_weight(box) -> None:
    found = weigh_boxes(np.full((8, 16), 0.3), np.array([box]), WHOLE)
    assert found.boxes.tolist() == pytest.approx([0.3])


def test_boxes_over_the_whole_image_leave_nothing_outside() -> None:
    found = weigh_boxes(np.full((8, 16), 0.3), np.array([[0.0, 0, 64, 32]]), WHOLE)
    assert np.isnan(found.outside)
