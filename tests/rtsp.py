"""Real RTSP cameras for tests, by Debian's GStreamer; skipped where there is none."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEBIAN = "/usr/bin/python3"  # whose packages GStreamer's Python belongs to
HAS_GSTREAMER = "import gi; gi.require_version('GstRtspServer', '1.0')"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def start_camera(started: list[subprocess.Popen], at: int, *what: object) -> subprocess.Popen:
    """Start a camera at a port, as `rtsp_camera.py` describes it, and wait until it listens."""
    command = [DEBIAN, str(Path(__file__).with_name("rtsp_camera.py")), str(at), *map(str, what)]
    started.append(subprocess.Popen(command))
    for _ in range(200):
        with socket.socket() as asking:
            if not asking.connect_ex(("127.0.0.1", at)):
                return started[-1]
        time.sleep(0.05)
    raise TimeoutError("the camera does not start")


def running_cameras() -> Iterator[list[subprocess.Popen]]:
    """Yield the list of cameras, all of which are killed in the end."""
    if not Path(DEBIAN).exists() or subprocess.call([DEBIAN, "-c", HAS_GSTREAMER], stderr=subprocess.DEVNULL):
        pytest.skip("no GStreamer RTSP server on this machine")
    started: list[subprocess.Popen] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
