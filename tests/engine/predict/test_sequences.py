"""Images that are tracked: a folder is a sequence in name order, two folders are two, and the rate is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics.trackers.track import TRACKER_MAP

from metafusion_yolo.cli import main
from metafusion_yolo.engine.predict.sequences import ImageSequences, in_name_order
from metafusion_yolo.support.errors import UserValueError
from tests.engine.predict.moving import moving_pairs, write_videos

FRAMES = 11  # of which 10 and 11 come before 2 where names are sorted as text
OPTIONS = {"imgsz": 320, "conf": 0.25, "verbose": False, "tracker": "bytetrack.yaml"}


@pytest.fixture(scope="module")
def frames() -> list[tuple[np.ndarray, np.ndarray]]:
    return list(moving_pairs(FRAMES))


@pytest.fixture(scope="module")
def folder(frames, tmp_path_factory) -> Path:
    """Two sequences, `images/a` and `images/b`, of the same frames; deep infrared images."""
    root = tmp_path_factory.mktemp("sequences")
    for sequence in "ab":
        for part in ("images", "infrared"):
            (root / part / sequence).mkdir(parents=True)
        for number, (visible, infrared) in enumerate(frames, start=1):
            cv2.imwrite(str(root / "images" / sequence / f"{number}.png"), visible)
            cv2.imwrite(str(root / "infrared" / sequence / f"{number}.png"), infrared.astype(np.uint16) * 256)
    return root


def identities(results) -> list[list[int]]:
    return [[] if result.boxes.id is None else result.boxes.id.int().tolist() for result in results]


@pytest.fixture(scope="module")
def by_hand(coco, frames) -> list[list[int]]:
    """Identities as the host has them for one frame after another."""
    calls = [coco.track(v, infrared=ir, persist=i > 0, **OPTIONS)[0] for i, (v, ir) in enumerate(frames)]
    found = identities(calls)
    assert len(set().union(*found)) == 5 and all(len(ids) >= 4 for ids in found[1:])
    return found


def test_a_folder_is_a_sequence_in_name_order(coco, folder, by_hand):
    results = coco.track(str(folder / "images" / "a"), rate=5, **OPTIONS)
    assert [Path(result.path).name for result in results] == [f"{i}.png" for i in range(1, FRAMES + 1)]
    assert identities(results) == by_hand
    assert [result.frame for result in results] == [*range(1, FRAMES + 1)]
    assert [result.time for result in results] == pytest.approx([i / 5 for i in range(FRAMES)])
    assert [Path(result.infrared_path).parts[-3] for result in results] == ["infrared"] * FRAMES


@pytest.mark.parametrize("kind", ["list of files", "list of arrays", "generator", "batches"])
def test_lists_and_generators_are_sequences_too(coco, folder, frames, by_hand, kind):
    files = [str(folder / "images" / "a" / f"{i}.png") for i in range(1, FRAMES + 1)]
    source = {
        "list of files": files,
        "list of arrays": frames,
        "generator": (pair for pair in frames),
        "batches": files,
    }[kind]
    results = list(coco.track(source, stream=True, batch=4 if kind == "batches" else 1, **OPTIONS))
    assert identities(results) == by_hand
    assert [result.time for result in results] == [None] * FRAMES


def test_two_folders_are_two_sequences_unless_they_persist(coco, folder, by_hand):
    results = coco.track(str(folder / "images"), **OPTIONS)
    assert identities(results) == by_hand * 2
    assert [result.frame for result in results] == [*range(1, FRAMES + 1)] * 2
    persistent = coco.track(str(folder / "images"), persist=True, **OPTIONS)
    assert identities(persistent) != by_hand * 2
    assert [result.frame for result in persistent] == [*range(1, 2 * FRAMES + 1)]


def test_a_folder_that_comes_back_is_refused(coco, folder):
    a, b = (str(folder / "images" / sequence / "1.png") for sequence in "ab")
    with pytest.raises(UserValueError, match=r"goes back to a folder whose tracking has ended; .* persist=True"):
        coco.track([a, b, a], **OPTIONS)
    assert len(coco.track([a, b, a], persist=True, **OPTIONS)) == 3


@pytest.mark.parametrize("kind", TRACKER_MAP)
def test_every_tracker_knows_the_rate(coco, folder, kind):
    options = {**OPTIONS, "tracker": f"{kind}.yaml"}
    [_] = coco.track([str(folder / "images" / "a" / "1.png")], rate=10, **options)
    [tracker] = coco.predictor.trackers
    lost = getattr(tracker, "max_frames_lost", None) or tracker.max_time_lost
    assert lost == tracker.args.track_buffer / 3
    [_] = coco.track([str(folder / "images" / "a" / "1.png")], **options)
    [tracker] = coco.predictor.trackers
    assert (getattr(tracker, "max_frames_lost", None) or tracker.max_time_lost) == tracker.args.track_buffer


def test_numbers_in_names_count_by_their_value():
    files = ["s/2.png", "s/10.png", "s/1a.png", "s/1b.png", "r/z3_10.png", "r/z3_9.png"]
    order = ["r/z3_9.png", "r/z3_10.png", "s/1a.png", "s/1b.png", "s/2.png", "s/10.png"]
    assert sorted(files, key=in_name_order) == order
    assert ImageSequences(None, False).rate is None


def test_a_rate_is_refused_where_there_is_one_already(coco, frames, tmp_path):
    visible, infrared = write_videos(tmp_path, frames[:2])
    with pytest.raises(UserValueError, match="'rate=5' is for tracked images; videos have their own"):
        coco.track(visible, infrared=infrared, rate=5, **OPTIONS)


def test_the_command_tracks_a_folder(coco, folder, tmp_path):
    words = [f"model={coco.ckpt_path}", f"source={folder / 'images'}", "persist=True", "rate=5", "imgsz=320"]
    assert main(["track", *words, f"project={tmp_path}", "name=t", "save_json=True", "save=False"]) == 0
    assert '"frame": 22' in (tmp_path / "t" / "predictions.json").read_text()
