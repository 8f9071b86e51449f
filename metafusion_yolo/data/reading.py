"""How the two images of a pair are checked, read and stacked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image
from ultralytics.utils import patches

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.thermal import to_uint8

ASPECT_TOLERANCE = 0.02  # largest relative difference of the two aspect ratios that a resize may bridge
OPENCV_FIRST = {".tif", ".tiff", ".jp2", ".dng", ".avif", ".heic", ".heif"}  # Pillow does not know every kind of these

# The host's own `Image.open` answers a file that is no image by installing a package.
_open_image = getattr(patches, "_image_open", Image.open)


def check_pair(visible: str, infrared: str) -> tuple[str, str]:
    """Decode both files of a pair and compare their sizes.

    Returns:
        A problem that makes the pair unusable, and a warning; empty where there is none.
    """
    try:
        shapes = check_image(visible, read_visible), check_image(infrared, read_infrared)
    except PairError as error:
        return str(error), ""
    return compare_sizes(*shapes, f"'{visible}' and '{infrared}'")


def check_image(file: str, read: Callable[[str], np.ndarray]) -> tuple[int, int]:
    """Decode all of a file, of which some versions of OpenCV return half without a word.

    Args:
        file: Path of the image.
        read: Its reader, asked about the formats that Pillow may not know.

    Returns:
        Height and width of the upright image.

    Raises:
        PairError: If the file is missing, empty, truncated or no image.
    """
    path = Path(file)
    if not path.is_file():
        raise PairError(f"'{file}' does not exist; restore the file or take it off the list")
    if not path.stat().st_size:
        raise PairError(f"'{file}' is empty (0 bytes); restore the file or remove the pair")
    if path.suffix.lower() in OPENCV_FIRST:
        height, width = read(file).shape[:2]
        return height, width
    try:
        with _open_image(file) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation) in {5, 6, 7, 8}
            image.draft("L", (1, 1))  # an eighth of a JPEG takes all of its bytes, but less time
            image.load()
    except Exception as error:  # decoders raise whatever they like on broken files
        reason = str(error).replace(f" '{file}'", "")
        raise PairError(f"'{file}' cannot be read ({reason}); restore the file or remove the pair") from error
    return (width, height) if turned else (height, width)


def compare_sizes(visible: tuple[int, int], infrared: tuple[int, int], names: str) -> tuple[str, str]:
    """Return a problem and a warning about the (height, width) of two images, empty where there is none."""
    if visible == infrared:
        return "", ""
    (h, w), (ih, iw) = visible, infrared
    sizes = f"{names} have different sizes ({w}x{h} and {iw}x{ih})"
    if abs(w / h - iw / ih) / (w / h) > ASPECT_TOLERANCE:
        return f"{sizes} and shapes; crop or register them to the same field of view", ""
    return "", f"{sizes}; the infrared image is resized"


def read_visible(file: str | Path) -> np.ndarray:
    """Read a visible image as (H, W, 3) uint8, RGB, upright; grey, palette, alpha and 16-bit files included.

    Raises:
        PairError: If the file cannot be decoded.
    """
    image = _decode(file, cv2.IMREAD_COLOR)
    if image.dtype != np.uint8:
        raise PairError(f"'{file}' holds {image.dtype} samples; save visible images with 8 or 16 bits a channel")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_infrared(file: str | Path) -> np.ndarray:
    """Read an infrared image as (H, W) uint8, upright; see :func:`to_uint8` for deeper files.

    Raises:
        PairError: If the file cannot be decoded.
    """
    image = _decode(file, cv2.IMREAD_ANYDEPTH)
    if image.shape[2] == 3:
        image = image.astype(np.float32) if image.dtype == np.float64 else image  # OpenCV converts no doubles
        return to_uint8(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    return to_uint8(image[..., 0])


def _decode(file: str | Path, flags: int) -> np.ndarray:
    """Read a file as (H, W, C) by the host's reader, or raise."""
    image = patches.imread(str(file), flags)
    if image is None:
        raise PairError(f"'{file}' cannot be read as an image; restore the file or remove the pair")
    return image


def stack_pair(visible: np.ndarray, infrared: np.ndarray | None, names: str = "the two images") -> np.ndarray:
    """Stack a visible (H, W, 3) RGB and an infrared (h, w) image, both uint8, to one (H, W, 4) array.

    Args:
        visible: The visible image; its size is the size of the pair.
        infrared: The infrared image, resized if its shape agrees; None leaves the plane blank.
        names: What to call the images in an error.

    Raises:
        PairError: If the aspect ratios differ by more than 2 %.
    """
    height, width = visible.shape[:2]
    if infrared is None:
        infrared = np.zeros((height, width), np.uint8)
    elif infrared.shape != (height, width):
        problem, _ = compare_sizes((height, width), (infrared.shape[0], infrared.shape[1]), names)
        if problem:
            raise PairError(problem)
        infrared = cv2.resize(infrared, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.dstack((visible, infrared))


def read_pair(visible: str | Path, infrared: str | Path | None) -> np.ndarray:
    """Read two files as one (H, W, 4) uint8 array, R, G, B, IR, in the size of the visible image.

    Raises:
        PairError: If a file cannot be decoded, or the two shapes differ.
    """
    names = f"'{visible}' and '{infrared}'"
    return stack_pair(read_visible(visible), None if infrared is None else read_infrared(infrared), names)
