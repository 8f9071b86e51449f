"""Mixed calls of many threads, small, with every result and file compared; and a fault would be seen."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_calls_of_many_threads_are_those_made_alone(tmp_path, lively):
    import threads

    scene = threads.Scene(tmp_path, 64)
    calls = threads.jobs(scene, threads.thresholds(lively, scene, 64)[:1], 64)
    wanted = list(threads.alone(lively, scene, calls, tmp_path / "alone"))
    assert {job.method for job in calls} == {"predict", "track", "fuse_images", "val"}
    assert sum(bool(outcome.files) for _, outcome in wanted) > len(calls) / 2
    assert threads.in_threads(lively, scene, wanted, tmp_path / "threads", threads=4, calls=8) == {}


def test_what_differs_is_told():
    from threads import Outcome, difference

    wanted = Outcome([1, 2], {"a.txt": 5})
    assert difference(wanted, Outcome([1, 2], {"a.txt": 5})) == ""
    assert difference(Outcome([1], {"a.txt": 5}), wanted).startswith("results")
    assert difference(Outcome([1, 2], {}), wanted).startswith("files")
    assert difference(Outcome([1, 2], {"a.txt": 6}), wanted) == "contents of ['a.txt']"
