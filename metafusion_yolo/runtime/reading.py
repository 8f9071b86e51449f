"""Images and videos as OpenCV and NumPy read them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from metafusion_yolo.data.makers import preview_note, radiometric_maker
from metafusion_yolo.data.planes import NO_TEMPERATURES, in_colours, keep_deep
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.sampling import evenly

LOGGER = logging.getLogger("ultralytics")  # the host's, which is not needed here
_TOLD: set[str] = set()  # makers whose previews have been told of


def read_counts(file: str | Path, content: bytes | None = None, unit: str | None = None) -> np.ndarray:
    """Read an infrared image (h, w) in the depth of its file; colours become their luminance.

    Of a radiometric JPEG only the preview of 8 bits is read here, which a warning says.

    Args:
        file: Its path or address.
        content: What the file holds, where it has been read already.
        unit: Unit of the temperatures that the counts mean, `detector.thermal.unit`; with it such a JPEG, and
            colours, are refused.

    Raises:
        FileNotFoundError: If the file does not exist, or is not an image.
        ValueError: If an `.npy` file is damaged, or a preview would be taken for temperatures.
    """
    if Path(file).suffix == ".npy":
        return np.load(file if content is None else io.BytesIO(content), allow_pickle=False)
    _check_preview(file, content, unit)
    image = _read(file, content, cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_ANYCOLOR if unit else 0))
    if unit and image is not None and in_colours(image):
        raise UserValueError(f"'{file}' {NO_TEMPERATURES}")
    if image is None:
        raise MissingFileError(f"'{file}' cannot be read as an image; give the infrared partner of the visible image")
    return grey(image)


def _check_preview(file: str | Path, content: bytes | None, unit: str | None) -> None:
    """Reject a radiometric JPEG where temperatures are wanted, else warn once that only its preview is read."""
    if content is None and not Path(file).is_file():
        return
    with Path(file).open("rb") if content is None else io.BytesIO(content) as stream:
        maker = radiometric_maker(stream)
    if maker and unit:
        raise UserValueError(
            f"'{file}' is a radiometric JPEG of {maker}, whose measurement the runtime cannot read; convert it to TIFF"
        )
    if maker and maker not in _TOLD:
        _TOLD.add(maker)
        LOGGER.warning(f"'{file}', for example: {preview_note(maker)}")


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
            yield grey(frame) if heat else frame
        for number in numbers:
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            read, frame = capture.read()
            if read:
                yield grey(frame) if heat else frame
    finally:
        capture.release()


def grey(frame: np.ndarray) -> np.ndarray:
    """Return the luminance (H, W) of a frame (H, W, 3), B, G, R; one plane stays as it is."""
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
