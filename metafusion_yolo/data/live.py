"""Two live cameras, or one that holds both, whose frames are paired by their time of arrival; without the host."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from functools import partial
from threading import Condition

from metafusion_yolo.data.camera import Camera, keep_opencv_quiet
from metafusion_yolo.data.sync import CAMERAS, Frame, Frames, Matcher, SyncReport
from metafusion_yolo.options import Sync
from metafusion_yolo.support.words import without_passwords

BUFFER = 8  # waiting frames of a camera, after which the oldest is dropped
START = 15.0  # seconds to wait for the first frames
TICK = 0.05  # seconds between checks for missing cameras


class LivePair:
    """Pair the frames of live cameras, each read in its own thread.

    The run ends when a stream of known length is over, or when cameras are missing for `sync.reconnect` seconds: one of
    them under "skip", both under "single". Under "error" a missing camera ends it at once, with an error.

    Attributes:
        report: Counts of the frames, see :class:`~metafusion_yolo.data.sync.SyncReport`.
        cameras: The cameras, by "visible" and "infrared".

    Args:
        addresses: Number or URL of each camera; a single one, "visible", holds both.
        sync: How they are kept in step.
        vid_stride: Use every n-th pair.
        in_order: Whether to return all pairs, as far as the buffer allows, rather than the newest.

    Raises:
        ConnectionError: If a camera cannot be reached.
    """

    def __init__(
        self, addresses: Mapping[str, int | str], sync: Sync, vid_stride: int = 1, in_order: bool = False
    ) -> None:
        self.sync, self.vid_stride, self.in_order = sync, vid_stride, in_order
        self.report = SyncReport()
        self.matcher = Matcher(sync, self.report)
        self.changed = Condition()
        self.running = True
        self._pairs = 0
        keep_opencv_quiet()
        self.cameras = {
            camera: Camera(
                int(address) if str(address).isdigit() else str(address),
                partial(self._receive, camera),
                getattr(self.report, camera),
                self.changed,
            )
            for camera, address in addresses.items()
        }
        try:
            self._wait_for_first_frames()
        except BaseException:  # including interrupts, so that no thread is left
            self.close()
            raise

    def _receive(self, camera: str, frame: Frame) -> None:
        """Queue a frame; called in the thread of its camera."""
        getattr(self.report, camera).received += 1
        self.matcher.add(camera, frame)
        queue = self.matcher.queues[camera]
        if len(queue) > BUFFER:
            self.report.count({camera: queue.popleft()}, "skipped")

    def _wait_for_first_frames(self) -> None:
        """Wait until the cameras that `on_missing` requires are connected, but not if `reconnect` has no limit.

        Raises:
            ConnectionError: If they are not connected in time.
        """
        cameras = self.cameras.values()
        if self.sync.reconnect == math.inf:
            return
        with self.changed:
            self.changed.wait_for(lambda: all(camera.tried for camera in cameras), START)
            silent = [camera.source for camera in cameras if not camera.connected]
        if len(silent) > (len(cameras) - 1 if self.sync.on_missing == "single" else 0):
            named = without_passwords(str(silent[0]))
            raise ConnectionError(f"no frames from camera '{named}'; check its address, and that it is on")

    def wait(self) -> Frames | None:
        """Wait for the next pair, or under "single" a frame alone, and count it; return None when the run is over.

        Raises:
            ConnectionError: If a camera is missing and the rule is "error".
        """
        with self.changed:
            return self._wait()

    def _wait(self) -> Frames | None:
        while self.running:
            frames = self._fetch()
            while frames is not None and not self.in_order and (newer := self._fetch()) is not None:
                self.report.count(frames, "skipped")
                frames = newer
            if frames is not None:
                self._pairs += 1
                if self._pairs % self.vid_stride == 0:
                    self.report.use(frames)
                    return frames
                self.report.count(frames, "skipped")
            elif self._over():
                return None
            else:
                self.changed.wait(TICK)
        return None

    def _fetch(self) -> Frames | None:
        """Return the next pair, or the next frame to use alone; None if there is none yet."""
        now = time.monotonic()
        if len(self.cameras) == 1:
            return self.matcher.take("visible")
        if (pair := self.matcher.match(dict.fromkeys(CAMERAS, now))) is not None:
            return pair
        for camera, other in (CAMERAS, CAMERAS[::-1]):
            if not self.matcher.queues[camera] and self.cameras[camera].missing(now):
                if self.sync.on_missing == "single":
                    return self.matcher.take(other)
                if self.sync.on_missing == "skip":
                    while self.matcher.queues[other]:
                        self.matcher.drop(other)
        return None

    def _over(self) -> bool:
        """Return whether the run is over.

        Raises:
            ConnectionError: If a camera is missing and the rule is "error".
        """
        now = time.monotonic()
        cameras = self.cameras.values()
        if any(camera.ended for camera in cameras):
            return True
        missing = [camera for camera in cameras if camera.missing(now)]
        if missing and self.sync.on_missing == "error":
            named = without_passwords(str(missing[0].source))
            raise ConnectionError(
                f"camera '{named}' sends no more frames; give on_missing=skip to wait for it, or "
                f"on_missing=single to continue with the other one"
            )
        needed = len(cameras) if self.sync.on_missing == "single" else 1
        away = sorted((now - camera.last for camera in missing), reverse=True)
        return len(away) >= needed and away[needed - 1] > self.sync.reconnect

    def close(self) -> None:
        """Stop the cameras; a second call does nothing."""
        if not self.running:
            return
        self.running = False
        for camera in self.cameras.values():
            camera.stop()
        for camera in self.cameras.values():
            camera.join()
        with self.changed:
            self.matcher.finish()
