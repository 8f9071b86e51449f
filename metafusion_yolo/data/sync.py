"""Synchronisation of two videos or cameras: the rules, matching by time, and counts of all frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from metafusion_yolo.options import Sync

CAMERAS = ("visible", "infrared")
CLEARLY = 2.0  # a later frame replaces an earlier one if it is so many times as near, see `Matcher`


class Frame(NamedTuple):
    """One frame of one camera.

    Attributes:
        time: Time of the frame, seconds on the common clock of the pair.
        image: (H, W, 3) uint8, B, G, R; None if it could not be decoded.
    """

    time: float
    image: np.ndarray | None

    @property
    def decoded(self) -> bool:
        """Whether there is an image."""
        return self.image is not None


Frames = dict[str, Frame]  # by camera: a pair, or one of the two


@dataclass
class CameraReport:
    """Counts of the frames of a camera; :attr:`received` is the sum of the five counts that follow it.

    Attributes:
        received: All decoded frames.
        matched: Frames in a pair.
        single: Frames used without the other camera.
        unmatched: Frames without a partner within the tolerance: the camera is faster, or the other one was missing.
        skipped: Frames skipped by `vid_stride`, or because detection was slower than the camera.
        left: Frames that waited when the run ended.
        corrupt: Frames that could not be decoded; not included in `received`.
        lost: Number of lost live connections.
        reconnects: Number of restored live connections.
    """

    received: int = 0
    matched: int = 0
    single: int = 0
    unmatched: int = 0
    skipped: int = 0
    left: int = 0
    corrupt: int = 0
    lost: int = 0
    reconnects: int = 0

    def __str__(self) -> str:
        shown = {name: count for name, count in vars(self).items() if count or name in ("received", "matched")}
        return ", ".join(f"{count} {name}" for name, count in shown.items())


@dataclass
class SyncReport:
    """Counts and time differences of a run over two videos or cameras.

    Attributes:
        visible: Counts of the visible camera.
        infrared: Counts of the infrared camera.
        offset: Mean of (time of the infrared frame - time of the visible one) over the pairs, milliseconds.
        largest: Largest absolute difference within a pair, milliseconds.
        drift: Growth of the difference, milliseconds per minute; 0 if unknown.
    """

    visible: CameraReport = field(default_factory=CameraReport)
    infrared: CameraReport = field(default_factory=CameraReport)
    largest: float = 0
    _sums: np.ndarray = field(default_factory=lambda: np.zeros(5), repr=False)

    def use(self, frames: Frames) -> None:
        """Count frames that are used, as a pair or alone."""
        if len(frames) < len(CAMERAS):
            self.count(frames, "single")
        else:
            self.count(frames, "matched")
            time, difference = frames["visible"].time, frames["infrared"].time - frames["visible"].time
            self.largest = max(self.largest, 1e3 * float(abs(difference)))
            self._sums += (1, time, difference, time * time, time * difference)

    def count(self, frames: Frames, kind: str) -> None:
        """Count frames as "matched", "single", "unmatched", "skipped" or "left"."""
        for camera in frames:
            report = getattr(self, camera)
            setattr(report, kind, getattr(report, kind) + 1)

    @property
    def offset(self) -> float:
        """See above."""
        count, _, total = self._sums[:3]
        return float(1e3 * total / count) if count else 0.0

    @property
    def drift(self) -> float:
        """See above; the slope of a line fitted to the differences."""
        n, t, d, tt, td = self._sums
        spread = n * tt - t * t
        return float(60e3 * (n * td - t * d) / spread) if n > 2 and spread > 1e-6 else 0.0

    def __str__(self) -> str:
        timing = f"difference {self.offset:+.0f} ms on average, {self.largest:.0f} ms at most"
        return f"visible: {self.visible}; infrared: {self.infrared}; {timing}, drift {self.drift:+.1f} ms per minute"


class Matcher:
    """Pair each frame with a near one of the other camera, within the tolerance.

    The slower camera sets the pace: additional frames of the faster one are dropped. A frame is dropped for a later one
    of its camera only if that is more than twice as near. Otherwise two cameras of the same rate that alternate would
    lose a frame whenever jitter changes which neighbour is nearer.

    Args:
        sync: The rules.
        report: Counts the frames without a partner.
    """

    def __init__(self, sync: Sync, report: SyncReport) -> None:
        self.tolerance = sync.tolerance / 1e3
        self.offsets = {"visible": 0.0, "infrared": sync.offset / 1e3}
        self.report = report
        self.queues: dict[str, deque[Frame]] = {camera: deque() for camera in CAMERAS}

    def add(self, camera: str, frame: Frame) -> None:
        """Queue a frame, which is later than the previous ones of its camera."""
        self.queues[camera].append(frame._replace(time=frame.time - self.offsets[camera]))

    def match(self, soonest: Mapping[str, float]) -> Frames | None:
        """Return the next pair, or None if more frames are needed to decide.

        Args:
            soonest: Earliest possible time of the next frame of each camera, on its own clock, seconds.
        """
        queues = self.queues
        while all(queues.values()):
            early, late = sorted(CAMERAS, key=lambda camera: queues[camera][0].time)
            first, *others = (frame.time for frame in queues[early])
            partner = queues[late][0].time
            gap = partner - first
            if gap > self.tolerance or any(gap > CLEARLY * abs(other - partner) for other in others):
                self.drop(early)
            elif gap > CLEARLY * max(soonest[early] - self.offsets[early] - partner, 0):
                return None  # a future frame may be that near
            else:
                return {camera: queues[camera].popleft() for camera in CAMERAS}
        return None

    def take(self, camera: str) -> Frames | None:
        """Return the next frame of a camera without a partner, None if there is none."""
        return {camera: self.queues[camera].popleft()} if self.queues[camera] else None

    def drop(self, camera: str) -> None:
        """Drop the next frame of a camera, which has no partner."""
        self.report.count({camera: self.queues[camera].popleft()}, "unmatched")

    def finish(self) -> None:
        """Count the waiting frames as left."""
        for camera, queue in self.queues.items():
            while queue:
                self.report.count({camera: queue.popleft()}, "left")
