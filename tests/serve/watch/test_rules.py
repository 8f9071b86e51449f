"""Rules on scripted objects, second by second."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from metafusion_yolo.data.temperatures import Thermogram
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.options.watch import Rule
from metafusion_yolo.serve.watch.rules import Lost, watcher_of
from metafusion_yolo.serve.watch.scene import Scene

sv = pytest.importorskip("supervision", reason="no supervision")
SIZE = 200, 100
RIGHT = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]
NAMES = {0: "person", 1: "car"}
NOISE = np.random.default_rng(0)


def scene(time: float, *objects: tuple[int, float], kind: int = 0, images=None, thermogram=None) -> Scene:
    """Return a scene of objects (number, x of the middle), 20 wide, that stand at y = 80."""
    boxes = np.array([[x - 10, 40, x + 10, 80] for _, x in objects], np.float32).reshape(-1, 4)
    count = len(objects)
    found = sv.Detections(
        boxes,
        confidence=np.full(count, 0.9),
        class_id=np.full(count, kind),
        tracker_id=np.array([number for number, _ in objects], int),
    )
    return Scene(time, SIZE, found, NAMES, images or {}, thermogram)


def told(watcher, *scenes: Scene) -> list[tuple[float, str]]:
    return [(one.time, word) for one in scenes for word, _ in watcher.see(one)]


def test_entering_is_told_once_a_visit():
    watcher = watcher_of(Rule("enters", zone=RIGHT, classes=["person"]))
    steps = [(0, 50), (1, 150), (2, 150), (2.5, 95), (3, 150), (4, 50), (6, 50), (7, 150)]
    assert told(watcher, *(scene(t, (1, x)) for t, x in steps)) == [(1, "entered"), (7, "entered")]
    [(_, more)] = watcher.see(scene(8, (2, 190)))
    assert more == {
        "class": "person",
        "confidence": 0.9,
        "track": 2,
        "box": [180.0, 40.0, 200.0, 80.0],
        "seconds": 0.0,
    }
    assert told(watcher_of(Rule("enters", zone=RIGHT, classes=["person"])), scene(0, (1, 150), kind=1)) == []


def test_crossing_has_a_direction():
    watcher = watcher_of(Rule("crosses", line=[[0.5, 0], [0.5, 1]]))  # who walks down it has the right on the left hand
    found = [
        (t, more["direction"])
        for t, x in enumerate((60, 80, 120, 140, 80, 60))
        for _, more in watcher.see(scene(t, (1, x)))
    ]
    assert found == [(2, "in"), (4, "out")]


def test_counts_last():
    watcher = watcher_of(Rule("counts", zone=RIGHT, more_than=1, seconds=2))
    two, one = ((1, 130), (2, 170)), ((1, 130),)
    steps = [(0, two), (1, one), (2, two), (3, two), (4, two), (5, two), (6, one), (8, one)]
    assert told(watcher, *(scene(t, *some) for t, some in steps)) == [(4, "crowded"), (8, "cleared")]


def test_an_event_says_how_hot_an_object_is():
    counts = np.full((50, 100), 200, np.uint16)
    counts[30, 35] = 755  # under the object, and hotter things beside it
    counts[30, 60] = 900
    thermogram = Thermogram(counts, Thermal(unit="celsius", scale=0.1), np.diag([2.0, 2, 1]))
    hot, cold = (scene(0, (1, 70), thermogram=one) for one in (thermogram, None))
    heat = hot.describe(hot.objects, 0)["temperature"]
    assert (heat["min"], heat["max"], heat["unit"]) == (20.0, 75.5, "celsius")
    assert heat["hot"] == {"x": 70.5, "y": 60.5}
    assert "temperature" not in cold.describe(cold.objects, 0)
    left = np.array([[60, 40], [68, 40], [68, 80], [60, 80]])  # half of its box, without the hot spot
    hot.objects.data["outline"] = np.fromiter([left], object, 1)
    assert hot.describe(hot.objects, 0)["temperature"]["max"] == 20.0


def test_heat():
    watcher = watcher_of(Rule("hot", above=60, zone=RIGHT, seconds=0))

    def seen(time: float, spot: tuple[int, int], count: int) -> Scene:
        counts = np.full((50, 100), 200, np.uint16)
        counts[spot[1], spot[0]] = count
        thermal = Thermal(unit="celsius", scale=0.1)
        return scene(time, thermogram=Thermogram(counts, thermal, np.diag([2.0, 2, 1])))

    assert told(watcher, seen(0, (20, 20), 900), seen(1, (70, 20), 599)) == []
    [(word, more)] = watcher.see(seen(2, (70, 20), 755))
    assert (word, more["temperature"], more["unit"]) == ("hot", 75.5, "celsius")
    assert more["spot"] == pytest.approx([140.5, 40.5])
    assert told(watcher, seen(3, (70, 20), 700), scene(4), seen(5, (70, 20), 100)) == [(5, "cooled")]


def test_lost_cameras_over_a_restart():
    rule = Rule("lost", seconds=2)
    watcher = watcher_of(rule)
    assert isinstance(watcher, Lost)
    steps = [(0, True), (1, False), (2, True), (4, True)]
    assert [(t, word) for t, gone in steps for word, _ in watcher.check({"infrared": gone}, t)] == [(4, "lost")]
    later = watcher_of(rule)
    later.state = json.loads(json.dumps(watcher.state))
    steps = [(9, True), (12, True), (13, False), (15, False)]
    assert [(t, word) for t, gone in steps for word, _ in later.check({"infrared": gone}, t)] == [(15, "back")]


def view(seed: int, light: float = 1.0, noise: float = 2.0) -> np.ndarray:
    """Return a view of blocks (120, 160) uint8, with the noise of a sensor."""
    draw = np.random.default_rng(seed)
    blocks = draw.integers(40, 200, (7 + seed, 9 + seed)).astype(np.float32)
    grey = light * cv2.resize(blocks, (160, 120), interpolation=cv2.INTER_NEAREST) + NOISE.normal(0, noise, (120, 160))
    return grey.clip(0, 255).astype(np.uint8)


def test_tampering():
    watcher = watcher_of(Rule("tampered"))
    passing = view(1)
    passing[30:110, 40:80] = 255

    def over(start: int, end: int, image) -> list[tuple[float, str]]:
        frames = (scene(t, images={"infrared": image(2 * t)}) for t in range(start, end))
        return told(watcher, *frames)

    assert over(0, 60, lambda t: passing if 40 <= t < 60 else view(1)) == [], "somebody large passes"
    assert over(60, 90, lambda t: np.full((120, 160), 9, np.uint8)) == [(63, "tampered")], "covered"
    assert over(90, 120, lambda t: view(1)) == [(93, "restored")]
    assert over(120, 150, lambda t: cv2.GaussianBlur(view(1), (0, 0), 12)) == [(123, "tampered")], "out of focus"
    assert over(150, 160, lambda t: view(1)) == [(153, "restored")]
    assert over(160, 200, lambda t: view(2)) == [(163, "tampered")], "turned away"
    assert over(200, 900, lambda t: view(2)) == [(767, "restored")], "and left so"


def test_night_falls():
    watcher = watcher_of(Rule("tampered"))
    frames = (scene(t, images={"visible": view(1, light=max(0.0, 1 - t / 1200))}) for t in range(0, 1600, 5))
    assert told(watcher, *frames) == []


def test_cameras_that_drift_apart() -> None:
    """A drift of more than 0.4 % of the width is told once it has lasted, and once it is over."""
    drift = {0: 0.001, 1: 0.02, 5: None, 6: 0.02, 12: 0.02, 13: 0.02, 14: 0.001, 30: 0.001}
    scenes = [replace(scene(time), drift=value) for time, value in drift.items()]
    assert told(watcher_of(Rule("drifted")), *scenes) == [(12, "drifted"), (30, "aligned")]
    [(word, more)] = watcher_of(Rule("drifted", seconds=0)).see(replace(scene(0), drift=0.02))
    assert (word, more) == ("drifted", {"pixels": 4.0}), "of the visible image, 200 wide"
