"""Who is the same: results of a pair, second by second, over numbers of the tracker and kills of the service."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ultralytics.engine.results import Boxes

from metafusion_yolo.options.watch import CameraPair, Rule
from metafusion_yolo.serve.watch import stream
from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.serve.watch.plan import Watched
from metafusion_yolo.serve.watch.stream import Stream

pytest.importorskip("supervision", reason="no supervision")
ENTERS = Rule("enters", zone=[[0.5, 0], [1, 0], [1, 1], [0.5, 1]])  # from x = 100
STAYS = Rule("stays", zone=ENTERS.zone, seconds=10)
CROSSES = Rule("crosses", line=[[0.5, 0], [0.5, 1]])
KILL = "the service is killed, and started again"
Step = tuple[float, list[tuple[int, float]]]  # time; number of the tracker and x of the middle of each object


def result(objects: list[tuple[int, float]]) -> SimpleNamespace:
    """Return a result of objects that are 20 wide and stand at y = 80."""
    rows = np.array([[x - 10, 40, x + 10, 80, track, 0.9, 0] for track, x in objects], np.float32).reshape(-1, 7)
    image = np.zeros((100, 200), np.uint8)
    found = Boxes(rows, (100, 200)) if objects else Boxes(np.zeros((0, 6), np.float32), (100, 200))
    told = {"orig_img": image, "infrared": image, "orig_shape": image.shape, "names": {0: "person"}, "found": found}
    return SimpleNamespace(**told, modalities="infrared", time=None, thermogram=None, masks=None, obb=None)


def told(folder: Path, monkeypatch, rule: Rule, steps: list[Step | str]) -> list[tuple[float, int]]:
    """Return when events are told, and the numbers of their objects."""
    now = [0.0]
    monkeypatch.setattr(stream, "time", SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0]))
    watched = Watched("gate", CameraPair(0, 1), {"rule": rule})
    outbox = Outbox(folder / "events.db", [], 100)
    watching = Stream(watched, lambda _: [], outbox, None)
    events: list[tuple[float, int]] = []
    for step in steps:
        if isinstance(step, str):
            outbox.close()
            outbox = Outbox(folder / "events.db", [], 100)
            watching = Stream(watched, lambda _: [], outbox, None)
            continue
        now[0], objects = 100 + step[0], step[1]
        before = len(outbox.latest(100))
        watching._take(result(objects))
        latest = outbox.latest(100)
        events += [(step[0], one["track"]) for one in latest[: len(latest) - before]]
    outbox.close()
    return events


GOES = [(t, [(1, 150)]) for t in range(10)] + [(t, []) for t in range(10, 20)]
CASES = {
    "another number of the tracker is the same visitor": (
        ENTERS,
        [(0, [(1, 150)]), (1, [(2, 152)]), (2, []), (9, [(3, 151)]), (20, [(4, 150)])],
        [(0, 1)],
    ),
    "its number again is the same, wherever it is": (
        ENTERS,
        [(0, [(1, 150)]), (1, []), (5, [(1, 185)])],
        [(0, 1)],
    ),
    "too long ago": (ENTERS, [(0, [(1, 150)]), (1, []), (40, [(1, 150)])], [(0, 1), (40, 2)]),
    "who stood there at the last look is the same": (ENTERS, [*GOES[:10], KILL, (25, [(1, 151)])], [(0, 1)]),
    "even if the last look has overlooked it": (ENTERS, [*GOES[:12], KILL, (25, [(1, 151)])], [(0, 1)]),
    "or the service is killed twice": (ENTERS, [*GOES[:10], KILL, (10, []), KILL, (25, [(1, 151)])], [(0, 1)]),
    "who had gone before is not: the newcomer is told": (
        ENTERS,
        [*GOES, KILL, (25, [(1, 151)])],
        [(0, 1), (25, 2)],
    ),
    "a newcomer beside, with its number": (ENTERS, [*GOES[:10], KILL, (20, [(1, 190)])], [(0, 1), (20, 2)]),
    "how long one has stayed counts over a kill": (
        STAYS,
        [(0, [(1, 150)]), (6, [(1, 150)]), KILL, (9, [(5, 150)]), (11, [(5, 150)]), (20, [(5, 150)])],
        [(11, 1)],
    ),
    "a newcomer has not stayed": (
        STAYS,
        [(0, [(1, 150)]), (2, []), (6, []), KILL, (9, [(1, 150)]), (11, [(1, 150)]), (20, [(1, 150)])],
        [(20, 2)],
    ),
    "a newcomer with the number of one who was on the other side has not crossed": (
        CROSSES,
        [(0, [(1, 150)]), (1, []), (40, [(1, 50)]), (41, [(1, 50)])],
        [],
    ),
    "one crosses, with a new number on the way and that of the one before at its end": (
        CROSSES,
        [
            *[(0, [(1, 150)]), (20, [(2, 70)]), (21, [(2, 80)]), (22, [(2, 90)]), (23, [(3, 98)]), (24, [(3, 108)])],
            *[(25, [(3, 120)]), (26, [(3, 132)]), (27, [(3, 143)]), (28, [(1, 150)]), (40, [(1, 150)])],
        ],
        [(24, 2)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_told_once_a_visit(case, tmp_path, monkeypatch):
    rule, steps, expected = CASES[case]
    assert told(tmp_path, monkeypatch, rule, steps) == expected
