"""Clips of events: whole after a kill, without old pictures, and said where there is none."""

from __future__ import annotations

import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from metafusion_yolo.options.serve import Serve
from metafusion_yolo.options.watch import CameraPair, Events, Rule
from metafusion_yolo.serve.watch.clips import Recorder
from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.serve.watch.plan import Plan, Watched
from metafusion_yolo.serve.watch.service import Service
from metafusion_yolo.serve.watch.stream import Stream

VISIBLE, INFRARED = np.full((48, 64, 3), 90, np.uint8), np.full((48, 64), 160, np.uint8)
DEAD = SimpleNamespace(submit=lambda *_: None)  # a pool whose process is killed before it has written anything
EVENT = uuid.uuid4().hex


def frames(clip) -> int:
    capture, count = cv2.VideoCapture(str(clip)), 0
    while capture.read()[0]:
        count += 1
    return count


def test_a_killed_run_leaves_the_images_of_its_clip_and_the_next_one_writes_it(tmp_path):
    recorder = Recorder("gate", tmp_path, before=1, after=5, keep=9, pool=DEAD)
    for i in range(10):
        recorder.add(100 + i / 5, VISIBLE, INFRARED)
    name = recorder.clip_of(EVENT, 101.9)
    recorder.add(102.0, VISIBLE, INFRARED)
    snapshots = (tmp_path / name).with_suffix(".snapshots")
    with snapshots.open("ab") as cut_off:
        cut_off.write(snapshots.read_bytes()[:99])

    events = Events(outbox=str(tmp_path / "events.db"), clips=str(tmp_path))
    Service(Serve(), Plan([], events)).close()
    assert frames(tmp_path / name) == 11, "from 101 to 102, 10 a second, and the last"
    assert not snapshots.exists()


def test_a_clip_does_not_begin_with_pictures_of_long_ago(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        recorder = Recorder("gate", tmp_path, before=1, after=1, keep=9, pool=pool)
        recorder.add(100.0, VISIBLE, INFRARED)
        name = recorder.clip_of(EVENT, 700.0)  # a camera is back, whose first picture is on its way
        recorder.add(700.2, VISIBLE, INFRARED)
        recorder.close()
    assert frames(tmp_path / name) == 10


def test_a_clip_without_any_picture_is_told(tmp_path, caplog):
    with ThreadPoolExecutor(1) as pool:
        recorder = Recorder("gate", tmp_path, before=1, after=1, keep=9, pool=pool)
        name = recorder.clip_of(EVENT, 700.0)
        recorder.close()
    assert f"the clip '{name}' is missing" in caplog.text and not [*tmp_path.iterdir()]


@pytest.fixture
def stream(tmp_path):
    outbox = Outbox(tmp_path / "events.db", ["file"], 9)
    watched = Watched("gate", CameraPair(0, 1), {"gone": Rule("lost")})
    recorder = Recorder("gate", tmp_path / "clips", before=1, after=1, keep=9, pool=DEAD)
    yield Stream(watched, lambda _: [], outbox, recorder)
    outbox.close()


def test_an_event_says_why_it_has_no_clip(stream, tmp_path):
    (tmp_path / "clips").rmdir()
    stream._publish({"gone": [("lost", {"camera": "visible"})]}, 100.0)
    (told,) = stream._outbox.latest(9)
    assert told["clip"] is None and told["no_clip"] == "No such file or directory"


def test_events_of_a_full_disk_are_stored_once_there_is_room(stream, caplog):
    database: sqlite3.Connection = stream._outbox._database
    database.execute("PRAGMA max_page_count = 1")
    for camera in ("visible" * 999, "infrared" * 999):
        stream._publish({"gone": [("lost", {"camera": camera})]}, 100.0)
    assert not stream._outbox.latest(9)
    assert caplog.text.count("events cannot be stored") == 1
    database.execute("PRAGMA max_page_count = 999999")
    stream._publish({}, 101.0)
    assert len(stream._outbox.latest(9)) == 2
