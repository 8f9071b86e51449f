"""Readable logs: messages that the host repeats for every file or frame are logged once."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from threading import get_ident
from typing import TypeVar

from ultralytics.utils import LOGGER

T = TypeVar("T")
NAMED = 3  # files listed per fault
FAULT = re.compile(r"(.+?): (ignoring corrupt image/label: .*|\d+ duplicate labels removed|corrupt JPEG restored.*)")


class _Once(logging.Filter):
    """Pass each warning of this thread the first time, and count the repetitions."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.thread = get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        if record.levelno < logging.WARNING or record.thread != self.thread:
            return True
        text = record.getMessage()
        self.counts[text] += 1
        return self.counts[text] == 1


class _Summary(logging.Filter):
    """Merge the host's lines about label files into one line per fault, where faults differ only in their numbers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a record of many lines, and log it."""
        matches = [FAULT.fullmatch(line) for line in record.getMessage().splitlines()]
        if len(matches) > NAMED and all(matches):
            faults: dict[str, list[tuple[str, str]]] = {}
            for file, fault in (match.groups() for match in matches if match):
                faults.setdefault(re.sub(r"\[.*|[\d.]+", "", fault), []).append((file, fault))
            record.msg, record.args = "\n".join(map(_told, faults.values())), None
        return True


def _told(faulty: list[tuple[str, str]]) -> str:
    """Return the line of a fault: its first files, their number, and the message of the first."""
    files, fault = [file for file, _ in faulty], faulty[0][1]
    if len(files) == 1:
        return f"{files[0]}: {fault}"
    shown = ", ".join([files[0], *(file.rpartition("/")[2] for file in files[1:NAMED])])
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return f"{shown}{more} ({len(files)} files): {fault}"


def warnings_once(results: Iterator[T]) -> Iterator[T]:
    """Yield the results of a run, log each warning between them once, and its count at the end.

    Other threads, and what is done with a result, keep their warnings.
    """
    once = _Once()
    while True:
        once.thread = get_ident()
        try:
            with _filtered(once):
                result = next(results)
        except StopIteration:
            break
        yield result
    for text, count in once.counts.items():
        if count > 1:
            LOGGER.warning(f"{count} times: {text.removeprefix('WARNING ⚠️ ')}")


@cache
def info_once(text: str) -> None:
    """Log a text once per process, such as the legend of a table."""
    LOGGER.info(text)


@contextmanager
def faults_in_a_line() -> Iterator[None]:
    """Log one line per fault, with a count and the first names, instead of the host's line per file."""
    with _filtered(_Summary()):
        yield


@contextmanager
def silent() -> Iterator[None]:
    """Log only warnings and errors."""
    with _filtered(lambda record: record.levelno >= logging.WARNING):
        yield


@contextmanager
def _filtered(by: logging.Filter | Callable[[logging.LogRecord], bool]) -> Iterator[None]:
    LOGGER.addFilter(by)
    try:
        yield
    finally:
        LOGGER.removeFilter(by)


def pace(done: int, total: int, start: float) -> str:
    """Return the rate and the time left, as in " (31.2/s, 0:01:20 left)"; empty in the first second.

    Args:
        done: Number of pairs done.
        total: Number of pairs in all.
        start: Start time by `time.monotonic`, seconds.
    """
    seconds = time.monotonic() - start
    if not done or seconds <= 1:  # one second only covers the first batch
        return ""
    left = timedelta(seconds=round(seconds / done * max(total - done, 0)))
    return f" ({done / seconds:.1f}/s, {left} left)"
