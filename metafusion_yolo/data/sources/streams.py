"""Two live cameras, or one that holds both, as pairs of frames."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from threading import Condition
from typing import Any

from ultralytics.data.loaders import LoadStreams, SourceTypes
from ultralytics.utils import LOGGER, ops

from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.sources import Origin, PairedSource, is_path, moving_partner
from metafusion_yolo.data.sources.camera import Camera, keep_opencv_quiet
from metafusion_yolo.data.sources.frames import FrameStacker
from metafusion_yolo.data.sources.sync import CAMERAS, Frame, Frames, Matcher, SyncReport
from metafusion_yolo.data.sources.videos import Batch, is_video

BUFFER = 8  # waiting frames of a camera, after which the oldest is dropped
START = 15.0  # seconds to wait for the first frames
TICK = 0.05  # seconds between checks for missing cameras


def is_live(source: Any) -> bool:
    """Return whether a source is a live camera: the number of a USB camera, or a URL other than a video file's."""
    if isinstance(source, int):
        return not isinstance(source, bool)
    text = str(source) if is_path(source) else ""
    if text.isdigit():
        return not Path(text).exists()
    return "://" in text and not (text.lower().startswith(("http://", "https://")) and is_video(text))


class LoadStreamPair(LoadStreams):
    """Pair the frames of two live cameras, each read in its own thread, by their time of arrival.

    The run ends when a stream of known length is over, or when cameras are missing for `sync.reconnect` seconds: one of
    them under "skip", both under "single". Under "error" a missing camera ends it at once, with an error.

    Attributes:
        report: Counts of the frames, see :class:`~metafusion_yolo.data.sources.sync.SyncReport`; logged at the end.
        origins: Origin of the last pair.
        began: When it began, by `time.monotonic`, seconds.

    Args:
        source: `visible` and `infrared` are live cameras; `infrared` may be None. With a `layout`, one holds both.
        reader: Normalises, registers and stacks the frames.
        vid_stride: Use every n-th pair.
        in_order: Whether to return all pairs, as far as the buffer allows, rather than the newest.

    Raises:
        ConnectionError: If a camera cannot be reached.
        PairError: If the infrared camera is not given.
        TypeError: If `infrared` is not a live camera.
    """

    def __init__(self, source: PairedSource, reader: PairReader, vid_stride: int = 1, in_order: bool = False) -> None:
        addresses = {"visible": source.visible}
        if (infrared := moving_partner(source, "camera", is_live)) is not None:
            addresses["infrared"] = infrared
        self.mode, self.bs, self.vid_stride, self.in_order = "stream", 1, vid_stride, in_order
        self.sync, self.source_type = source.sync, SourceTypes(stream=True)
        self.sources = [ops.clean_str(str(source.visible)).replace("/", "_")]  # as the host names its files
        names = str(source.visible), None if infrared is None else str(infrared)
        self.stacker = FrameStacker(reader, source.layout, *names)
        self.report = SyncReport()
        self.matcher = Matcher(self.sync, self.report)
        self.changed = Condition()
        self.running = True
        self.count, self._pairs = -1, 0
        self.began = time.monotonic()
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
        """Wait until the cameras that `on_missing` requires are connected; who waits for ever does so at any time.

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
            raise ConnectionError(f"no frames from camera '{silent[0]}'; check its address, and that it is on")

    def __iter__(self) -> LoadStreamPair:
        """Continue with the newest frames."""
        return self

    def frames(self) -> Frames | None:
        """Return the next simultaneous frames, as the cameras sent them; None when the run is over."""
        with self.changed:
            frames = self._next()
            if frames is not None:
                self.report.use(frames)
                self.count += 1
        return frames

    def __next__(self) -> Batch:
        """Return name, pair (H, W, 4) uint8 and log line of the next frames; the line names a camera used alone."""
        frames = self.frames()
        if frames is None:
            raise StopIteration
        moment = next(iter(frames.values())).time - self.began
        counts = frames.get(list(self.cameras)[-1])
        if self.stacker.limits is None and counts is not None and counts.image is not None:
            self.stacker.set_limits([counts.image])  # from the first frame, as later ones are unknown
        alone = f"{next(iter(frames))} only, " if len(frames) < len(self.cameras) else ""
        pair, thermogram = self.stacker.stack(frames)
        self.origins = [Origin(self.stacker.infrared_name, self.count + 1, moment, thermogram)]
        return self.sources, [pair], [alone]

    def _next(self) -> Frames | None:
        """Wait for the next pair, or under "single" a frame alone; return None when the run is over."""
        while self.running:
            frames = self._fetch()
            while frames is not None and not self.in_order and (newer := self._fetch()) is not None:
                self.report.count(frames, "skipped")
                frames = newer
            if frames is not None:
                self._pairs += 1
                if self._pairs % self.vid_stride == 0:
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
            raise ConnectionError(
                f"camera '{missing[0].source}' sends no more frames; give on_missing=skip to wait for it, or "
                f"on_missing=single to go on with the other one"
            )
        needed = len(cameras) if self.sync.on_missing == "single" else 1
        away = sorted((now - camera.last for camera in missing), reverse=True)
        return len(away) >= needed and away[needed - 1] > self.sync.reconnect

    def close(self) -> None:
        """Stop the cameras and log the counts of their frames; a second call does nothing."""
        if not self.running:
            return
        self.running = False
        for camera in self.cameras.values():
            camera.stop()
        for camera in self.cameras.values():
            camera.join()
        with self.changed:
            self.matcher.finish()
        if self.count >= 0:
            LOGGER.info(f"Cameras: {self.report}")
