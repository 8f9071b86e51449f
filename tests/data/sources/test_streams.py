"""Two live cameras, served from this process as Motion JPEG. The level of an even frame tells when it was sent."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from metafusion_yolo import PairError
from metafusion_yolo.data import camera as camera_module
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource
from metafusion_yolo.data.sources.loaders import load_pairs
from metafusion_yolo.data.sources.streams import LoadStreamPair, is_live
from metafusion_yolo.data.sync import SyncReport
from metafusion_yolo.options import Sync

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from mjpeg import MjpegCamera

ENOUGH = 20.0  # seconds after which a test has hung


def level(i: int) -> int:
    return 20 + i % 100 * 2


def even(i: int) -> np.ndarray:
    """Return a frame of one level, with a corner that keeps it from looking like a dead camera."""
    frame = np.full((48, 64, 3), level(i), np.uint8)
    frame[:8, :8] = 255
    return frame


def small(i: int) -> np.ndarray:
    return even(i)[:24, :32]


@pytest.fixture
def serve() -> Iterator[Callable[..., MjpegCamera]]:
    """Return the function that makes a camera; all of them are killed in the end."""
    cameras = []

    def make(frame=even, rate: float = 25, **options) -> MjpegCamera:
        cameras.append(MjpegCamera(frame, rate, **options))
        return cameras[-1]

    yield make
    for one in cameras:
        one.kill()


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Check that the threads of the cameras have ended."""
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("camera ")]


def load(visible, infrared=BY_RULE, layout=None, rig=None, vid_stride=1, in_order=False, **rules) -> LoadStreamPair:
    source = PairedSource(visible, infrared, layout=layout, sync=Sync(**rules))
    return load_pairs(source, rig or Rig(), vid_stride=vid_stride, in_order=in_order)


def shown(pair: np.ndarray) -> str:
    """Tell which cameras have sent something."""
    visible, infrared = pair[..., :3].any(), pair[..., 3].any()
    return "both" if visible and infrared else "visible" if visible else "infrared" if infrared else "none"


def collect(loader, count: int | None = None, seconds: float = ENOUGH, each: Callable | None = None) -> list:
    """Return the pairs of a loader, at most `count`, and close it."""
    pairs = []
    end = time.monotonic() + seconds
    try:
        for _, [pair], _ in loader:
            pairs.append(pair)
            if each:
                each(pair)
            if len(pairs) == count:
                break
            assert time.monotonic() < end, f"no end in sight after {len(pairs)} pairs: {loader.report}"
    finally:
        loader.close()
    check_account(loader.report)
    return pairs


def check_account(report: SyncReport) -> None:
    """Every frame that came has gone somewhere."""
    for one in (report.visible, report.infrared):
        assert one.received == one.matched + one.single + one.unmatched + one.skipped + one.left, report


@pytest.mark.parametrize(
    ("source", "live"),
    [
        (0, True),
        ("1", True),
        ("rtsp://a/b.mp4", True),
        ("http://a/stream", True),
        ("https://a/day.mp4?key=1", False),
        ("day.mp4", False),
        ("images", False),
        (["0"], False),
        (np.zeros((2, 2, 3), np.uint8), False),
    ],
)
def test_what_is_live(source, live):
    assert is_live(source) is live


def test_folder_of_digits_is_no_camera(tmp_path, monkeypatch):
    (tmp_path / "2024").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not is_live("2024")
    assert is_live("2025")


def test_frames_of_the_same_moment_are_paired(serve):
    loader = load(serve().url, serve(small).url, in_order=True)
    pairs = collect(loader, 15)
    assert {pair.shape for pair in pairs} == {(48, 64, 4)}
    for pair in pairs[3:]:
        assert abs(int(pair[30, 30, 0]) - int(pair[30, 30, 3])) <= 8
    report = loader.report
    assert report.visible.matched == report.infrared.matched >= 15
    assert report.largest <= 50
    assert "visible: " in str(report)
    assert loader.sources == [loader.sources[0]]
    assert "/" not in loader.sources[0]


@pytest.mark.parametrize("swapped", [False, True])
def test_slower_camera_sets_the_pace(serve, swapped):
    rates = (10, 30) if swapped else (30, 10)
    loader = load(*(serve(rate=rate).url for rate in rates), in_order=True)
    began = time.monotonic()
    pairs = collect(loader, 10)
    assert len(pairs) == 10
    assert 0.7 < time.monotonic() - began < 3
    faster = loader.report.infrared if swapped else loader.report.visible
    assert faster.unmatched + faster.skipped >= 10


def test_newest_pair_comes_first_and_the_others_are_counted(serve):
    loader = load(serve(rate=50).url, serve(rate=50).url)
    collect(loader, 6, each=lambda _: time.sleep(0.2))
    assert loader.report.visible.skipped >= 20
    assert loader.report.visible.matched == 6


def test_stride_keeps_every_nth_pair(serve):
    loader = load(serve().url, serve().url, vid_stride=3, in_order=True)
    collect(loader, 4)
    assert loader.report.visible.matched == 4
    assert loader.report.visible.skipped >= 8


def test_camera_alone_and_camera_of_both(serve):
    assert {shown(pair) for pair in collect(load(serve().url, None), 5)} == {"visible"}
    [pair] = collect(load(serve(lambda i: np.hstack([even(i), even(i)])).url, layout="horizontal"), 1)
    assert pair.shape == (48, 64, 4)
    np.testing.assert_allclose(pair[24:, 24:40, 0].astype(int), pair[24:, 24:40, 3], atol=4)


def test_camera_that_is_lost_is_an_error_by_default(serve):
    visible, infrared = serve(), serve()
    loader = load(visible.url, infrared.url)
    killing = iter([None] * 4 + [infrared.kill])
    with pytest.raises(ConnectionError, match=f"camera '{infrared.url}' sends no more frames; give on_missing=skip"):
        collect(loader, each=lambda _: (next(killing, None) or (lambda: None))())
    assert loader.report.infrared.lost == 1


def kill_twice(camera: MjpegCamera, away: float = 0.5) -> threading.Thread:
    """Kill a camera and restart it, twice."""

    def work() -> None:
        for _ in range(2):
            time.sleep(0.6)
            camera.kill()
            time.sleep(away)
            camera.start()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["visible", "infrared"])
@pytest.mark.parametrize("rule", ["single", "skip"])
def test_camera_killed_and_restarted_twice(serve, rule, killed):
    cameras = {"visible": serve(), "infrared": serve()}
    loader = load(*(one.url for one in cameras.values()), on_missing=rule)
    killer = kill_twice(cameras[killed])
    end = time.monotonic() + 3.5
    seen = []
    try:
        for _, [pair], lines in loader:
            seen.append(shown(pair))
            assert ("only" in lines[0]) == (seen[-1] != "both")
            if time.monotonic() > end and seen[-1] == "both":
                break
    finally:
        loader.close()
        killer.join()
    check_account(loader.report)
    other = {"visible": "infrared", "infrared": "visible"}[killed]
    assert set(seen) == ({"both", other} if rule == "single" else {"both"})
    changes = [a for a, b in itertools.pairwise(seen) if a != b]
    assert len(changes) == (4 if rule == "single" else 0)
    report = loader.report
    assert (getattr(report, killed).lost, getattr(report, killed).reconnects) == (2, 2)
    assert getattr(report, other).lost == 0
    assert (getattr(report, other).single > 10) == (rule == "single")


def test_camera_that_stalls_counts_as_missing(serve, monkeypatch):
    monkeypatch.setattr(camera_module, "STALL", 0.4)
    visible, infrared = serve(), serve()
    loader = load(visible.url, infrared.url, on_missing="single")
    actions = {5: infrared.stalled.set, 30: infrared.stalled.clear}
    seen: list[str] = []

    def each(pair) -> None:
        seen.append(shown(pair))
        actions.get(len(seen), lambda: None)()

    collect(loader, 60, each=each)
    assert seen[:5] == ["both"] * 5
    assert "visible" in seen[5:31]
    assert seen[-1] == "both"
    assert loader.report.infrared.lost == 0


@pytest.mark.parametrize("rule", ["skip", "single"])
def test_run_ends_when_the_cameras_stay_away(serve, rule):
    visible, infrared = serve(count=20), serve(count=20)
    loader = load(visible.url, infrared.url, on_missing=rule, reconnect=0.5)
    killed = []

    def each(pair) -> None:
        if not killed:
            killed.append(threading.Timer(0.3, lambda: (infrared.kill(), visible.kill())))
            killed[0].start()

    began = time.monotonic()
    assert collect(loader, each=each)
    assert time.monotonic() - began < 10


def test_stream_that_is_skipped_for_ends_the_run_when_it_stays_away(serve):
    visible, infrared = serve(), serve()
    loader = load(visible.url, infrared.url, on_missing="skip", reconnect=0.5)
    timer = threading.Timer(0.3, infrared.kill)
    timer.start()
    assert {shown(pair) for pair in collect(loader)} == {"both"}


def test_closing_wakes_who_waits(serve):
    visible, infrared = serve(), serve()
    loader = load(visible.url, infrared.url, on_missing="skip")
    infrared.stalled.set()
    visible.stalled.set()
    timer = threading.Timer(0.5, loader.close)
    timer.start()
    assert len(list(loader)) < 25
    timer.join()
    loader.close()


# Problems ------------------------------------------------------------------------------------------------------------
def test_camera_that_cannot_be_reached_is_named(serve):
    gone = serve()
    gone.kill()
    for sides in ((serve().url, gone.url), (gone.url, serve().url)):
        with pytest.raises(ConnectionError, match=f"no frames from camera '{gone.url}'; check its address"):
            load(*sides)


def test_run_may_start_with_one_camera(serve):
    visible, infrared = serve(), serve(small)
    visible.kill()
    loader = load(visible.url, infrared.url, on_missing="single")
    seen: list[tuple] = []

    def each(pair) -> None:
        seen.append((shown(pair), pair.shape))
        if len(seen) == 3:
            visible.start()

    collect(loader, 60, each=each)
    assert seen[0] == ("infrared", (24, 32, 4))
    assert seen[-1] == ("both", (24, 32, 4))  # one size, as in the video that is written
    assert loader.report.visible.lost == 0


def test_camera_needs_its_partner(serve):
    with pytest.raises(PairError, match="no infrared camera for 'rtsp://a/b'; give it as infrared=, or infrared=None"):
        load("rtsp://a/b")
    with pytest.raises(TypeError, match=r"'rtsp://a/b' is a camera, so infrared= must be one too, not 'ir\.mp4'"):
        load("rtsp://a/b", "ir.mp4")
    with pytest.raises(
        PairError, match="layout=vertical says that 'rtsp://a/b' holds both cameras; leave infrared= out"
    ):
        load("rtsp://a/b", "rtsp://a/c", layout="vertical")
