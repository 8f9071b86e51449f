"""Uploaded images, decoded under limits: headers are checked before any pixel is decoded."""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import cv2
import numpy as np
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from metafusion_yolo.data.makers import preview_note, radiometric_maker
from metafusion_yolo.data.planes import NO_TEMPERATURES, highest_8_bits, in_colours
from metafusion_yolo.support.errors import UserError, UserValueError

NPY = b"\x93NUMPY"
KINDS: dict[bytes, type[ImageFile.ImageFile]] = {  # by how a file begins, whatever its name says
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
}
TILE_WIDTH, TILE_HEIGHT = 322, 323  # tags of a TIFF: a small image may be made of huge tiles
LONGEST = 65535  # pixels of a side


class Pair(NamedTuple):
    """The pair of a request, or of a row of a manifest.

    Attributes:
        visible: (H, W, 3) uint8, B, G, R.
        infrared: (h, w), in the depth of its file.
        file: The visible file, whose folder selects the registration of a sequence; None for uploads.
        note: What to know of the files; empty if nothing.
    """

    visible: np.ndarray
    infrared: np.ndarray
    file: str | None = None
    note: str = ""


class TooLargeError(UserError, ValueError):
    """An image with more pixels than the server decodes."""


def read_pair(visible: bytes, infrared: bytes, most: float, measures: bool = False) -> Pair:
    """Decode the two files of a pair.

    Args:
        visible: JPEG, PNG, TIFF, WebP or BMP; 10, 12, 14 or 16 bits in 16 keep their highest 8.
        infrared: The same, or `.npy`, in any depth; colours become their luminance.
        most: Largest number of pixels of an image.
        measures: Whether temperatures are measured, for which neither a preview nor colours must be taken.

    Raises:
        TooLargeError: If an image has more pixels.
        ValueError: If one is damaged, or no image, or only a preview.
    """
    note = _note_of_preview(infrared, measures)
    colour = _decode(visible, "visible", cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, most)
    if infrared.startswith(NPY):
        return Pair(highest_8_bits(colour), _array(infrared, most))
    heat = _decode(infrared, "infrared", cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_ANYCOLOR if measures else 0), most)
    if measures and in_colours(heat):
        raise UserValueError(f"'infrared' {NO_TEMPERATURES}")
    return Pair(highest_8_bits(colour), heat if heat.ndim == 2 else cv2.cvtColor(heat, cv2.COLOR_BGR2GRAY), note=note)


def read_stacked(content: bytes, most: float) -> Pair:
    """Decode one file of four channels, R, G, B, IR, of 8 or 16 bits; arguments and errors as for :func:`read_pair`."""
    image = _decode(content, "stacked", cv2.IMREAD_UNCHANGED, most)
    if image.ndim != 3 or image.shape[2] != 4:
        channels = 1 if image.ndim == 2 else image.shape[2]
        raise UserValueError(f"'stacked' has {channels} channels, expected four: R, G, B, IR")
    return Pair(highest_8_bits(np.ascontiguousarray(image[..., :3])), np.ascontiguousarray(image[..., 3]))


def _note_of_preview(content: bytes, measures: bool) -> str:
    """Return what to say if an infrared file is a radiometric JPEG, of which only the preview is read here."""
    if not (maker := radiometric_maker(io.BytesIO(content))):
        return ""
    if measures:
        raise UserValueError(
            f"'infrared' is a radiometric JPEG of {maker}, whose measurement is not read from uploads; convert it to "
            f"TIFF or .npy"
        )
    return preview_note(maker)


def _decode(content: bytes, name: str, flags: int, most: float) -> np.ndarray:
    """Decode an image after checking the size in its header."""
    width, height = _size(content, name, most)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or sorted(image.shape[:2]) != sorted((height, width)):  # EXIF may turn it
        raise UserValueError(f"'{name}' is damaged: its header can be read, its pixels cannot")
    if image.dtype not in (np.uint8, np.uint16) and name != "infrared":
        raise UserValueError(f"'{name}' holds {image.dtype} samples, expected 8 or 16 bits a channel")
    return image


def _size(content: bytes, name: str, most: float) -> tuple[int, int]:
    """Return (width, height) from the header of an image.

    Pillow's classes are used directly, as its `open` may try every format, and the host replaces it.
    """
    kind = next((kind for start, kind in KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise UserValueError(f"'{name}' is not a JPEG, PNG, TIFF, WebP or BMP image")
    try:
        image = kind(io.BytesIO(content))
        width, height = image.size
        tags = getattr(image, "tag_v2", {})
        tile = int(tags.get(TILE_WIDTH, 0)) * int(tags.get(TILE_HEIGHT, 0))
    except Exception as error:  # Pillow raises all kinds of errors on damaged headers
        raise UserValueError(f"'{name}' is damaged: its header cannot be read") from error
    _check_pixels(name, (height, width), most)
    if tile > 4 * most:
        raise TooLargeError(f"'{name}' has tiles of {tile / 1e6:.1f} million pixels, more than the server decodes")
    return width, height


def _check_pixels(name: str, shape: tuple[int, ...], most: float) -> None:
    """Check the number of pixels.

    Raises:
        TooLargeError: If there are more than `most`, or a side is longer than `LONGEST`.
        ValueError: If there are none.
    """
    if math.prod(shape) > most or max(shape) > LONGEST:
        size = "x".join(str(side) for side in reversed(shape))
        raise TooLargeError(f"'{name}' has {size} pixels, more than the {most / 1e6:g} million that this server reads")
    if min(shape) < 1:
        raise UserValueError(f"'{name}' has no pixels")


def _array(content: bytes, most: float) -> np.ndarray:
    """Read an (H, W) array of a `.npy` file; its header must promise as many bytes as there are."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except Exception as error:  # NumPy raises several kinds on damaged headers
        raise UserValueError("'infrared' is a damaged .npy file") from error
    if len(shape) != 2 or dtype.kind not in "uif":
        raise UserValueError("'infrared' is not an (H, W) array of numbers")
    _check_pixels("infrared", shape, most)
    if len(content) - stream.tell() != math.prod(shape) * dtype.itemsize:
        raise UserValueError("'infrared' is a damaged .npy file: its size is not what its header says")
    array = np.load(io.BytesIO(content), allow_pickle=False)
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("=")))
