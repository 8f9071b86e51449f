"""Boxes are cut, counted and merged as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.prepare.convert.boxes import to_labels, union
from metafusion_yolo.prepare.convert.formats import Box

SIZE = (100, 50)


def convert(*boxes: Box, border: int = 0) -> tuple[list[list[float]], list[str]]:
    remarks: list[str] = []
    return to_labels(boxes, {"car": 0, "freight car": 1}, SIZE, border, remarks.append).tolist(), remarks


def test_a_box_inside_is_normalised_by_the_size_of_the_image() -> None:
    assert convert(Box("car", (10, 10, 60, 35))) == ([[0, 0.1, 0.2, 0.6, 0.7]], [])


@pytest.mark.parametrize("name", ["Freight_Car", " freight  car", "FREIGHT-CAR"])
def test_spelling_of_a_class_does_not_matter(name) -> None:
    assert convert(Box(name, (0, 0, 100, 50)))[0] == [[1, 0, 0, 1, 1]]


def test_rounding_errors_at_the_edge_are_not_worth_a_word() -> None:
    assert convert(Box("car", (-0.4, 10, 50, 50.4))) == ([[0, 0, 0.2, 0.5, 1]], [])
    assert convert(Box("car", (-0.6, 10, 50, 50)))[1] == ["box cut to the image (kept)"]


def test_a_border_is_cut_off_before_the_edge_is() -> None:
    assert convert(Box("car", (15, 15, 130, 35)), border=20) == ([[0, 0, 0, 1, 0.3]], ["box cut to the image (kept)"])


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (Box("dog", (0, 0, 9, 9)), "object of a class that is not converted, 'dog'"),
        (Box("car", None), "object without a box"),
        (Box("car", (0, 0, 9, 9), skip="crowd"), "crowd"),
        (Box("car", (9, 0, 0, 9)), "box less than 1 pixel wide or high"),
        (Box("car", (0, 0, 0.5, 9)), "box less than 1 pixel wide or high"),
        (Box("car", (0, 0, float("inf"), 9)), "box less than 1 pixel wide or high"),
        (Box("car", (99.5, 0, 120, 9)), "box outside the image"),
    ],
)
def test_what_is_no_box_is_left_out_and_said(box, reason) -> None:
    assert convert(box) == ([], [reason])


# Union ---------------------------------------------------------------------------------------------------------------
def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 5)


@pytest.mark.parametrize(
    ("infrared", "expected"),
    [
        ((0, 0.0, 0.0, 0.4, 0.2), [(0, 0.0, 0.0, 0.4, 0.3)]),  # IoU 0.5
        ((0, 0.0, 0.0, 0.4, 0.19), [(0, 0.0, 0.0, 0.4, 0.4), (0, 0.0, 0.0, 0.4, 0.19)]),  # IoU 0.475
        ((1, 0.0, 0.0, 0.4, 0.4), [(0, 0.0, 0.0, 0.4, 0.4), (1, 0.0, 0.0, 0.4, 0.4)]),  # another class
    ],
)
def test_boxes_of_one_class_and_half_in_common_become_their_mean(infrared, expected) -> None:
    found = union(boxes((0, 0.0, 0.0, 0.4, 0.4)), boxes(infrared))
    np.testing.assert_allclose(found, boxes(*expected))


def test_the_best_match_comes_first_and_each_box_matches_once() -> None:
    visible = boxes((0, 0, 0, 0.40, 0.4), (0, 0, 0, 0.36, 0.4))
    infrared = boxes((0, 0, 0, 0.36, 0.4), (0, 0, 0, 0.30, 0.4), (0, 0.5, 0.5, 0.6, 0.6))
    expected = boxes((0, 0, 0, 0.35, 0.4), (0, 0, 0, 0.36, 0.4), (0, 0.5, 0.5, 0.6, 0.6))
    np.testing.assert_allclose(union(visible, infrared), expected)


def test_a_camera_without_objects_adds_none() -> None:
    one, none = boxes((2, 0, 0, 1, 1)), boxes()
    assert union(one, none).tolist() == union(none, one).tolist() == one.tolist()
    assert union(none, none).shape == (0, 5)
