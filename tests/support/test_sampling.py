"""A few items stand for many."""

from itertools import pairwise

import pytest

from metafusion_yolo.support.sampling import evenly


@pytest.mark.parametrize("most", [1, 2, 3, 7, 99])
def test_first_and_last_are_among_them_and_none_twice(most) -> None:
    chosen = evenly(range(100), most)
    assert len(chosen) == len({*chosen}) == most
    assert chosen[0] == 0 and (most == 1 or chosen[-1] == 99)
    steps = [b - a for a, b in pairwise(chosen)]
    assert not steps or max(steps) - min(steps) <= 1


def test_few_items_are_all_taken() -> None:
    assert evenly(["a", "b"], 2) == ["a", "b"] and evenly([], 3) == []
