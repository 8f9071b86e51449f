"""A live camera, read in a thread of its own, and taken up again when it was lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Condition, Thread
from typing import Any

import cv2

from metafusion_yolo.data.sources.sync import CameraReport, Frame

OPEN_MS, READ_MS = 5000, 3000  # after which OpenCV gives up on a network camera
FIRST_PAUSE, LAST_PAUSE = 0.25, 8.0  # seconds between attempts to reconnect, doubled from one to the next
STALL = 2.0  # seconds without a frame after which a connected camera counts as missing


def keep_opencv_quiet() -> None:
    """Keep OpenCV and FFmpeg from filling stderr at every attempt to reach a camera; what matters is said by us."""
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read at the first capture


class Camera:
    """Reads a camera as fast as it sends, and connects again, with growing pauses, when it is lost.

    A frame is stamped when it arrives, by the clock that the cameras of a run have in common (`time.monotonic`): the
    clocks of network cameras are rarely set alike, and OpenCV does not tell them.

    What other threads look at is changed under `changed`, and they are woken.

    Attributes:
        tried: Whether the first attempt to connect is over, well or badly.
        connected: Whether frames come.
        ended: Whether the stream said how long it is, and is over.
        last: When the last frame came, or the camera was started, seconds.

    Args:
        source: Number of a USB camera, or URL.
        receive: Takes every frame; called under `changed`.
        report: Where losses and reconnects are counted.
        changed: Lock and signal of the run.
    """

    def __init__(
        self, source: int | str, receive: Callable[[Frame], None], report: CameraReport, changed: Condition
    ) -> None:
        self.source, self.receive, self.report, self.changed = source, receive, report, changed
        self.tried = self.connected = self.ended = False
        self.last = time.monotonic()
        self._stopped = False
        self._thread = Thread(target=self._run, name=f"camera {source}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()

    def join(self) -> None:
        """Wait for the thread, which may take until OpenCV gives up on a silent camera."""
        self._thread.join(timeout=(OPEN_MS + READ_MS) / 1e3)

    def missing(self, now: float) -> bool:
        """Tell whether the camera is lost, or has been silent for too long."""
        return not self.connected or now - self.last > STALL

    def _run(self) -> None:
        """Connect, read, and do it again until stopped, or the stream is over."""
        pause = FIRST_PAUSE
        while not self._stopped:
            capture = self._open()
            frames = self._read(capture)
            length = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # of a live camera 0 or less
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
                self.tried = self.connected = True
                self.last = now
                self.receive(Frame(now, image))
                self.changed.notify_all()
            count += 1
        return count
