"""Pairs to register by, from two live cameras."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
from ultralytics.utils import LOGGER

from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.sources import PairedSource
from metafusion_yolo.data.sources.streams import LoadStreamPair
from metafusion_yolo.prepare.register.estimate import RegistrationError


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
        RegistrationError: If a camera ends before there is a pair.
    """
    loader = LoadStreamPair(PairedSource(visible, infrared), PairReader())
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
                file.write_bytes(cv2.imencode(".png", frame.image)[1].tobytes())
                files.append(str(file))
            pairs.append((files[0], files[1]))
            LOGGER.info(
                f"Pair {len(pairs)}/{count}: {1e3 * (frames['infrared'].time - frames['visible'].time):+.0f} ms"
            )
    finally:
        loader.close()
    if not pairs:
        raise RegistrationError(f"'{visible}' and '{infrared}' sent no frames at one time; check both cameras")
    return pairs
