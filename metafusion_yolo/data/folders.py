"""What lies in a folder, found by one scan of it. Paths are strings, as `Path` is ten times slower."""

from __future__ import annotations

import os
from pathlib import Path

from ultralytics.data.utils import IMG_FORMATS

Names = dict[str, tuple[str, ...]]  # suffixes by stem


def names_in(folder: str) -> Names:
    """Return the suffixes of the infrared images of a folder by their stem, in the order of the names.

    An array, or a file of Seek, only counts if no image has its name; beside an image the one is a cache of the host.
    """
    found: Names = {}
    alike: dict[tuple[str, ...], tuple[str, ...]] = {}  # which millions share
    listing = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []  # noqa: PTH112, PTH208
    listing.sort()
    for name in listing:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        if suffix[1:].lower() in IMG_FORMATS:
            suffixes = (*found.get(stem, ()), suffix)
            found[stem] = alike.setdefault(suffixes, suffixes)
    for stem, suffix in (os.path.splitext(name) for name in listing if name[-4:].lower() in (".npy", ".hir")):  # noqa: PTH122
        if not stem.endswith(".pair"):
            found.setdefault(stem, (suffix,))
    return found


def images_of(names: Names, folder: str, stem: str) -> list[str]:
    """Return the paths of the images of a stem, among the names in a folder.

    Examples:
        >>> images_of({"7": (".jpg", ".png")}, "infrared", "7")
        ['infrared/7.jpg', 'infrared/7.png']
    """
    start = folder if not folder or folder.endswith(os.sep) else folder + os.sep
    return [f"{start}{stem}{suffix}" for suffix in names.get(stem, ())]


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
