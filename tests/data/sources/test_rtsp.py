"""Two real RTSP cameras, H.264 and MJPEG at two rates, of which one is killed and comes back."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import PairedSource
from metafusion_yolo.data.sources.loaders import load_pairs
from metafusion_yolo.options import Sync
from tests.data.sources.test_streams import check_account, shown
from tests.rtsp import free_port, running_cameras, start_camera


@pytest.fixture
def camera() -> Iterator[Callable[..., subprocess.Popen]]:
    """Return the function that starts a camera, and waits until it listens."""
    for started in running_cameras():
        yield partial(start_camera, started)


def test_two_cameras_of_which_one_is_killed(camera):
    ports = free_port(), free_port()
    visible = camera(ports[0], "h264", 128, 96, 15)
    camera(ports[1], "mjpeg", 64, 48, 8)
    urls = [f"rtsp://me:word@127.0.0.1:{at}/live" for at in ports]
    sync = Sync(on_missing="single", tolerance=400, reconnect=float("inf"))  # a busy machine reads in bursts
    loader = load_pairs(PairedSource(urls[0], urls[1], sync=sync), Rig(), in_order=True)
    seen: list[str] = []
    hung = threading.Timer(60, loader.close)
    hung.start()

    def until(what: str, count: int) -> None:
        before = len(seen)
        while seen[before:].count(what) < count:
            seen.append(shown(next(loader)[1][0]))

    try:
        until("both", 8)
        visible.kill()
        until("infrared", 3)
        camera(ports[0], "h264", 128, 96, 15)
        until("both", 3)
    finally:
        hung.cancel()
        loader.close()
    check_account(loader.report)
    assert loader.report.visible.lost == loader.report.visible.reconnects == 1
    assert loader.report.visible.unmatched + loader.report.visible.skipped > 0, "it is the faster one"
