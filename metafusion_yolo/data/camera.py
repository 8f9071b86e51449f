"""A live camera, read in its own thread and reconnected when it is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import Any

import cv2

from metafusion_yolo.data.sync import CameraReport, Frame

OPEN_MS, READ_MS = 5000, 3000  # OpenCV's timeouts for a network camera, milliseconds
FIRST_PAUSE, LAST_PAUSE = 0.25, 8.0  # seconds between attempts to reconnect, doubled after each
OPENCV_LOG = getattr(cv2.utils, "logging", cv2)  # OpenCV 4.12 sets its level elsewhere, by number
STALL = 2.0  # seconds without a frame after which a connected camera counts as missing


def keep_opencv_quiet() -> None:
    """Silence OpenCV and FFmpeg, which fill stderr at every attempt to reach a camera; we log what matters."""
    OPENCV_LOG.setLogLevel(0)  # silent
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read at the first capture


class Camera:
    """Read a camera as fast as it sends, and reconnect with growing pauses when it is lost.

    Frames get their time of arrival on one clock for all cameras (`time.monotonic`): the clocks of network cameras
    rarely agree, and OpenCV does not report them.

    Values that other threads read are changed under the lock `changed`, which then notifies them.

    Attributes:
        tried: Whether the first attempt to connect is over, successful or not.
        connected: Whether frames arrive.
        ended: Whether a stream of known length is over.
        since: Time of the first frame since it was last connected, seconds; None before any.
        last: Time of the last frame, or of the start of the camera, seconds.

    Args:
        source: Number of a USB camera, or URL.
        receive: Takes every frame; called under `changed`.
        report: Counts losses and reconnects.
        changed: Lock and signal of the run.
    """

    def __init__(
        self, source: int | str, receive: Callable[[Frame], None], report: CameraReport, changed: Condition
    ) -> None:
        self.source, self.receive, self.report, self.changed = source, receive, report, changed
        self.tried = self.connected = self.ended = False
        self.since: float | None = None
        self.last = time.monotonic()
        self._stopped = False
        self._thread = Thread(target=self._run, name=f"camera {source}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()

    def join(self) -> None:
        """Wait for the thread, which may take until OpenCV gives up on a silent camera."""
        self._thread.join(timeout=(OPEN_MS + READ_MS) / 1e3)

    def missing(self, now: float) -> bool:
        """Return whether the camera is lost, or silent for more than `STALL` seconds."""
        return not self.connected or now - self.last > STALL

    def _run(self) -> None:
        """Connect and read, again and again until stopped or the stream is over."""
        pause = FIRST_PAUSE
        while not self._stopped:
            capture = self._open()
            frames = self._read(capture)
            length = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # 0 or less for a live camera
            capture.release()
            with self.changed:
                self.tried, self.connected = True, False
                self.ended = 0 < length <= frames
                self.report.lost += frames > 0 and not self._stopped and not self.ended
                self.changed.notify_all()
                if self.ended:
                    return
                pause = FIRST_PAUSE if frames else min(2 * pause, LAST_PAUSE)
                self.changed.wait_for(lambda: self._stopped, pause)

    def _open(self) -> Any:
        if isinstance(self.source, int):
            return cv2.VideoCapture(self.source)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
        return cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, limits)

    def _read(self, capture: Any) -> int:
        """Read until the connection breaks; return the number of frames."""
        count = 0
        while not self._stopped and capture.grab():
            now = time.monotonic()
            image = capture.retrieve()[1]
            if image is None:
                continue
            with self.changed:
                self.report.reconnects += not self.connected and self.report.lost > 0
                self.since = self.since if self.connected else now
                self.tried = self.connected = True
                self.last = now
                self.receive(Frame(now, image))
                self.changed.notify_all()
            count += 1
        return count
