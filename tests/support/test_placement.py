from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metafusion_yolo.support.placement import place_labels

LABEL = [(40, 12), (30, 9)]


def shared(first, second) -> float:
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:4], second[2:4])
    return float(np.prod((high - low).clip(0)))


@st.composite
def crowds(draw):
    height, width = draw(st.integers(20, 200)), draw(st.integers(20, 300))
    boxes = draw(st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=12))
    scaled = [(x * width, y * height, (x + w / 4) * width, (y + h / 4) * height) for x, y, w, h in boxes]
    return np.array(scaled).reshape(-1, 4), (height, width)


@settings(max_examples=60, deadline=None)
@given(crowds())
def test_labels_lie_in_the_image_and_on_no_other(crowd):
    boxes, shape = crowd
    places = place_labels(boxes, [LABEL] * len(boxes), shape)
    there = [np.array(place[:4]) for place in places if place]
    for i, place in enumerate(there):
        assert place[0] >= 0 and place[1] >= 0 and place[2] <= shape[1] and place[3] <= shape[0]
        assert not any(shared(place, other) for other in there[:i])


def test_a_label_with_room_stands_on_its_box():
    (place,) = place_labels(np.array([[50.0, 50, 80, 90]]), [LABEL], (200, 200))
    assert (place.left, place.bottom, place.choice) == (49, 49, 0)


def test_five_people_in_a_row_keep_their_labels_and_their_faces():
    boxes = np.array([[100 + 16 * i, 100, 112 + 16 * i, 140] for i in range(5)], float)
    places = place_labels(boxes, [LABEL] * 5, (256, 320))
    assert all(places)
    assert max(shared(np.array(place[:4]), box) / (12 * 40) for place in places for box in boxes) < 0.05


def test_a_label_without_a_place_is_left_out():
    assert place_labels(np.array([[0.0, 0, 30, 30]]), [[(40, 12)]], (30, 30)) == [None]
    crowd = np.tile([0.0, 0, 40, 12], (3, 1))
    assert sum(place is not None for place in place_labels(crowd, [[(40, 12)]] * 3, (12, 40))) == 1


@pytest.mark.parametrize("box", [(-20, -20, 5, 5), (195, 195, 260, 260), (0, 0, 200, 200)])
def test_boxes_at_the_border_get_labels_inside(box):
    assert place_labels(np.array([box], float), [LABEL], (200, 200))[0] is not None
