"""Images and videos as OpenCV and NumPy read them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from metafusion_yolo.data.planes import keep_deep
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE
from metafusion_yolo.support.errors import MissingFileError
from metafusion_yolo.support.sampling import evenly


def read_counts(file: str | Path, content: bytes | None = None) -> np.ndarray:
    """Read an infrared image (h, w) in the depth of its file; colours become their luminance.

    Args:
        file: Its path or address.
        content: What the file holds, where it has been read already.

    Raises:
        FileNotFoundError: If the file does not exist, or is not an image.
        ValueError: If an `.npy` file is damaged.
    """
    if Path(file).suffix == ".npy":
        return np.load(file if content is None else io.BytesIO(content), allow_pickle=False)
    image = _read(file, content, cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise MissingFileError(f"'{file}' cannot be read as an image; give the infrared partner of the visible image")
    return image


def read_visible(file: str | Path, content: bytes | None = None) -> np.ndarray:
    """Read a visible image (H, W, 3) uint8, B, G, R; arguments as for :func:`read_counts`.

    Raises:
        FileNotFoundError: If the file does not exist, or is not an image.
    """
    image = _read(file, content, cv2.IMREAD_COLOR)
    if image is None:
        raise MissingFileError(f"'{file}' cannot be read as an image; give a visible image, a folder or a video")
    return image


def _read(file: str | Path, content: bytes | None, flags: int) -> np.ndarray | None:
    if content is None:
        return cv2.imread(str(file), flags)
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None


def frames(file: str | Path, heat: bool = False, sample: bool = False) -> Iterator[np.ndarray]:
    """Yield the frames of a video.

    Args:
        file: Its path.
        heat: Whether it is the infrared one, of which frames (H, W) in their depth are given, not (H, W, 3), B, G, R.
        sample: Whether to yield some only, evenly spread.

    Raises:
        FileNotFoundError: If it cannot be opened.
    """
    capture = cv2.VideoCapture(str(file))
    if not capture.isOpened():
        raise MissingFileError(f"'{file}' cannot be opened as a video")
    if heat:
        keep_deep(capture)
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    numbers = evenly(range(count), SEQUENCE_SAMPLE) if sample else None
    try:
        while numbers is None:
            read, frame = capture.read()
            if not read:
                return
            yield _grey(frame) if heat else frame
        for number in numbers:
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            read, frame = capture.read()
            if read:
                yield _grey(frame) if heat else frame
    finally:
        capture.release()


def _grey(frame: np.ndarray) -> np.ndarray:
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
