"""Videos as pairs of frames. The level of an even frame tells its number."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from metafusion_yolo import PairError
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource
from metafusion_yolo.data.sources.loaders import load_pairs
from metafusion_yolo.options import LAYOUTS, Sync


def load(visible, infrared=BY_RULE, rig=None, layout=None, batch=1, vid_stride=1, **rules):
    source = PairedSource(visible, infrared, layout=layout, sync=Sync(**rules))
    return load_pairs(source, rig or Rig(), batch, vid_stride)


def read(visible, infrared=BY_RULE, **options) -> tuple[list[str], list[np.ndarray]]:
    """Return the names and pairs of a source."""
    batches = list(load(visible, infrared, **options))
    return [name for names, _, _ in batches for name in names], [pair for _, pairs, _ in batches for pair in pairs]


def write_video(file: Path, levels: list[int], size=(64, 48), rate: float = 10) -> Path:
    """Write a video whose frames are even."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), rate, size)
    assert writer.isOpened()
    for level in levels:
        writer.write(np.full((size[1], size[0], 3), level, np.uint8))
    writer.release()
    return file


@pytest.fixture
def videos(tmp_path) -> tuple[Path, Path]:
    return write_video(tmp_path / "v.avi", [0, 40, 80, 120, 160]), write_video(
        tmp_path / "ir.avi", [90, 70, 50, 30, 10]
    )


def levels(pairs: list[np.ndarray]) -> list[list[int]]:
    return [[round(float(pair[..., :3].mean()), -1), round(float(pair[..., 3].mean()), -1)] for pair in pairs]


@pytest.mark.parametrize(("stride", "kept"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3])])
def test_videos_are_paired_by_frame(videos, stride, kept):
    names, pairs = read(*videos, vid_stride=stride)
    assert names == [str(videos[0])] * len(kept)
    assert levels(pairs) == [[40 * i, 90 - 20 * i] for i in kept]


def test_videos_can_be_read_again(videos):
    loader = load(*videos)
    assert loader.mode == "video"
    assert len(list(loader)) == len(list(loader)) == 5


def test_visible_video_alone(videos):
    assert levels(read(videos[0], None)[1]) == [[40 * i, 0] for i in range(5)]


def test_video_may_be_one_frame_longer(tmp_path, videos):
    assert len(read(videos[0], write_video(tmp_path / "short.avi", [10] * 4))[1]) == 4
    assert len(read(videos[0], write_video(tmp_path / "long.avi", [10] * 6))[1]) == 5


def test_infrared_video_of_another_size_is_resized(tmp_path, videos):
    _, pairs = read(videos[0], write_video(tmp_path / "small.avi", [10] * 5, (32, 24)))
    assert pairs[0].shape == (48, 64, 4)


def test_videos_of_other_lengths_are_refused(tmp_path, videos):
    with pytest.raises(
        PairError, match=r"v\.avi' has 5 frames at 10 Hz and '.*s\.avi' 3 at 10 Hz; cut them to the same"
    ):
        load(videos[0], write_video(tmp_path / "s.avi", [10] * 3))


def test_videos_of_other_shapes_are_refused(tmp_path, videos):
    with pytest.raises(PairError, match=r"v\.avi' and '.*square\.avi' have different sizes \(64x48 and 48x48\)"):
        read(videos[0], write_video(tmp_path / "square.avi", [10] * 5, (48, 48)))


def test_video_needs_its_partner(videos):
    with pytest.raises(PairError, match=r"no infrared video for '.*v\.avi'; give it as infrared=, or infrared=None"):
        load(videos[0])


def test_partner_of_a_video_is_a_video(videos, pair_folder):
    said = r"not 'heat\.SEQ'; split it into TIFF files by 'split_seqs' of the package flirpy"
    with pytest.raises(TypeError, match=said):
        load(videos[0], "heat.SEQ")
    with pytest.raises(TypeError, match=r"v\.avi' is a video, so infrared= must be one too, not '.*0\.png'"):
        load(videos[0], pair_folder.infrared[0])
    with pytest.raises(TypeError, match=r"must be one too, not an array \(48, 64\) uint8"):
        load(videos[0], np.zeros((48, 64), np.uint8))


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize("content", [None, b"no video"])
def test_missing_or_broken_video_is_named(videos, broken, content):
    videos[broken].unlink()
    if content:
        videos[broken].write_bytes(content)
    with pytest.raises(FileNotFoundError, match=videos[broken].name):
        load(*videos)


def test_frames_are_normalised_alike_over_the_video(tmp_path, videos):
    darker = write_video(tmp_path / "dark.avi", [20, 40, 60, 80, 100])
    levels_of = {
        "image": [0] * 5,  # an even image says nothing by itself
        "sequence": [0, 64, 128, 191, 255],
    }
    for scope, expected in levels_of.items():
        rig = Rig.from_yaml({"thermal": {"normalize": "minmax", "scope": scope}})
        seen = [round(float(pair[..., 3].mean())) for pair in read(videos[0], darker, rig=rig)[1]]
        assert seen == pytest.approx(expected, abs=3)


def test_limits_come_from_frames_all_over_a_long_video(tmp_path):
    video = write_video(tmp_path / "long.avi", [*range(0, 200, 2)])
    loader = load(video, video, rig=Rig.from_yaml({"thermal": {"normalize": "minmax", "scope": "sequence"}}))
    low, high = loader.stacker.steady.limits
    assert low <= 3
    assert high >= 190
    loader.close()


def test_inverted_and_registered_video(tmp_path):
    halves = np.full((48, 64, 3), 20, np.uint8)
    halves[:, 32:] = 200
    writer = cv2.VideoWriter(str(tmp_path / "halves.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(5):
        writer.write(halves)
    writer.release()
    rig = Rig.from_yaml({"thermal": {"invert": True}, "registration": [[1, 0, 16], [0, 1, 0], [0, 0, 1]]})
    video = tmp_path / "halves.avi"
    for pair in read(video, video, rig=rig)[1]:
        assert np.abs(pair[:, 18:46, 3].astype(int) - 235).max() <= 6  # black is hot, 16 pixels to the right
        assert np.abs(pair[:, 50:, 3].astype(int) - 55).max() <= 6
        assert np.abs(pair[:, :14, 3].astype(int) - 20).max() <= 6  # the visible luminance


def test_batches_hold_pairs_in_order(videos):
    batches = list(load(*videos, batch=2))
    assert [len(pairs) for _, pairs, _ in batches] == [2, 2, 1]
    assert levels([pair for _, pairs, _ in batches for pair in pairs]) == [[40 * i, 90 - 20 * i] for i in range(5)]
    assert batches[1][2][0].startswith("video 1/1 (frame 3/5) ")


# Rules ---------------------------------------------------------------------------------------------------------------
def check_account(report) -> None:
    """Every frame that came has gone somewhere."""
    for camera in (report.visible, report.infrared):
        gone = camera.matched + camera.single + camera.unmatched + camera.skipped + camera.left
        assert camera.received == gone, report


@pytest.fixture
def rates(tmp_path) -> tuple[Path, Path]:
    """Two seconds at 25 and at 10 frames a second; the level grows by 100 a second in both."""
    return (
        write_video(tmp_path / "v25.avi", [4 * i for i in range(50)], rate=25),
        write_video(tmp_path / "ir10.avi", [10 * i for i in range(20)], rate=10),
    )


def test_videos_of_other_rates_are_paired_by_time_only(rates):
    with pytest.raises(
        PairError, match=r"v25\.avi' has 50 frames at 25 Hz and '.*ir10\.avi' 20 at 10 Hz; pair them by time: sync=time"
    ):
        load(*rates)


@pytest.mark.parametrize("swapped", [False, True])
def test_slower_video_sets_the_pace(rates, swapped):
    loader = load(*(rates[::-1] if swapped else rates), by="time")
    pairs = [pair for _, pairs, _ in loader for pair in pairs]
    assert len(pairs) == 20
    assert loader.fps == 10
    for pair in pairs:  # 20 ms are 2 grey levels
        assert abs(float(pair[..., :3].mean()) - float(pair[..., 3].mean())) <= 4
    report = loader.report
    check_account(report)
    assert report.largest == pytest.approx(20, abs=1)
    slower, faster = (report.visible, report.infrared) if swapped else (report.infrared, report.visible)
    assert (slower.received, slower.matched) == (20, 20)
    assert (faster.matched, faster.unmatched) == (20, faster.received - 20 - faster.left)


def test_offset_brings_the_clocks_together(tmp_path):
    visible = write_video(tmp_path / "v.avi", [10 * i for i in range(20)])
    infrared = write_video(tmp_path / "ir.avi", [10 * max(i - 3, 0) for i in range(20)])  # 300 ms late
    pairs = read(visible, infrared, by="time", offset=300)[1]
    assert len(pairs) == 17
    for pair in pairs:
        assert abs(float(pair[..., :3].mean()) - float(pair[..., 3].mean())) <= 2


def test_frames_further_apart_than_the_tolerance_are_left_out(videos):
    loader = load(*videos, by="time", offset=50, tolerance=20)
    assert list(loader) == []
    check_account(loader.report)
    assert loader.report.visible.matched == 0


@pytest.mark.parametrize("by", ["frame", "time"])
@pytest.mark.parametrize("short", ["visible", "infrared"])
def test_videos_of_other_lengths_go_by_the_rule(tmp_path, by, short):
    long, cut = (
        write_video(tmp_path / "long.avi", [20 * i for i in range(8)]),
        write_video(tmp_path / "s.avi", [90] * 4),
    )
    sides = (cut, long) if short == "visible" else (long, cut)
    with pytest.raises(PairError, match=r"8 (frames )?at 10 Hz.*on_missing=skip or on_missing=single"):
        load(*sides, by=by)
    skipping = load(*sides, by=by, on_missing="skip")
    assert len(list(skipping)) == 4
    check_account(skipping.report)
    single = load(*sides, by=by, on_missing="single")
    batches = list(single)
    assert len(batches) == 8
    other = "infrared" if short == "visible" else "visible"
    assert [f"{other} only" in lines[0] for _, _, lines in batches] == [False] * 4 + [True] * 4
    planes = slice(0, 3) if short == "visible" else slice(3, 4)
    assert not any(pairs[0][..., planes].any() for _, pairs, _ in batches[4:])
    assert getattr(single.report, other).single == 4
    check_account(single.report)


@pytest.fixture(params=["avi", "mp4"])
def corrupt(request, tmp_path) -> Path:
    """Return a video of 10 frames, the sixth of which is zeros."""
    file = tmp_path / f"corrupt.{request.param}"
    fourcc, start = {"avi": ("MJPG", b"\xff\xd8\xff"), "mp4": ("mp4v", b"\x00\x00\x01\xb6")}[request.param]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*fourcc), 10, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    content = bytearray(file.read_bytes())
    starts = [i for i in range(len(content)) if content[i : i + len(start)] == start]
    end = starts[6] - (8 if request.param == "avi" else 0)
    content[starts[5] : end] = bytes(end - starts[5])
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("camera", ["visible", "infrared"])
@pytest.mark.parametrize("by", ["frame", "time"])
def test_corrupt_frame_in_the_middle_goes_by_the_rule(tmp_path, corrupt, camera, by):
    whole = write_video(tmp_path / "whole.avi", [20 * i for i in range(10)])
    sides = (corrupt, whole) if camera == "visible" else (whole, corrupt)
    with pytest.raises(PairError, match=rf"frame 6 of '{corrupt}' cannot be decoded; repair the file, or give on_miss"):
        list(load(*sides, by=by))
    loader = load(*sides, by=by, on_missing="skip")
    pairs = [pair for _, pairs, _ in loader for pair in pairs]
    assert len(pairs) == 9
    for pair in pairs:  # the frames after it are still with their partners
        assert abs(float(pair[..., :3].mean()) - float(pair[..., 3].mean())) <= 8
    check_account(loader.report)
    assert getattr(loader.report, camera).corrupt == 1
    if by == "frame":
        pairs = read(*sides, on_missing="single")[1]
        planes = slice(0, 3) if camera == "visible" else slice(3, 4)
        assert len(pairs) == 10
        assert [not pair[..., planes].any() for pair in pairs[1:]] == [i == 5 for i in range(1, 10)]


def test_video_that_was_cut_off_is_said(tmp_path, caplog):
    rng = np.random.default_rng(0)
    file = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(20):
        writer.write(rng.integers(0, 256, (240, 320, 3), np.uint8))
    writer.release()
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 6 // 10])
    count = len(list(load(file, None)))
    assert 8 <= count < 20
    assert re.search(rf"cut\.avi' ends after {count} of 20 frames; the file is cut off or damaged", caplog.text)
    whole = write_video(tmp_path / "whole.avi", [90] * 20, (320, 240))
    for sides in ((whole, file), (file, whole)):
        with pytest.raises(
            PairError, match=rf"cut\.avi' ends after {count} frames, before the other video; cut the ot"
        ):
            list(load(*sides))
        assert len(list(load(*sides, on_missing="single"))) == 20


def test_stride_is_accounted_for(videos):
    loader = load(*videos, vid_stride=2)
    list(loader)
    check_account(loader.report)
    assert (loader.report.visible.matched, loader.report.visible.skipped) == (2, 3)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"by": "tim"}, "'sync=tim' is invalid, did you mean 'time'"),
        ({"on_missing": "wait"}, "'on_missing=wait' is invalid, known: error, single, skip"),
        ({"tolerance": -1}, "'sync_tolerance=-1' is invalid, expected at least 0"),
        ({"reconnect": float("nan")}, "'reconnect=nan' is invalid, expected at least 0"),
    ],
)
def test_wrong_rule_is_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        Sync(**rules)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may enter; afterwards the rights are those of before."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        os.seteuid(os.getuid())


@pytest.mark.parametrize("camera", [0, 1])
def test_video_without_permission_is_named(videos, camera, open_folder):
    copies = [shutil.copy(video, open_folder) for video in videos]
    Path(copies[camera]).chmod(0)
    if os.getuid() == 0:  # to whom nothing is refused
        os.seteuid(65534)
    with pytest.raises(
        PermissionError, match=f"no permission to read '{copies[camera]}'; change its rights or copy it"
    ):
        load(*copies)


# One video that holds both ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "stacked"])
def test_video_of_both_cameras_is_split(tmp_path, layout):
    halves = [np.full((48, 64, 3), level, np.uint8) for level in (40, 200)]
    first, second = halves[::-1] if layout.endswith("infrared-first") else halves
    frame = (np.hstack if layout.startswith("horizontal") else np.vstack)([first, second])
    file = tmp_path / "both.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 10, frame.shape[1::-1])
    for _ in range(3):
        writer.write(frame)
    writer.release()
    pairs = read(file, layout=layout)[1]
    assert [pair.shape for pair in pairs] == [(48, 64, 4)] * 3
    assert levels(pairs) == [[40, 200]] * 3


def test_layout_takes_no_infrared_video(videos):
    with pytest.raises(
        PairError, match=r"layout=vertical says that '.*v\.avi' holds both cameras; leave infrared= out"
    ):
        load(*videos, layout="vertical")


def test_frames_of_four_channels_are_refused(videos):
    with pytest.raises(PairError, match=r"layout=stacked is for images of four channels, and '.*v\.avi' is a video"):
        load(videos[0], layout="stacked")
