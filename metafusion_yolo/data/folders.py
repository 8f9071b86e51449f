"""What lies in a folder, found by one scan of it. Paths are strings, as `Path` is ten times slower."""

from __future__ import annotations

import os
from pathlib import Path

from ultralytics.data.utils import IMG_FORMATS


def images_by_stem(folder: str) -> dict[str, list[str]]:
    """Return the infrared images of a folder by stem.

    An array only counts if no image has its name; beside an image it is a cache of the host.
    """
    by_stem: dict[str, list[str]] = {}
    listing = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []  # noqa: PTH112, PTH208
    names = [os.path.splitext(name) for name in sorted(listing)]  # noqa: PTH122
    start = os.path.join(folder, "") if folder else ""  # noqa: PTH118
    for stem, suffix in names:
        if suffix[1:].lower() in IMG_FORMATS:
            by_stem.setdefault(stem, []).append(f"{start}{stem}{suffix}")
    for stem, suffix in names:
        if suffix.lower() == ".npy" and not stem.endswith(".pair"):
            by_stem.setdefault(stem, [f"{start}{stem}{suffix}"])
    return by_stem


def normal(file: str) -> str:
    """Return a path in the spelling of `Path`, which most have already.

    Examples:
        >>> normal("a//b/./c.png"), normal("./d.png")
        ('a/b/c.png', 'd.png')
    """
    odd = os.sep != "/" or "//" in file or "/./" in file or file.startswith("./") or file.endswith("/")
    return str(Path(file)) if odd else file


def parts(file: str) -> tuple[str, str]:
    """Return the folder of a file and its stem.

    Examples:
        >>> parts("images/val/7.b.jpg")
        ('images/val', '7.b')
    """
    folder, _, name = file.rpartition(os.sep)
    stem = name.rpartition(".")[0] or name
    return (folder, stem) if folder else (os.path.split(file)[0], stem)
