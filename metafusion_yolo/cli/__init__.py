"""The `metafusion` command, in the style of `yolo`. Help needs no PyTorch, which is imported where it is used."""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from metafusion_yolo import __version__
from metafusion_yolo.cli.completion import completion
from metafusion_yolo.cli.errors import Terminated
from metafusion_yolo.cli.errors import explain as explain_error
from metafusion_yolo.cli.help import SPECIAL, children, explain, overview
from metafusion_yolo.cli.modes import MODES, TASK, TASKS, Mode
from metafusion_yolo.cli.parsing import check, parse
from metafusion_yolo.cli.runs import at_scale, predict_at_scale, say
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.versions import check_host
from metafusion_yolo.support.words import nearest

HELP, VERSION = ("help", "-h", "--help"), ("version", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after `metafusion`; None for those of the process.

    Returns:
        0; 1 if a check found what must be repaired, or for a bug of ours, with its traceback; 2 for a mistake of the
        user, explained in one line on stderr; 130 if interrupted, 143 if terminated. METAFUSION_DEBUG=1 lets all errors
        through.
    """
    if argv is None:  # the process is ours; the name of a file need not be in the encoding of the terminal
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
    try:
        with _terminable():
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("METAFUSION_DEBUG", "0") not in ("", "0"):
            raise
        code, text = explain_error(error)
        sys.stderr.write(f"{text}\n")
        return code


@contextmanager
def _terminable() -> Iterator[None]:
    """Raise :class:`Terminated` on SIGTERM, where that is possible."""

    def stop(*_: Any) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _dispatch(words: list[str]) -> int:
    """Answer a call for help or run a mode; return the exit code."""
    if words and words[0] in HELP:
        words = [*words[1:], "help"] if words[1:] else []  # `help train` is `train help`
    if not words or words[0] in VERSION:
        return say(__version__ if words else overview())
    task = words[0] if words[0] in TASKS and words[1:] else ""  # `yolo segment predict` is how the host has it
    words = words[bool(task) :]
    if words[0] == "data" and words[1:] in ([], *([word] for word in HELP)):
        return say(children("data"))
    if words[0] in ("checks", "completion"):
        return _print_checks() if words[0] == "checks" else say(completion(words[1:]))
    length = 2 if any(name.startswith(f"{words[0]} ") for name in MODES) else 1
    name, rest = " ".join(words[:length]), words[length:]
    if name not in MODES:
        raise UserValueError(f"unknown mode '{name}', {nearest(name, [*MODES, *SPECIAL])}")
    mode = MODES[name]
    if rest[:1] == ["help"] or {"-h", "--help"} & set(rest):
        return say(explain(mode))
    if not mode.alone:
        check_host()
    if task and (mode.host or task != TASK):
        if not mode.host and "task" not in mode.options:
            raise UserValueError(f"'{name}' is the same for every task; leave '{task}' out")
        rest.append(f"task={task}")
    if mode.first and rest and "=" not in rest[0] and not "".join(rest[1:2]).startswith("="):
        rest[0] = f"{mode.first}={rest[0]}"
    args = check(mode, parse(mode, rest))
    if not mode.host and {"task", "model"} <= {*mode.options} and args.get("task"):
        args.setdefault("model", TASKS[args["task"]])
    with _words(mode):
        if not mode.host or (name == "predict" and at_scale(args)):
            return (predict_at_scale if mode.host else mode.run)(**args) or 0
        method = _method_of(name, args.pop("model", None), args.pop("task", None))
        mode.run(method, **args) if mode.run else method(**args)
    return 0


def _words(mode: Mode) -> AbstractContextManager[None]:
    """Return a context in which the host logs in our words; modes that do without the host need none."""
    if mode.alone:
        return nullcontext()
    from metafusion_yolo.support.console import in_our_words

    return in_our_words()


def _print_checks() -> int:
    """Print versions and hardware, ours and what the host's `yolo checks` prints."""
    check_host()
    from ultralytics.utils.checks import collect_system_info

    say(f"metafusion_yolo {__version__}")
    collect_system_info()
    return 0


def _method_of(name: str, model: Any, task: str | None) -> Any:
    """Return the method of the model for a mode; classical fusion needs no model."""
    if name == "fuse" and model is None:
        from metafusion_yolo.engine.predict.fuser import fuse_images

        return fuse_images
    return getattr(load_model(model or TASKS[task or TASK], task), "fuse_images" if name == "fuse" else name)


def load_model(path: Any, task: str | None = None) -> Any:
    """Load a YAML, checkpoint or export; it must fit the task if one is given."""
    from metafusion_yolo.model import MetaFusionYOLO

    return MetaFusionYOLO(str(path), task)
