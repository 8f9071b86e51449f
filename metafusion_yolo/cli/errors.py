"""Exit codes and last words of the command: one line for mistakes of the user, a traceback for bugs."""

import errno
import linecache
import platform
import re
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from metafusion_yolo import __version__
from metafusion_yolo.support.errors import UserError
from metafusion_yolo.support.words import without_signs

MEMORY = re.compile(
    "out of memory|can't allocate memory|insufficient memory|unable to allocate|bad_alloc|"
    "could not create a primitive$",  # of oneDNN
    re.IGNORECASE,
)
REMEDIES = {  # for what the system refuses
    errno.ENOSPC: "the disk is full: free some space, or write to another place",
    errno.EROFS: "write to another place",
    errno.ENOTDIR: "a file is where a folder should be: name another place",
    errno.EEXIST: "a file is where a folder should be: name another place",
    errno.EACCES: "change its rights, or name another place",
}
HOST = "ultralytics"


class Terminated(KeyboardInterrupt):
    """SIGTERM, treated like Ctrl-C: what is open gets closed."""


def explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code for an error and what to write to stderr.

    Mistakes of the user (:class:`~metafusion_yolo.support.errors.UserError`), refusals of the host and of the system
    (disk, rights, memory) give 2 and one line, an interruption 130, a termination 143. Anything else is a bug: 1, with
    its traceback and where to report it.
    """
    if isinstance(error, Terminated):
        return 143, "metafusion: terminated"
    if isinstance(error, KeyboardInterrupt):
        return 130, "metafusion: interrupted"
    if isinstance(error, (UserError, OSError)) or lacks_memory(error) or refused_by_host(error):
        return 2, f"metafusion: error: {message(error)}"
    return 1, f"{''.join(traceback.format_exception(error))}{bug_report()}"


def refused_by_host(error: BaseException) -> bool:
    """Return whether the host raised an error on purpose, by a `raise` or an `assert` of its own.

    An error that an operation causes inside the host, such as a method of None, is a bug.
    """
    frames = [*traceback.walk_tb(error.__traceback__)]
    if not frames:
        return False
    frame, line = frames[-1]
    file = frame.f_code.co_filename
    statement = "assert " if isinstance(error, AssertionError) else "raise "
    return HOST in Path(file).parts and linecache.getline(file, line).lstrip().startswith(statement)


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error means out of memory, of a GPU or of the machine."""
    return isinstance(error, MemoryError) or MEMORY.search(str(error)) is not None


def message(error: BaseException) -> str:
    """Return the text of an error in one line, without colours and emojis; a summary of many lines stays as it is."""
    if lacks_memory(error):
        told = re.search(r"(tried to allocate|unable to allocate) [\d.]+ \w+", str(error), re.IGNORECASE)
        return f"out of memory{f' ({told[0][0].lower()}{told[0][1:]})' if told else ''}; make batch= or imgsz= smaller"
    if getattr(error, "summary", False):
        return str(error)
    text = re.sub(
        r"'yolo (\w+) model=yolo26n\.",
        r"'metafusion \1 model=best.",
        without_signs(re.sub(r"^\[Errno \d+\] ", "", str(error))),
    )
    remedy = REMEDIES.get(getattr(error, "errno", None) or 0)
    return f"{' '.join(text.split()) or type(error).__name__}{f'; {remedy}' if remedy else ''}"


def bug_report() -> str:
    """Return the last line after a traceback: that this is a bug, the versions, and what to do."""
    versions = [f"{name} {_version(name)}" for name in (HOST, "torch")]
    return (
        f"metafusion: this is a bug of metafusion_yolo {__version__} ({', '.join(versions)}, Python "
        f"{platform.python_version()}, {platform.system()}); please report it to the project's issue tracker with the "
        f"lines above"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
