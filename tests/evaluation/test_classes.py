"""A detector is judged by the class names of a data set, whatever their numbers."""

from __future__ import annotations

import pytest
import torch

from metafusion_yolo.evaluation.classes import class_order, describe_order, renumber_classes, select_classes
from metafusion_yolo.support.errors import UserValueError

COCO = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (COCO, None),
        ({0: "Person", 1: "Bike", 2: "car", 3: "motor-cycle"}, (0, 1, 2, None)),
        ({0: "car", 1: "pedestrian"}, (2, 0)),
        ({0: "person"}, (0,)),
        ({0: "lamp", 1: "car"}, (None, 2)),
        ({0: "a", 1: "b", 2: "c", 3: "d"}, None),  # other words for as many classes
    ],
)
def test_classes_are_matched_by_name(data, expected) -> None:
    assert class_order(COCO, data) == expected


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(UserValueError, match=r"'person', 'bicycle', 'car' and 1 more.*'lamp': no class in common"):
        class_order(COCO, {0: "lamp"})


def test_what_is_judged_is_said() -> None:
    data = {0: "lamp", 1: "pedestrian", 2: "car"}
    order = class_order(COCO, data)
    assert order is not None
    text = describe_order(order, COCO, data)
    assert text == "classes are matched by name: pedestrian as person, car; the model has no lamp"


def test_scores_follow_the_order_of_the_data_set() -> None:
    raw = torch.arange(2 * 8 * 3, dtype=torch.float32).reshape(2, 8, 3)
    chosen = select_classes(raw, (2, None, 0), 4)
    assert chosen.shape == (2, 7, 3)
    assert torch.equal(chosen[:, :4], raw[:, :4])
    assert torch.equal(chosen[:, 4], raw[:, 6]) and torch.equal(chosen[:, 6], raw[:, 4])
    assert not chosen[:, 5].any()


def test_final_detections_are_renumbered_and_others_dropped() -> None:
    found = [{"cls": torch.tensor([2.0, 1.0, 0.0]), "conf": torch.tensor([0.9, 0.8, 0.7]), "bboxes": torch.eye(3, 4)}]
    [image] = renumber_classes(found, (2, None, 0))
    assert image["cls"].tolist() == [0, 2]
    assert image["conf"].tolist() == pytest.approx([0.9, 0.7])
    assert torch.equal(image["bboxes"], torch.eye(3, 4)[[0, 2]])


def test_classes_of_a_new_model_have_no_names() -> None:
    assert class_order({i: str(i) for i in range(80)}, {0: "person", 1: "car"}) is None
