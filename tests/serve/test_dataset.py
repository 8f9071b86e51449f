"""Labels over HTTP: corrected, kept, and never written elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metafusion_yolo.serve.answers import Labels
from metafusion_yolo.serve.dataset import DataSet, judge
from metafusion_yolo.serve.engines import Found
from tests.serve.test_hostile import check

JSON = {"content-type": "application/json"}
BOX = {"x1": 0.1, "y1": 0.1, "x2": 0.5, "y2": 0.6}


def put(app, number, labels, stamp=None, **headers):
    stamp = app.ask("GET", f"/pairs/{number}").json["stamp"] if stamp is None else stamp
    body = json.dumps({"stamp": stamp, "labels": labels}).encode()
    return app.ask("PUT", f"/pairs/{number}/labels", body, **{**JSON, **headers})


def test_corrected_and_kept(app, pairs) -> None:
    label = pairs.root / "labels" / "train" / "2.txt"
    before, cache = label.read_text(), pairs.root / "labels" / "train.cache"
    cache.write_text("stale")
    [saved] = put(app, 2, [{"class": 1, "box": BOX}]).json["labels"]
    assert saved["class"] == 1 and saved["box"] == pytest.approx(BOX)
    assert label.read_text() == "1 0.300000 0.350000 0.400000 0.500000\n" and not cache.exists()
    assert put(app, 2, []).status == 200 and label.read_text() == ""
    assert label.with_name("2.txt.bak").read_text() == before, "that of before the first correction"
    assert not [*label.parent.glob("*.part")]


def test_a_full_disk_changes_nothing_and_is_told(app, pairs) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no limits of files")
    folder = pairs.root / "labels" / "train"
    stamp, before = app.ask("GET", "/pairs/3").json["stamp"], {file: file.read_bytes() for file in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        refused = put(app, 3, [{"class": 1, "box": BOX}], stamp)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refused.json == {"error": "not done, a file cannot be read or written: File too large"}
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    put(app, 3, [{"class": 1, "box": BOX}], stamp)
    assert (folder / "3.txt.bak").read_bytes() == before[folder / "3.txt"]


WRONG = {
    "another class": ([{"class": 2, "box": BOX}], 422),
    "a class below zero": ([{"class": -1, "box": BOX}], 422),
    "an empty box": ([{"class": 0, "box": {**BOX, "x2": 0.1}}], 422),
    "a box far outside": ([{"class": 0, "box": {**BOX, "x2": 1e9}}], 422),
    "no number": ([{"class": 0, "box": {**BOX, "x2": "a"}}], 422),
    "not finite": ([{"class": 0, "box": {**BOX, "x2": float("nan")}}], 422),
    "a file": ([{"class": 0, "box": BOX, "file": "/etc/passwd"}] * 1001, 422),
    "a text": ("../../etc/passwd", 422),
}


@pytest.mark.parametrize("name", WRONG)
def test_labels_that_are_wrong(app, pairs, name) -> None:
    labels, status = WRONG[name]
    before = (pairs.root / "labels" / "train" / "0.txt").read_bytes()
    check(put(app, 0, labels), status)
    assert (pairs.root / "labels" / "train" / "0.txt").read_bytes() == before


@pytest.mark.parametrize(
    "number", ["-1", "8", "99999999999999999999", "0.5", "a", "..%2f..", "%2fetc%2fpasswd", "0%00", "../0"]
)
def test_another_pair(app, number) -> None:
    check(put(app, number, [], stamp=""), 404, 422, 405, 307)
    check(app.ask("GET", f"/pairs/{number}"), 404, 422, 307)


def test_of_strangers(app, pairs) -> None:
    before = (pairs.root / "labels" / "train" / "0.txt").read_bytes()
    for headers in ({"origin": "http://evil.com"}, {"sec_fetch_site": "cross-site"}, {"host": "evil.com"}):
        check(put(app, 0, [], **headers), 403, 400)
    check(put(app, 0, [], stamp="0" * 32), 409)
    check(app.ask("POST", "/pairs/review?part=..%2f.."), 404)
    check(app.ask("POST", "/pairs/review", origin="http://evil.com"), 403)
    assert (pairs.root / "labels" / "train" / "0.txt").read_bytes() == before


def test_links_and_outlines_are_left_alone(make_pair_folder, tmp_path) -> None:
    pairs = make_pair_folder(3, polygons=False)
    folder, secret = pairs.root / "labels" / "train", tmp_path / "secret.txt"
    secret.write_text("root:x:0:0\n")
    (folder / "0.txt").unlink()
    (folder / "0.txt").symlink_to(secret)
    (folder / "1.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")

    class Idle:
        engine, names = None, {}

    data = DataSet(str(pairs.yaml), Idle(), 1.0)
    for number, reason in ((0, "is a link"), (1, "outlines")):
        shown = data.view(number)
        assert reason in shown.problem and "root" not in shown.model_dump_json()
        with pytest.raises(Exception, match=reason):
            data.save(number, Labels(stamp=shown.stamp, labels=[]))
    (folder.parent / "elsewhere").mkdir()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    again = DataSet(str(pairs.yaml), Idle(), 1.0)
    assert "outside" in again.view(2).problem
    assert secret.read_text() == "root:x:0:0\n" and not [*Path(tmp_path / "moved").glob("*.bak")]


def test_missed_and_wrong_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [50, 50, 60, 60], [0, 0, 9, 9], [70, 0, 80, 9]], np.float32)
    scores, classes = np.array([0.9, 0.8, 0.2, 0.7, 0.6], np.float32), np.array([0, 0, 0, 1, 2])
    found = Found((100, 100), boxes, scores, classes, None, None, {})
    truth = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], float)
    missed, wrong = judge(found, {0: "person", 1: "car", 2: "boat"}, ["person", "person"], truth, {"person", "car"})
    assert missed == [False, True], "the second is found by a score of 0.2 alone"
    assert wrong == [("person", 0.8), ("car", 0.7)], "found twice, of another class; a boat is none of the data set"
