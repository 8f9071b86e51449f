"""Atomic file writes: after a killed process or a full disk, the previous file is still there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(file: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a path to write to, which replaces the file once everything is written.

    The path is always the same, so that the next attempt overwrites what a killed one left.

    Args:
        file: The file to create or replace.
        durable: Whether to wait until the data is on disk, so that it survives a power failure.

    Yields:
        Path to write to, beside the file.

    Raises:
        OSError: If it cannot be written; the previous file is kept.
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
    """A path whose `write_bytes` is atomic, and that of the paths derived from it."""

    def write_bytes(self, data: bytes) -> int:
        """See :func:`replacing`."""
        with replacing(Path(self), durable=True) as part:
            return part.write_bytes(data)
