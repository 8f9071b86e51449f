"""Arrays and PIL images as the planes of a pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from metafusion_yolo.data.listing import not_a_pair
from metafusion_yolo.data.planes import counts_of, described, rgb_of, split
from metafusion_yolo.support.errors import MissingFileError, UserTypeError

PIL_GREY = {"L", "F", "I", "I;16", "I;16L", "I;16B", "I;16N"}  # modes whose samples are intensities or counts


def as_visible(image: Any) -> str | np.ndarray:
    """Return a visible image in memory as (H, W, 3) uint8, R, G, B; return a path as a string.

    Args:
        image: Path, PIL image, or uint8 array: (H, W, 3) in B, G, R, as OpenCV reads it, or grey (H, W), (H, W, 1).

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: For anything else.
    """
    if isinstance(image, (str, Path)):
        return _existing(image)
    if isinstance(image, Image.Image):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    return rgb_of(image)


def as_infrared(image: Any) -> str | np.ndarray | None:
    """Return an infrared image in memory as (H, W) in its own depth; return a path as a string, None as None.

    Args:
        image: Path, None, PIL image, or array: (H, W) or (H, W, 1) of any number type, or (H, W, 3) uint8 in B, G, R.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: For anything else.
    """
    if image is None:
        return None
    if isinstance(image, (str, Path)):
        return _existing(image)
    if isinstance(image, Image.Image):
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright if upright.mode in PIL_GREY else upright.convert("L"))
    return counts_of(image)


def split_stack(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split an (H, W, 4) uint8 array, R, G, B, IR, into visible (H, W, 3) and infrared (H, W).

    Raises:
        TypeError: If the array has another type, or no pixels.
    """
    if pair.dtype != np.uint8 or not pair.size:
        raise UserTypeError(f"a stacked pair must be an (H, W, 4) uint8 array, R, G, B, IR, not {described(pair)}")
    return split(pair)


def _existing(file: str | Path) -> str:
    if not Path(file).is_file():
        raise MissingFileError(f"'{file}' {not_a_pair(file) or 'does not exist; give the path of an image'}")
    return str(file)
