"""What would be found if labels chose the better camera for every box."""

import torch

LEFT, RIGHT, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [60, 0, 70, 10]


def boxes(*rows):
    """Return boxes of class 0 by (corners, score)."""
    from upper import by_class

    corners, scores = zip(*rows, strict=True)
    return by_class(torch.tensor(corners).float(), torch.tensor(scores), torch.zeros(len(rows)))


def judged(visible, infrared, labelled):
    from upper import choose

    image = choose(visible, infrared, labelled)
    return sorted((round(score, 2), right[0]) for right, score in zip(image["tp"], image["conf"], strict=True))


def test_of_each_labelled_box_the_better_detection_counts() -> None:
    labelled = boxes((LEFT, 1.0), (RIGHT, 1.0))
    found = judged(boxes((LEFT, 0.9), (RIGHT, 0.2)), boxes((LEFT, 0.3), (RIGHT, 0.8)), labelled)
    assert found == [(0.8, True), (0.9, True)]


def test_a_wrong_box_counts_only_where_both_cameras_see_it() -> None:
    labelled = boxes((LEFT, 1.0))
    assert judged(boxes((RIGHT, 0.9)), boxes((FAR, 0.8), (LEFT, 0.5)), labelled) == [(0.5, True)]
    assert judged(boxes((FAR, 0.9)), boxes((FAR, 0.8)), labelled) == [(0.8, False)]


def test_a_second_detection_of_an_object_is_wrong() -> None:
    twice = boxes((LEFT, 0.9), (LEFT, 0.7))
    assert judged(twice, twice, boxes((LEFT, 1.0))) == [(0.7, False), (0.9, True)]
    assert judged(twice, {}, boxes((LEFT, 1.0))) == [(0.9, True)]
