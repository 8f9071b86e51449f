"""Files that are whole or not there: what a killed process or a full disk leaves behind is the file of before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path, durable: bool = False) -> Iterator[Path]:
    """Give a path beside a file to write to, which takes the file's place once all is written.

    The path is always the same, so that the next try clears away what a killed one left.

    Args:
        file: The file to be.
        durable: Whether to wait until the disk has it, so that a loss of power cannot take it away either.

    Yields:
        Where to write.

    Raises:
        OSError: If it cannot be written; what was there before is kept.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        yield part
        if durable:
            with part.open("rb+") as written:
                os.fsync(written.fileno())
        part.replace(file)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise type(error)(error.errno, f"cannot write '{file}': {error.strerror or error}") from error
        raise


class WholeFile(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A path whose `write_bytes` is all or nothing, as is that of the paths below it."""

    def write_bytes(self, data: bytes) -> int:
        """Write beside the file, then put that in its place.

        Raises:
            OSError: If it cannot be written; what was there before is kept.
        """
        with replacing(Path(self), durable=True) as part:
            return part.write_bytes(data)
