"""How many bits a visible camera has, and its samples brought to 8."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from ultralytics.utils import LOGGER, patches

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import DEPTHS, bits_of
from metafusion_yolo.support.sampling import evenly

SAMPLE = 8  # images of a folder that its depth is looked for in


def visible_samples(image: np.ndarray, file: str | Path) -> np.ndarray:
    """Return the samples of a visible image as uint8.

    Args:
        image: Of any shape: uint8, other whole numbers of 16 bits at most, or fractions of 0 to 1.
        file: Where it came from; its folder tells the bits of the camera.

    Raises:
        PairError: If it has other samples.
    """
    if image.dtype == np.uint8:
        return image
    finite = image[np.isfinite(image)] if image.dtype.kind == "f" else image
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    if image.dtype.kind in "ui" and low >= 0 and high < 1 << 16:
        return (image.astype(np.uint16) >> (_bits(int(high), Path(file)) - 8)).astype(np.uint8)
    if image.dtype.kind == "f" and low >= 0 and high <= 1:
        return (np.nan_to_num(image) * 255 + 0.5).astype(np.uint8)
    raise PairError(
        f"'{file}' holds {image.dtype} samples, {low:g} to {high:g}; save visible images with 8 or 16 bits a "
        f"channel, or as fractions of 0 to 1"
    )


def _bits(highest: int, file: Path) -> int:
    """Return the bits of the camera that an image of 16 bits came from."""
    deepest = bits_of(highest)
    return deepest if deepest == DEPTHS[-1] else max(deepest, _bits_of_folder(file.parent, file.suffix))


@lru_cache(maxsize=256)
def _bits_of_folder(folder: Path, suffix: str) -> int:
    """Return the bits that the images of a folder use, from some of them, and say so."""
    highest = 0
    for file in evenly(sorted(folder.glob(f"*{suffix}")), SAMPLE):
        image = patches.imread(str(file), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        highest = max(highest, int(image.max()) if image is not None and image.dtype == np.uint16 else 0)
    bits = bits_of(highest)
    if highest and bits < DEPTHS[-1]:
        LOGGER.warning(f"visible images of 16 bits in '{folder}' use {bits} of them, and are read as {bits} bits")
    return bits
