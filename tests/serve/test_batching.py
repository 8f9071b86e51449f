"""Requests that wait are put together by size; a pair that cannot be used keeps no other from its answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event
from typing import ClassVar

import numpy as np
import pytest

from metafusion_yolo.serve.batching import Batcher, BusyError
from metafusion_yolo.serve.engines import Found, found_each
from metafusion_yolo.serve.uploads import Pair
from metafusion_yolo.support.errors import UserValueError


class Engine:
    """Finds the level of a pair as its only score, once it may; pairs of level 13 cannot be used."""

    together = 4
    names: ClassVar = {0: "level"}

    def __init__(self) -> None:
        self.may, self.runs = Event(), []

    def __call__(self, pairs: Sequence[Pair]) -> list[Found]:
        self.may.wait()
        self.runs.append([int(pair.visible[0, 0, 0]) for pair in pairs])
        if 13 in self.runs[-1]:
            raise UserValueError("13 brings bad luck")
        none = np.zeros((1, 4)), np.zeros(1, np.int64)
        return [Found((1, 1), none[0], pair.visible[0, 0, :1], none[1], None, None, {}) for pair in pairs]


def pair(level: int, width: int = 8) -> Pair:
    return Pair(np.full((8, width, 3), level, np.uint8), np.zeros((8, width), np.uint8))


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def batcher(engine):
    made = Batcher(lambda: engine, 6, lambda pairs, seconds: None, lambda: None)
    with pytest.raises(BusyError, match="being loaded"):
        made.submit(pair(0))
    made.start()
    while made.engine is None:
        time.sleep(0.001)
    yield made
    engine.may.set()
    made.close()


def first(batcher) -> None:
    """Let the engine be busy with a pair, so that what follows waits."""
    batcher.submit(pair(0))
    while batcher.waiting:
        time.sleep(0.001)


def test_those_of_one_size_go_together(batcher, engine) -> None:
    first(batcher)
    waiting = [batcher.submit(pair(level, width)) for level, width in ((1, 8), (2, 8), (3, 9), (4, 8), (5, 9))]
    engine.may.set()
    assert [int(one.result(5).scores[0]) for one in waiting] == [1, 2, 3, 4, 5]
    assert engine.runs == [[0], [1, 2, 4], [3, 5]]


def test_a_pair_that_cannot_be_used_is_alone_in_that(batcher, engine) -> None:
    first(batcher)
    waiting = [batcher.submit(pair(level)) for level in (1, 13, 2)]
    engine.may.set()
    with pytest.raises(UserValueError, match="bad luck"):
        waiting[1].result(5)
    assert [int(waiting[i].result(5).scores[0]) for i in (0, 2)] == [1, 2]


def test_pairs_of_any_sizes_come_back_in_their_order(engine) -> None:
    engine.may.set()
    found = found_each(engine, [pair(1), pair(2, 9), pair(13), *map(pair, (3, 4, 5))])
    assert [str(one) if isinstance(one, Exception) else int(one.scores[0]) for one in found] == [
        *(1, 2, "13 brings bad luck", 3, 4, 5)
    ]
    assert engine.runs == [[1, 13, 3, 4], [1], [13], [3], [4], [5], [2]]


def test_too_many_are_told_to_come_back(batcher, engine) -> None:
    first(batcher)
    waiting = [batcher.submit(pair(1)) for _ in range(6)]
    with pytest.raises(BusyError, match="6 requests are waiting"):
        batcher.submit(pair(1))
    waiting[2].cancel()  # whose client has gone
    engine.may.set()
    assert [one.result(5) for i, one in enumerate(waiting) if i != 2]
    assert sum(map(len, engine.runs)) == 6


def test_the_end_waits_for_what_waits(batcher, engine) -> None:
    first(batcher)
    waiting = [batcher.submit(pair(1)) for _ in range(5)]
    engine.may.set()
    batcher.close()
    assert all(one.done() for one in waiting)
