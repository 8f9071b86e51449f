"""Commands in processes of their own, without the seconds that importing PyTorch takes.

Each is forked from a server that has imported the package and what a training imports, and done nothing else. A copy of
the test process itself would inherit what earlier tests have loaded, and the threads of Ray, OpenVINO or gRPC do not
survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from metafusion_yolo import cli

needs_fork = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="a process cannot be copied here"
)


class Command:
    """A running `metafusion`, to be looked at, signalled and waited for.

    Args:
        words: What is typed behind `metafusion`.
        output: File that gets what it says, on both streams.
    """

    def __init__(self, words: Sequence[object], output: Path) -> None:
        self.output = output
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(["metafusion_yolo.model", "metafusion_yolo.cli.modes", "albumentations"])
        self.process = server.Process(target=_become, args=([str(word) for word in words], output), daemon=False)
        self.process.start()

    @property
    def code(self) -> int | None:
        """Exit code, below 0 for the number of the signal that ended it; None while it runs."""
        return self.process.exitcode

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 300, until: Callable[[], bool] = lambda: False) -> int | None:
        """Wait for its end, or until something is the case, and return the exit code; kill it after some seconds."""
        end = time.monotonic() + seconds
        while self.code is None and not until():
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
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = cli.main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def without_pytorch(module: str) -> str:
    """Return the code of a process in which there is no PyTorch, and which runs the `main` of a module."""
    return f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "ultralytics"):
            raise ModuleNotFoundError(f"no {{name}} on this machine")

sys.meta_path.insert(0, Absent())
from {module} import main
raise SystemExit(main(sys.argv[1:]))
"""
