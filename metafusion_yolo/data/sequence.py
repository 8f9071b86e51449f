"""The infrared images that lie beside one, whose range and polarity are theirs together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from metafusion_yolo.data.decoding import Page, pages_of
from metafusion_yolo.data.folders import images_of, names_in
from metafusion_yolo.data.naming import camera_of
from metafusion_yolo.data.pairs import PairError, PairingRule
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE
from metafusion_yolo.support.sampling import evenly


def place_of(infrared: str | Path) -> Path:
    """Return the TIFF of a page, the folder of any other file."""
    return Path(infrared.file) if isinstance(infrared, Page) else Path(infrared).parent


def some_beside(infrared: str | Path, pairing: PairingRule, read: Callable[[str], np.ndarray]) -> Iterator[np.ndarray]:
    """Yield some of the infrared images in the place of one, evenly spread; of a damaged one its own reading tells.

    Args:
        infrared: An infrared file, or a page of one.
        pairing: With a substitution, visible files may share the folder, as with names that tell the camera.
        read: Reads a file.
    """
    place = place_of(infrared)
    files: list[str] = []
    if isinstance(infrared, Page):
        files += [Page(infrared.file, number) for number in pages_of(place)]
    else:
        part = "" if isinstance(pairing, str) else pairing["to"]
        names, camera = names_in(str(place)), camera_of(str(infrared))
        found = [file for stem in sorted(names) for file in images_of(names, str(place), stem)]
        files += [file for file in found if part in Path(file).as_posix() and camera_of(file) == camera]
    for file in evenly(files, SEQUENCE_SAMPLE):
        with suppress(PairError):
            yield read(file)
