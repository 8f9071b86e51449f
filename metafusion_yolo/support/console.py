"""Output of the host during a job, made readable for a terminal, a notebook or a file.

No advice to use another command, nothing twice, and in a file no redrawn frames and no colours.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER, remove_colorstr, tqdm

NEXT = re.compile(r"\n(Predict|Validate): +yolo [^\n]*")  # after an export
SAVED = re.compile(r"Results saved to (.+)")
ONCE = ("albumentations: ",)  # said again for each epoch that changes the augmentation
DROPPED = ("Freezing layer ", "Setting batch=")  # the same layer in every training; a pair as if it had 3 channels


class _Plain:
    """A stream that takes colours away from what is written to a file."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        self.stream.write(remove_colorstr(text))

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return False


class _OurWords(logging.Filter):
    """Drop or shorten lines of the host that mislead or say nothing."""

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.plain = plain
        self.said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        text = record.getMessage()
        bare = remove_colorstr(text)
        if bare in self.said or bare.startswith(DROPPED) or _saved_nothing(bare):
            return False
        if bare.startswith(ONCE):
            self.said.add(bare)
        record.msg, record.args = NEXT.sub("", bare if self.plain else text), None
        return True


def _saved_nothing(line: str) -> bool:
    """Return whether a line points to a folder in which there is nothing."""
    saved = SAVED.fullmatch(line.strip())
    return saved is not None and Path(saved[1]).is_dir() and not any(Path(saved[1]).iterdir())


def is_terminal() -> bool:
    """Return whether the output goes to a terminal or a notebook."""
    return sys.stdout.isatty() or "JPY_PARENT_PID" in os.environ


_START, _ASKED = tqdm.TQDM.__init__, tqdm.is_noninteractive_console
_LOCK = threading.Lock()
_jobs: list[object] = []  # that run, in any thread; the last one gives the host its progress bars back


def _start_plainly(bar: Any, *args: Any, file: Any = None, **kwargs: Any) -> None:
    _START(bar, *args, file=_Plain(file or sys.stdout), **kwargs)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Keep the host from printing lines that mislead or say nothing."""
    plain = not is_terminal()
    words = _OurWords(plain)
    with _LOCK:
        _jobs.append(words)
        if plain:
            tqdm.TQDM.__init__, tqdm.is_noninteractive_console = _start_plainly, lambda: True
    LOGGER.addFilter(words)
    try:
        yield
    finally:
        LOGGER.removeFilter(words)
        with _LOCK:
            _jobs.remove(words)
            if not _jobs:
                tqdm.TQDM.__init__, tqdm.is_noninteractive_console = _START, _ASKED
