"""The `metafusion` command, in the manner of `yolo`. Help needs no PyTorch; what does is imported where it is used."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from metafusion_yolo import __version__
from metafusion_yolo.cli.completion import completion
from metafusion_yolo.cli.help import SPECIAL, children, explain, overview
from metafusion_yolo.cli.modes import MODES, say
from metafusion_yolo.cli.parsing import check, parse
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.versions import check_host
from metafusion_yolo.support.words import nearest

HELP, VERSION = ("help", "-h", "--help"), ("version", "--version")
FAULTS = (ValueError, TypeError, SyntaxError, OSError, ModuleNotFoundError)  # the last: of an export format
REFUSALS = re.compile("^(Dataset|Optimizer) '|^ERROR |acceptable suffix is")  # the host's RuntimeError, AssertionError
MEMORY = re.compile(
    "out of memory|can't allocate memory|insufficient memory|unable to allocate|bad_alloc", re.IGNORECASE
)
NOISE = re.compile("\x1b\\[[0-9;]*m|[\u2300-\u2bff\ufe0f\U0001f000-\U0001faff]|^\\[Errno \\d+\\] ")
REMEDIES = {  # of what the system refuses
    errno.ENOSPC: "the disk is full: free some space, or write to another place",
    errno.EROFS: "write to another place",
    errno.ENOTDIR: "a file is where a folder should be: name another place",
    errno.EACCES: "change its rights, or name another place",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The words after `metafusion`; None for those of the process.

    Returns:
        0; 1 if a check found what must be repaired; 2 for a mistake of the user, explained on stderr; 130 if
        interrupted, 143 if terminated. METAFUSION_DEBUG=1 lets errors through.
    """
    if argv is None:  # the process is ours; the name of a file need not be in the encoding of the terminal
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
    try:
        with _terminable():
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except (Exception, KeyboardInterrupt) as error:
        refused = isinstance(error, (RuntimeError, AssertionError)) and REFUSALS.search(str(error))
        expected = refused or isinstance(error, (KeyboardInterrupt, *FAULTS)) or _lacks_memory(error)
        if not expected or os.environ.get("METAFUSION_DEBUG", "0") not in ("", "0"):
            raise
        if isinstance(error, KeyboardInterrupt):
            terminated = isinstance(error, Terminated)
            sys.stderr.write(f"metafusion: {'terminated' if terminated else 'interrupted'}\n")
            return 143 if terminated else 130
        sys.stderr.write(f"metafusion: error: {_message(error)}\n")
        return 2


class Terminated(KeyboardInterrupt):
    """SIGTERM, which is taken as Ctrl-C is: what is open gets closed."""


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
    if words[0] == "detect" and words[1:]:
        words = words[1:]  # `yolo detect predict` is how the host has it
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
    check_host()
    args = check(mode, parse(mode, rest))
    if not mode.host:
        return mode.run(**args) or 0
    method = _method_of(name, args.pop("model", None))
    mode.run(method, **args) if mode.run else method(**args)
    return 0


def _print_checks() -> int:
    """Print versions and hardware, ours and what the host's `yolo checks` prints."""
    check_host()
    from ultralytics.utils.checks import collect_system_info

    say(f"metafusion_yolo {__version__}")
    collect_system_info()
    return 0


def _method_of(name: str, model: Any) -> Any:
    """Return the method of the model that does what the name of a mode says; classical fusion needs no model."""
    if name == "fuse" and model is None:
        from metafusion_yolo.engine.predict.fuser import fuse_images

        return fuse_images
    return getattr(load_model(model or "metafusion-yolov8n.yaml"), "fuse_images" if name == "fuse" else name)


def load_model(path: Any) -> Any:
    """Return the model of a YAML, checkpoint or export."""
    from metafusion_yolo.model import MetaFusionYOLO

    return MetaFusionYOLO(str(path))


def _lacks_memory(error: BaseException) -> bool:
    """Tell whether memory was too small, that of a GPU or of the machine."""
    return isinstance(error, MemoryError) or MEMORY.search(str(error)) is not None


def _message(error: BaseException) -> str:
    """Return the text of an error in one line, without colours and emojis; the summaries of `PairError` as they are."""
    if _lacks_memory(error):
        told = re.search(r"(tried to allocate|unable to allocate) [\d.]+ \w+", str(error), re.IGNORECASE)
        return f"out of memory{f' ({told[0][0].lower()}{told[0][1:]})' if told else ''}; make batch= or imgsz= smaller"
    pairs = sys.modules.get("metafusion_yolo.data.pairs")  # not imported, it cannot have raised
    if pairs and isinstance(error, pairs.PairError):
        return str(error)
    text = re.sub(r"'yolo (\w+) model=yolo26n\.", r"'metafusion \1 model=best.", NOISE.sub("", str(error)))
    remedy = REMEDIES.get(getattr(error, "errno", None) or 0)
    return f"{' '.join(text.split()) or type(error).__name__}{f'; {remedy}' if remedy else ''}"
