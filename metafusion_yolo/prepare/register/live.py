"""Pairs to register by, from two live cameras."""

from __future__ import annotations

import time
from pathlib import Path

from ultralytics.utils import LOGGER

from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.sources import PairedSource
from metafusion_yolo.data.sources.streams import LoadStreamPair
from metafusion_yolo.options import Sync
from metafusion_yolo.prepare.register.estimate import RegistrationError
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.words import without_passwords

LOST = 10.0  # seconds for a lost camera to come back


def record(visible: str, infrared: str, folder: Path, count: int, every: float) -> list[tuple[str, str]]:
    """Save simultaneous frames of two live cameras, as they sent them, and return the files of the pairs.

    ```
    folder/visible/0001.png   one every so many seconds
    folder/infrared/0001.png
    ```

    Args:
        visible: Number or address of the visible camera.
        infrared: That of the infrared camera.
        folder: Where to.
        count: Number of pairs.
        every: Seconds between them.

    Raises:
        ConnectionError: If a camera cannot be reached.
        RegistrationError: If a camera is lost before there are enough pairs, or sends none.
    """
    loader = LoadStreamPair(PairedSource(visible, infrared, sync=Sync(on_missing="skip", reconnect=LOST)), PairReader())
    pairs: list[tuple[str, str]] = []
    due = time.monotonic()
    try:
        while len(pairs) < count and (frames := loader.wait()) is not None:
            now = time.monotonic()
            if now < due or len(frames) < 2:
                continue
            due, files = now + every, []
            for camera, frame in frames.items():
                file = folder / camera / f"{len(pairs) + 1:04}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                write_image(file, frame.image)
                files.append(str(file))
            pairs.append((files[0], files[1]))
            LOGGER.info(
                f"Pair {len(pairs)}/{count}: {1e3 * (frames['infrared'].time - frames['visible'].time):+.0f} ms"
            )
        now = time.monotonic()
        lost = [camera.source for camera in loader.cameras.values() if camera.missing(now) and not camera.ended]
    finally:
        loader.close()
    if lost and len(pairs) < count:
        raise RegistrationError(
            without_passwords(
                f"camera '{lost[0]}' was lost after {len(pairs)} of {count} pairs and did not come back in {LOST:g} s; "
                f"check it, and begin again"
            )
        )
    if not pairs:
        raise RegistrationError(f"'{visible}' and '{infrared}' sent no frames at the same time; check both cameras")
    return pairs
