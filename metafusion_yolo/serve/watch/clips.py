"""Clips of both cameras around events: the last seconds are kept in memory, later ones are written at once.

A video that is being written has most of itself in memory, and is lost if the process is killed. So the images of a
clip also lie beside it until it is whole, and the next run makes the clip of them.
"""

from __future__ import annotations

import logging
import re
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import cv2
import numpy as np

LOGGER = logging.getLogger(__name__)
RATE = 10.0  # frames a second of a clip
WIDEST = 1280  # of both images side by side, pixels
LONGEST = 120.0  # seconds after which events begin another clip
NAME = re.compile(r"[\w-]+\.webm")
HEAD = struct.Struct("<dI")  # before each image of a clip that is being written: its time, and its length in bytes


class Snapshot(NamedTuple):
    """Both cameras at a moment, as JPEG."""

    time: float
    jpeg: np.ndarray


def snapshots_of(file: Path) -> Iterator[Snapshot]:
    """Yield the images that a killed run left of a clip; the last one may be cut off, and is left out."""
    with file.open("rb") as stream:
        while len(head := stream.read(HEAD.size)) == HEAD.size:
            time, length = HEAD.unpack(head)
            if len(jpeg := stream.read(length)) < length:
                return
            yield Snapshot(time, np.frombuffer(jpeg, np.uint8))


class _Clip:
    """A clip being written: VP8 in WebM, which every browser plays, even if it is cut off.

    Raises:
        OSError: If its images cannot be written to disk.
    """

    def __init__(self, file: Path, start: float) -> None:
        self.file, self.start, self.until = file, start, start
        self._snapshots = file.with_suffix(".snapshots").open("ab", buffering=0)
        self._writer: cv2.VideoWriter | None = None
        self._image: np.ndarray | None = None
        self._written = 0

    def keep(self, snapshot: Snapshot) -> None:
        """Write an image to disk; OSError if that fails."""
        self._snapshots.write(HEAD.pack(snapshot.time, snapshot.jpeg.size) + snapshot.jpeg.tobytes())

    def add(self, snapshot: Snapshot) -> None:
        """Write the last image up to this one, so that the clip keeps the time of the cameras."""
        if self._image is not None:
            self._fill(snapshot.time)
        image: Any = cv2.imdecode(snapshot.jpeg, cv2.IMREAD_COLOR)
        if self._writer is None:
            self._size = image.shape[1::-1]
            code = cv2.VideoWriter.fourcc(*"VP80")
            self._writer = cv2.VideoWriter(str(self.file), cv2.CAP_FFMPEG, code, RATE, self._size)
        self._image = image if image.shape[1::-1] == self._size else cv2.resize(image, self._size)

    def _fill(self, time: float) -> None:
        while self._writer is not None and self._written < (time - self.start) * RATE:
            self._writer.write(self._image)
            self._written += 1

    def close(self) -> None:
        """Finish the file."""
        self._fill(self.until)
        if self._writer is not None:
            self._writer.release()
        if self._writer is None or not self._written or not self.file.is_file():
            LOGGER.warning(f"the clip '{self.file.name}' is missing: no picture came, or the video cannot be written")
        self._snapshots.close()
        Path(self._snapshots.name).unlink(missing_ok=True)


def finish(snapshots: Path) -> None:
    """Make the clip of the images that a killed run left."""
    clip = None
    for snapshot in snapshots_of(snapshots):
        clip = clip or _Clip(snapshots.with_suffix(".webm"), snapshot.time)
        clip.add(snapshot)
        clip.until = snapshot.time + 1 / RATE
    if clip is None:
        snapshots.unlink()
    else:
        clip.close()


class Recorder:
    """Write the clips of a pair, in a thread that all pairs share.

    Args:
        name: Of the pair; clips begin with it.
        folder: Where they go.
        before: Seconds of a clip before its event.
        after: Seconds after its last event.
        keep: Clips that are kept, of all pairs together.
        pool: The thread.
    """

    def __init__(
        self, name: str, folder: Path, before: float, after: float, keep: int, pool: ThreadPoolExecutor
    ) -> None:
        self._name, self._folder, self._before, self._after, self._keep = name, folder, before, after, keep
        self._pool, self._lock = pool, Lock()
        self._last: deque[Snapshot] = deque()
        self._clip: _Clip | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, time: float, visible: np.ndarray, infrared: np.ndarray) -> None:
        """Add both images, (H, W, 3) and (H, W) uint8."""
        with self._lock:
            if self._last and time - self._last[-1].time < 1 / RATE:
                return
            both = np.hstack([visible, cv2.cvtColor(infrared, cv2.COLOR_GRAY2BGR)])
            scale = min(1.0, WIDEST / both.shape[1])
            width, height = (2 * round(scale * side / 2) for side in both.shape[1::-1])
            both = cv2.resize(both, (max(width, 2), max(height, 2)), interpolation=cv2.INTER_AREA)
            snapshot = Snapshot(time, cv2.imencode(".jpg", both, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])
            self._last.append(snapshot)
            self._forget(time)
            if self._clip:
                try:
                    self._write(self._clip, snapshot)
                except OSError as error:
                    LOGGER.warning(f"the clip '{self._clip.file.name}' is cut off: {error.strerror}")
                    self._end()

    def clip_of(self, event: str, time: float) -> str:
        """Return the name of the clip of an event: the current one, or a new one named after its id.

        Raises:
            OSError: If it cannot be written.
        """
        with self._lock:
            if self._clip is None or time - self._clip.start > LONGEST:
                self._end()
                self._forget(time)
                file = self._folder / f"{self._name}-{event}.webm"
                self._clip = _Clip(file, self._last[0].time if self._last else time)
                try:
                    for snapshot in self._last:
                        self._write(self._clip, snapshot)
                except OSError:
                    self._end()
                    raise
            self._clip.until = time + self._after
            return self._clip.file.name

    def _write(self, clip: _Clip, snapshot: Snapshot) -> None:
        clip.keep(snapshot)
        self._pool.submit(clip.add, snapshot)

    def _forget(self, time: float) -> None:
        """Forget images that lie before a clip of an event of now."""
        while self._last and self._last[0].time < time - self._before:
            self._last.popleft()

    def tick(self, time: float) -> None:
        """End a clip whose time is over."""
        with self._lock:
            if self._clip and time > self._clip.until:
                self._end()

    def close(self) -> None:
        """End the current clip."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._clip:
            self._pool.submit(self._clip.close)
            self._pool.submit(self._drop_oldest)
        self._clip = None

    def _drop_oldest(self) -> None:
        clips = sorted(self._folder.glob("*.webm"), key=lambda file: file.stat().st_mtime)
        for file in clips[: -self._keep]:
            file.unlink(missing_ok=True)
