"""One pair of cameras: read, detected and tracked in its own thread, which is restarted whenever it ends."""

from __future__ import annotations

import logging
import sqlite3
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from threading import Event, Lock, Thread
from typing import Any

import cv2
import numpy as np

from metafusion_yolo.data.alignment import Aligner
from metafusion_yolo.data.sources.streams import LoadStreamPair
from metafusion_yolo.serve.watch.clips import Recorder
from metafusion_yolo.serve.watch.outbox import Outbox
from metafusion_yolo.serve.watch.plan import Watched
from metafusion_yolo.serve.watch.rules import Lost, watcher_of
from metafusion_yolo.serve.watch.same import Identities
from metafusion_yolo.serve.watch.scene import Scene, Told
from metafusion_yolo.support.errors import UserError
from metafusion_yolo.support.words import without_passwords

LOGGER = logging.getLogger(__name__)
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # seconds before a stream is restarted, doubled each time without a result
OVER = 5.0  # seconds over which rate and latency are taken
COMPARED, ENOUGH = 1.0, 8  # seconds between looks at the registration; looks before it is reported
SAVED = 1.0  # seconds after which who is there, and what the rules remember, is written again

Track = Callable[[Watched], Iterable[Any]]


@dataclass
class Now:
    """The state of a pair, for the page and the metrics.

    Attributes:
        number: Results so far.
        result: The last one.
        objects: Its objects, with the numbers that events give them.
        moments: Time and latency of the last results, seconds.
        missing: By camera, whether it sends nothing.
        restarts: Number of restarts.
        drift: Remaining shift between the cameras, share of the width; None while it is unknown.
        trouble: Reason of the last restart, or what it waits for; empty once there are results.
    """

    number: int = 0
    result: Any = None
    objects: Any = None
    moments: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=200))
    missing: dict[str, bool] = field(default_factory=dict)
    restarts: int = 0
    drift: float | None = None
    trouble: str = "waiting for its cameras"

    def pace(self, now: float) -> tuple[float, float | None]:
        """Return results per second, and the mean seconds from the arrival of a frame to its result."""
        recent = [latency for moment, latency in [*self.moments] if now - moment < OVER]
        return len(recent) / OVER, sum(recent) / len(recent) if recent else None


class Stream:
    """A pair that is watched until it is closed. Its failures do not affect other pairs.

    Args:
        watched: The pair.
        track: Starts tracking on it; called in its thread.
        outbox: Stores its events, who is there, and the state of its rules.
        recorder: Writes its clips, if there are any.
    """

    def __init__(self, watched: Watched, track: Track, outbox: Outbox, recorder: Recorder | None) -> None:
        self.watched, self.now = watched, Now()
        self.dropped = {"visible": 0, "infrared": 0}
        self._track, self._outbox, self._recorder = track, outbox, recorder
        self._lock = Lock()  # of identities and rules
        self._untold: list[dict[str, Any]] = []  # events that could not be stored, as on a full disk
        self._ending = Event()
        self._loader: LoadStreamPair | None = None
        self._started = self._saved = 0.0
        self._aligner, self._compared = Aligner(), 0.0
        self._turn = 0  # of the threads, of which only the last one counts
        before = outbox.state(watched.name) or {}
        self._identities, states = Identities(before.get("objects")), before.get("rules", {})
        self._rules = {name: watcher_of(rule) for name, rule in watched.rules.items()}
        for name, rule in self._rules.items():
            if states.get(name) is not None and states[name]["when"] == watched.rules[name].when:
                rule.state = states[name]["state"]
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start a thread; an earlier one that hangs has no effect any more."""
        self._turn += 1
        self._started = time.monotonic()
        self._thread = Thread(target=self._run, args=(self._turn,), name=f"pair {self.watched.name}", daemon=True)
        self._thread.start()

    def opened(self, loader: Any) -> None:
        """Store the loader of the cameras as soon as it is open."""
        self._loader = loader

    def _run(self, turn: int) -> None:
        """Track, and start again whenever that ends."""
        pause = FIRST_PAUSE
        while not self._ending.is_set() and turn == self._turn:
            before = self.now.number
            with self._lock:
                self._identities = Identities(self._identities.state)  # the tracker starts over
            try:
                for result in self._track(self.watched):
                    if turn != self._turn or self._ending.is_set():
                        return
                    self._take(result)
                trouble = "the stream has ended"
            except (UserError, ConnectionError) as error:
                trouble = " ".join(str(error).split())
            except Exception as error:  # a bug, or a driver's; this pair is restarted, the others continue
                LOGGER.exception(f"{self.watched.name}: failed")
                trouble = f"{type(error).__name__}: see the log"
            if turn != self._turn or self._ending.is_set():
                return
            pause = FIRST_PAUSE if self.now.number > before else min(2 * pause, LAST_PAUSE)
            self._tell_trouble(f"{without_passwords(trouble)}; starting again")
            self._ending.wait(pause)

    def _tell_trouble(self, text: str) -> None:
        if text != self.now.trouble:
            LOGGER.warning(f"{self.watched.name}: {text}")
        self.now.trouble = text
        self.now.restarts += 1

    def _take(self, result: Any) -> None:
        """Handle a result: rules, events, clip, and the page."""
        now = time.time()
        loader = self._loader
        latency = time.monotonic() - loader.began - result.time if loader and result.time is not None else 0.0
        there = {"both": ("visible", "infrared"), "none": ()}.get(result.modalities, (result.modalities,))
        images = {"visible": result.orig_img, "infrared": result.infrared}
        height, width = result.orig_shape
        with self._lock:
            objects = self._identities.see(tracked(result), now)
        scene = Scene(
            now,
            (width, height),
            objects,
            result.names,
            {camera: images[camera] for camera in there},
            result.thermogram,
            self._drift(result) if len(there) == 2 else None,
        )
        if self._recorder:
            self._recorder.add(now, result.orig_img, result.infrared)
        with self._lock:
            self._publish({name: [*rule.see(scene)] for name, rule in self._rules.items()}, now)
        self.now.number, self.now.result, self.now.objects = self.now.number + 1, result, objects
        self.now.trouble = ""
        self.now.moments.append((time.monotonic(), latency))

    def _drift(self, result: Any) -> float | None:
        """Return the remaining shift between the cameras, measured once a second."""
        now = time.monotonic()
        if now - self._compared >= COMPARED:
            self._compared = now
            self._aligner.see(cv2.cvtColor(result.orig_img, cv2.COLOR_BGR2GRAY), result.infrared)
            told = self._aligner.clear and self._aligner.pairs >= ENOUGH
            self.now.drift = self._aligner.size if told else None
        return self.now.drift

    def _publish(self, told: dict[str, list[Told]], now: float) -> None:
        """Store events in the outbox, with who is there and the state of the rules; the caller holds the lock."""
        full = bool(self._untold)
        for rule, happened in told.items():
            for word, more in happened:
                moment = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds")
                head = {"id": uuid.uuid4().hex, "time": moment, "pair": self.watched.name, "rule": rule, "event": word}
                self._untold.append({**head, **more, **self._clip_of(head["id"], now)})
        if self._untold or now - self._saved > SAVED:
            rules = self.watched.rules
            states = {name: {"when": rules[name].when, "state": rule.state} for name, rule in self._rules.items()}
            state = {"objects": self._identities.state, "rules": states}
            try:
                self._outbox.take(self._untold, self.watched.name, state)
            except sqlite3.OperationalError as error:
                if self._untold and not full:
                    LOGGER.warning(f"{self.watched.name}: events cannot be stored, which is tried again: {error}")
                return
            self._untold, self._saved = [], now

    def _clip_of(self, event: str, now: float) -> dict[str, str | None]:
        """Return the clip of an event, or why there is none."""
        if self._recorder is None:
            return {}
        try:
            return {"clip": self._recorder.clip_of(event, now)}
        except OSError as error:
            return {"clip": None, "no_clip": str(error.strerror)}

    def check(self) -> None:
        """Check the pair several times a second: missing cameras, a thread that hangs, a clip to end."""
        now, clock, loader = time.time(), time.monotonic(), self._loader
        if self._recorder:
            self._recorder.tick(now)
        if loader is None or clock - self._started < 1:  # cameras have just been asked for
            return
        self.now.missing = {name: camera.missing(clock) for name, camera in loader.cameras.items() if camera.tried}
        for camera in loader.cameras:
            report = getattr(loader.report, camera)
            self.dropped[camera] = report.skipped + report.unmatched
        with self._lock:
            told = {
                name: [*rule.check(self.now.missing, now)]
                for name, rule in self._rules.items()
                if isinstance(rule, Lost)
            }
            if any(told.values()):
                self._publish(told, now)
        last = max([moment for moment, _ in [*self.now.moments][-1:]] + [self._started])
        here = [not gone for gone in self.now.missing.values()]
        sends = bool(here) and (all if self.watched.cameras.on_missing == "skip" else any)(here)
        since = [camera.since for camera in loader.cameras.values() if camera.since is not None]
        if sends and clock - max([last, *since]) > self.watched.cameras.watchdog:
            self._tell_trouble(
                f"no result for {self.watched.cameras.watchdog:g} s although its cameras send; starting again"
            )
            self._loader = None
            self.start()
            Thread(target=loader.close, daemon=True).start()  # it may wait for a camera

    def close(self) -> None:
        """End the thread, its cameras and its clip."""
        self._ending.set()
        if self._loader is not None:
            self._loader.close()
        if self._thread is not None:
            self._thread.join(10)
        if self._recorder:
            self._recorder.close()


def tracked(result: Any) -> Any:
    """Return the objects of a result that have a track, for supervision."""
    import supervision as sv

    boxes = result.found.cpu().numpy()
    if boxes.id is None:
        return sv.Detections(
            np.zeros((0, 4), np.float32),
            confidence=np.zeros(0, np.float32),
            class_id=np.zeros(0, int),
            tracker_id=np.zeros(0, int),
        )
    found = sv.Detections(
        boxes.xyxy, confidence=boxes.conf, class_id=boxes.cls.astype(int), tracker_id=boxes.id.astype(int)
    )
    if result.thermogram is not None and (result.masks is not None or result.obb is not None):
        from metafusion_yolo.engine.predict.pictures import outlines

        found.data["outline"] = np.fromiter(outlines(result), object, len(boxes))
    return found
