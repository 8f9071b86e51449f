"""What lies in a folder, found by one scan of it."""

from __future__ import annotations

import os
from pathlib import Path

from ultralytics.data.utils import IMG_FORMATS


def images_by_stem(folder: Path) -> dict[str, list[Path]]:
    """Return the infrared images of a folder by stem.

    An array only counts if no image has its name; beside an image it is a cache of the host.
    """
    by_stem: dict[str, list[Path]] = {}
    listing = os.scandir(folder) if folder.is_dir() else ()
    names = [os.path.splitext(name) for name in sorted(entry.name for entry in listing)]  # noqa: PTH122 - fast
    for stem, suffix in names:
        if suffix[1:].lower() in IMG_FORMATS:
            by_stem.setdefault(stem, []).append(folder / f"{stem}{suffix}")
    for stem, suffix in names:
        if suffix.lower() == ".npy" and not stem.endswith(".pair"):
            by_stem.setdefault(stem, [folder / f"{stem}{suffix}"])
    return by_stem
