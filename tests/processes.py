"""Commands in processes of their own, without the seconds that importing PyTorch takes.

Each is forked from a server that has imported the package and what a training imports, and done nothing else. A copy of
the test process itself would inherit what earlier tests have loaded, and the threads of Ray, OpenVINO or gRPC do not
survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
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
        self.process = _forked(_command, *(str(word) for word in words), streams=(output, output))

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


def run_code(
    code: str, *words: object, cwd: Path | None = None, variables: dict[str, str] | None = None, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Do what `python -c CODE WORDS` does, in a process that has PyTorch and the package already imported.

    Args:
        code: What the process runs.
        words: Its arguments.
        cwd: Its working directory; default: that of the tests.
        variables: Of its environment, on top of those of the tests. What the host or PyTorch read while they are
            imported, has been read before.
        seconds: After which it is killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = Path(folder, "out"), Path(folder, "err")
        process = _forked(_code, code, [*map(str, words)], cwd or Path.cwd(), variables or {}, streams=streams)
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
        out, err = (stream.read_text(encoding="utf-8") for stream in streams)
    return subprocess.CompletedProcess(["python", "-c", code, *map(str, words)], process.exitcode, out, err)


def run_script(file: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Do what `python FILE WORDS` does, as :func:`run_code` does."""
    return run_code(
        f"import runpy, sys; sys.argv[0] = {str(file)!r}; runpy.run_path({str(file)!r}, run_name='__main__')", *words
    )


def _forked(act: Callable[..., int | str | None], *given: object, streams: tuple[Path, Path]) -> BaseProcess:
    """Start a process that does something and ends with what that returns."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["metafusion_yolo.model", "metafusion_yolo.cli.modes", "albumentations"])
    process = server.Process(target=_become, args=(act, given, streams), daemon=False)
    process.start()
    return process


def _become(act: Callable[..., int | str | None], given: tuple[object, ...], streams: tuple[Path, Path]) -> None:
    """Be a fresh process that acts, its two streams in files, and end as the interpreter would."""
    code: int | str | None = 1
    try:
        for number, file in enumerate(streams, start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), number)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = act(*given)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _command(*words: str) -> int:
    return cli.main(words)


def _code(code: str, words: list[str], folder: Path, variables: dict[str, str]) -> None:
    sys.argv = ["-c", *words]
    os.chdir(folder)
    os.environ.update(variables)
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


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
