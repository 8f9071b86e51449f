"""One thread detects, and answers waiting requests together."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import NamedTuple

from metafusion_yolo.serve.engines import Engine, Found, found_each
from metafusion_yolo.serve.uploads import Pair

LOGGER = logging.getLogger(__name__)


class BusyError(Exception):
    """The server cannot take a request now; the message says why."""


class Job(NamedTuple):
    """A waiting pair, and the future of its answer."""

    pair: Pair
    answer: Future[Found]


class Batcher:
    """A queue in front of a thread that loads an engine and detects with it.

    Pairs of one size are put together, so that an answer does not depend on who else is waiting.

    Attributes:
        engine: The engine; None until it is loaded.
        failed: Why it could not be loaded; None if it was, or is being loaded.

    Args:
        load: Loads the engine.
        waiting: Pairs that may wait.
        measured: Told the number of pairs of each run of the engine, and its seconds.
        on_failure: Called in the thread if the engine cannot be loaded.
    """

    def __init__(
        self,
        load: Callable[[], Engine],
        waiting: int,
        measured: Callable[[int, float], None],
        on_failure: Callable[[], None],
    ) -> None:
        self.engine: Engine | None = None
        self.failed: BaseException | None = None
        self._load, self._measured, self._on_failure = load, measured, on_failure
        self._queue: queue.Queue[Job | None] = queue.Queue(waiting)
        self._held: list[Job] = []
        self._ending = False
        self._thread = Thread(target=self._run, name="detector", daemon=True)

    def start(self) -> None:
        """Start loading the engine."""
        self._thread.start()

    def close(self) -> None:
        """End the thread once all waiting pairs are answered."""
        if self._thread.is_alive() and self.engine is not None:
            self._queue.put(None)
            self._thread.join()

    @property
    def names(self) -> dict[int, str]:
        """The classes; none until the engine is loaded."""
        return self.engine.names if self.engine else {}

    @property
    def waiting(self) -> int:
        """Pairs that wait."""
        return self._queue.qsize() + len(self._held)

    def submit(self, pair: Pair) -> Future[Found]:
        """Queue a pair; a pair that cannot be used ends in a `UserError`.

        Raises:
            BusyError: If the engine is not loaded yet, or too many are waiting.
        """
        if self.engine is None:
            raise BusyError("the model is being loaded; try again in a few seconds")
        job = Job(pair, Future())
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise BusyError(f"{self._queue.maxsize} requests are waiting already; try again") from None
        return job.answer

    def _run(self) -> None:
        try:
            self.engine = self._load()
        except BaseException as error:
            self.failed = error
            self._on_failure()
            return
        while jobs := self._next(self.engine.together):
            jobs = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            if jobs:
                self._answer(self.engine, jobs)

    def _next(self, most: int) -> list[Job]:
        """Wait for a job, and return it with other waiting jobs of its size; none at the end."""
        while len(self._held) < most and not self._ending:
            try:
                job = self._queue.get(block=not self._held)
            except queue.Empty:
                break
            if job is None:
                self._ending = True
            else:
                self._held.append(job)
        sizes = [(job.pair.visible.shape, job.pair.infrared.shape) for job in self._held]
        alike = [job for job, size in zip(self._held, sizes, strict=True) if size == sizes[0]]
        self._held = [job for job, size in zip(self._held, sizes, strict=True) if size != sizes[0]]
        return alike

    def _answer(self, engine: Engine, jobs: list[Job]) -> None:
        started = time.monotonic()
        try:
            found = found_each(engine, [job.pair for job in jobs])
        except Exception as error:  # a bug, told to those who asked; the others go on
            LOGGER.exception("the detector failed")
            for job in jobs:
                job.answer.set_exception(error)
            return
        self._measured(len(jobs), time.monotonic() - started)
        for job, one in zip(jobs, found, strict=True):
            if isinstance(one, Exception):
                job.answer.set_exception(one)
            else:
                job.answer.set_result(one)
