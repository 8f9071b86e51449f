"""The outbox: order, what each reader has, and a process that is killed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.support.errors import UserValueError

KILLED = """
import sys
from metafusion_yolo.serve.watch.outbox import Outbox
box = Outbox(sys.argv[1], ["file"], 5)
for i in range(100000):
    box.take([{"id": str(i)}], "gate", {"number": i})
    print(i, flush=True)
"""


def ids(box: Outbox, reader: str) -> list[str]:
    found = []
    while letter := box.next(reader):
        found.append(letter.id)
        box.confirm(reader, letter.number)
    return found


def test_each_reader_gets_each_event_once_in_order(tmp_path):
    box = Outbox(tmp_path / "a" / "b.db", ["file", "mqtt"], 2)
    for i in range(5):
        box.take([{"id": f"{i}a"}, {"id": f"{i}b"}], "gate", i)
    assert box.waiting() == {"file": 10, "mqtt": 10}
    assert ids(box, "file") == [f"{i}{x}" for i in range(5) for x in "ab"]
    assert len(box.latest(100)) == 10, "the other one has none yet"
    ids(box, "mqtt")
    box.take([{"id": "last"}], "gate", 6)
    assert [event["id"] for event in box.latest(100)] == ["last", "4b"]
    box.close()
    box = Outbox(tmp_path / "a" / "b.db", ["file", "new"], 2)
    assert box.waiting() == {"file": 1, "new": 0}
    assert (box.state("gate"), box.state("yard")) == (6, None)
    box.close()


def test_killed(tmp_path):
    file = tmp_path / "events.db"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    with pytest.raises(UserValueError, match="is in use by another process"):
        Outbox(file, ["file"], 5)
    time.sleep(0.2)
    process.kill()
    taken = [first, *process.stdout.read().splitlines()]
    box = Outbox(file, ["file"], 5)
    assert [int(one) for one in ids(box, "file")][: len(taken)] == [*range(len(taken))] != []
    box.close()


def test_no_outbox(tmp_path):
    (tmp_path / "a.db").write_bytes(b"hello" * 1000)
    with pytest.raises(UserValueError, match="is damaged, or not a SQLite file"):
        Outbox(tmp_path / "a.db", [], 5)
