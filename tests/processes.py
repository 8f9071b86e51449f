"""Commands in processes of their own, without the seconds that importing PyTorch takes: each is a copy of this one."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ultralytics.utils import LOGGER

from metafusion_yolo import cli

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot be copied here")


class Command:
    """A running `metafusion`, to be looked at, signalled and waited for.

    Args:
        words: What is typed behind `metafusion`.
        output: File that gets what it says, on both streams.
    """

    def __init__(self, words: Sequence[object], output: Path) -> None:
        self.output, self.code = output, None
        self.process = os.fork()
        if not self.process:
            _become([str(word) for word in words], output)

    def poll(self) -> int | None:
        """Return the exit code, below 0 for the number of the signal that ended it; None while it runs."""
        if self.code is None:
            ended, status = os.waitpid(self.process, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process, number)

    def wait(self, seconds: float = 300, until: Callable[[], bool] = lambda: False) -> int | None:
        """Wait for its end, or until something is the case, and return the exit code; kill it after some seconds."""
        end = time.monotonic() + seconds
        while self.poll() is None and not until():
            if time.monotonic() > end:
                self.send(signal.SIGKILL)
            time.sleep(0.001)
        return self.code

    def said(self) -> list[str]:
        """Return the lines that it has said so far."""
        return self.output.read_text(encoding="utf-8").splitlines()


def _become(words: list[str], output: Path) -> None:
    """Be a fresh process that runs a command, and end."""
    code = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(file, stream)
        sys.stdout, sys.stderr = (
            open(stream, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115
            for stream in (1, 2)
        )
        for handler in LOGGER.handlers:  # the host's has kept the stream that there was
            if type(handler) is logging.StreamHandler:  # pytest has its own
                handler.setStream(sys.stdout)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = cli.main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
