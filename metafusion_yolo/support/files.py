"""Atomic file writes, which leave the previous or the complete new file; links that mirror a tree of folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(file: Path, durable: bool = False, writer: str = "") -> Iterator[Path]:
    """Yield a path to write to, which replaces the file once everything is written.

    The path is always the same, so that the next attempt overwrites what a killed one left.

    Args:
        file: The file to create or replace.
        durable: Whether to wait until the data is on disk, so that it survives a power failure.
        writer: What tells those apart who may write the file at the same time; each has a path of its own, which
            readers of folders pass over.

    Yields:
        Path to write to, beside the file.

    Raises:
        OSError: If it cannot be written; the previous file is kept.
    """
    part = file.with_name(f"_{file.name}.{writer}.part" if writer else f"{file.name}.part")
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


def write_image(file: Path, image: Any, *parameters: int) -> None:
    """Write an image, (H, W) or (H, W, 3) in B, G, R, in the format of its suffix, atomically.

    `cv2.imwrite` does not say why it failed, and crashes the process on file names that are not UTF-8.

    Args:
        file: Where to write.
        image: The image.
        *parameters: Of `cv2.imencode`, such as the quality of JPEG.

    Raises:
        OSError: If it cannot be written; the previous file is kept.
    """
    import cv2  # help does without it

    encoded = cv2.imencode(file.suffix, image, parameters)[1]
    with replacing(file) as part:
        part.write_bytes(encoded.tobytes())


class WholeFile(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A path whose `write_bytes` is atomic, as it is for paths derived from it."""

    def write_bytes(self, data: bytes) -> int:
        """See :func:`replacing`."""
        with replacing(Path(self), durable=True) as part:
            return part.write_bytes(data)


def below(folder: Path, file: Path) -> Path:
    """Return the path of the link to a file: its absolute path, moved below the folder."""
    return folder.joinpath(*file.absolute().parts[1:])


def original(folder: Path, link: str) -> str:
    """Return the file that a link stands for, the inverse of :func:`below`."""
    return str(Path(folder.anchor) / Path(link).relative_to(folder))


def link_below(folder: Path, file: Path) -> None:
    """Create the link to a file below a folder, if the file exists."""
    link = below(folder, file)
    if file.exists() and not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.absolute())
