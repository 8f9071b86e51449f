"""Image files as cameras, labs and GIS tools write them, decoded without losing what they hold."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError

import cv2
import numpy as np
from PIL import ExifTags, Image
from ultralytics.data.utils import IMG_FORMATS
from ultralytics.utils import patches

from metafusion_yolo.data import tiff
from metafusion_yolo.data.camera import OPENCV_LOG
from metafusion_yolo.data.depth import visible_samples
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import NO_TEMPERATURES, in_colours
from metafusion_yolo.data.registration import Size

OPENCV_FIRST = {".tif", ".tiff", ".jp2", ".dng", ".avif", ".heic", ".heif"}  # Pillow cannot read all of these
MAY_MOVE = (".webp", ".png")  # formats of several frames; an MPO holds previews
JPEG_END = b"\xff\xd9"
DAMAGED = (  # what decoders raise on broken files, so that a bug of ours keeps its traceback
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,  # of AVIF, DDS and BLP, which may hide behind any suffix
    struct.error,
    zlib.error,
    TokenError,  # of the header of .npy files
    Image.DecompressionBombError,
)

if "OPENCV_LOG_LEVEL" not in os.environ:  # a line or more for each tag of GIS tools, and what our errors say anyway
    OPENCV_LOG.setLogLevel(1)  # fatal faults only

# The host replaces `Image.open` by one that installs a package when a file is not an image.
open_image = getattr(patches, "_image_open", Image.open)


class Page(str):
    """A page of a TIFF, named by a path such as `scan-0003.tif` that does not exist as a file.

    Attributes:
        file: The TIFF.
        number: Of the page, from 0.
    """

    file: str
    number: int

    def __new__(cls, file: str, number: int) -> Page:
        """Create the path of a page."""
        path = Path(file)
        page = super().__new__(cls, path.with_name(f"{path.stem}-{number:04}{path.suffix}"))
        page.file, page.number = file, number
        return page


def pages_of(file: str | Path) -> list[int]:
    """Return the numbers of the pages or frames of an image file that are as large as its first one.

    Smaller copies and thumbnails do not count.

    Raises:
        PairError: If a TIFF breaks off after its first page.
    """
    suffix = Path(file).suffix.lower()
    if suffix in tiff.SUFFIXES:
        pages = [*tiff.headers(file)]
        return [i for i, page in enumerate(pages) if page.size == pages[0].size and not (page.reduced and i)] or [0]
    if suffix not in MAY_MOVE:
        return [0]
    try:
        with open_image(file) as image:
            return [*range(getattr(image, "n_frames", 1))]
    except DAMAGED:  # reading the file says which
        return [0]


def check_image(file: str, read: Callable[[str], np.ndarray]) -> Size:
    """Check that an image file is complete, as some versions of OpenCV silently return half an image.

    The end marker of a JPEG and the checksums of a PNG save decoding them twice.

    Args:
        file: Path of the image.
        read: Its reader, used for formats that Pillow may not read.

    Returns:
        Width and height of the upright image.

    Raises:
        PairError: If the file is missing, empty, truncated or not an image.
    """
    suffix = _existing(file).suffix.lower()
    if suffix in OPENCV_FIRST or suffix[1:] not in IMG_FORMATS or isinstance(file, Page):
        height, width = read(file).shape[:2]
        return width, height
    try:
        with open_image(file) as image:
            size = _upright(image)
            if image.format == "PNG":
                image.verify()
            elif not (image.format == "JPEG" and _ends_in(file, JPEG_END)):
                image.load()
    except DAMAGED as error:
        raise _unreadable(file, error) from error
    return size


def _ends_in(file: str, marker: bytes) -> bool:
    """Return whether a file ends in some bytes, without reading the others."""
    with Path(file).open("rb") as stream:
        stream.seek(-len(marker), os.SEEK_END)
        return stream.read() == marker


def image_size(file: str | Path) -> Size:
    """Return the width and height of an upright image from the header of its file.

    Raises:
        PairError: If the file is missing, empty or not an image.
    """
    suffix = _existing(file).suffix.lower()
    try:
        if suffix == ".npy":
            shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
            height, width = shape[1:] if len(shape) == 3 and shape[0] == 1 else shape[:2]
            return width, height
        if suffix in tiff.SUFFIXES and (header := next(tiff.headers(file), None)):
            return header.size
        with open_image(file) as image:
            return _upright(image)
    except DAMAGED as error:
        if suffix in OPENCV_FIRST:
            height, width = _decode(file, cv2.IMREAD_ANYDEPTH).shape[:2]
            return width, height
        raise _unreadable(file, error) from error


def read_visible(file: str | Path) -> np.ndarray:
    """Read a visible image as (H, W, 3) uint8, RGB, upright; grey, palette, alpha and deep files are converted.

    Images of 10, 12 or 14 bits in 16 keep their highest 8: how many bits the camera has is seen from its folder.

    Raises:
        PairError: If the file cannot be decoded, or has samples of other types.
    """
    try:
        image = _decode(file, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except PairError:
        if not (header := _tiff_header(file)) or tiff.problem(header, visible=True):
            raise
        image = _decode_file(file, cv2.IMREAD_ANYDEPTH)  # OpenCV makes no colours of fractions and of 32 bits
    samples = visible_samples(image, file)
    return cv2.cvtColor(samples, cv2.COLOR_BGR2RGB if samples.shape[2] == 3 else cv2.COLOR_GRAY2RGB)


def read_counts(file: str | Path, measured: bool = False) -> np.ndarray:
    """Read an infrared image as (H, W), upright, in the depth of its file; colours become their luminance.

    Args:
        file: An image, or an array of numbers in a `.npy` file; what a GeoTIFF declares as no data becomes NaN.
        measured: Whether counts are temperatures, so that colours are refused.

    Raises:
        PairError: If the file cannot be decoded, or is in colours that are not wanted.
    """
    if Path(file).suffix.lower() == ".npy":
        return _array(file)
    image = _decode(file, cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_ANYCOLOR if measured else 0))
    if measured and in_colours(image):
        raise PairError(f"'{file}' {NO_TEMPERATURES}")
    if image.shape[2] == 3:
        image = image.astype(np.float32) if image.dtype == np.float64 else image  # OpenCV cannot convert doubles
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return _without_nodata(image[..., 0], file)


def _without_nodata(counts: np.ndarray, file: str | Path) -> np.ndarray:
    """Return counts (H, W) with NaN where the file says that there is no data."""
    header = _tiff_header(file)
    try:
        empty = counts == float(header.nodata if header else "")
    except ValueError:  # no number
        return counts
    return np.where(empty, np.float32(np.nan), counts.astype(np.float32)) if empty.any() else counts


def _tiff_header(file: str | Path) -> tiff.Header | None:
    """Return the header of the first page of a TIFF; None for other files, and broken ones."""
    path = Path(file.file if isinstance(file, Page) else file)
    if path.suffix.lower() not in tiff.WITH_HEADER or not path.is_file():
        return None
    try:
        return next(tiff.headers(path), None)
    except PairError:  # reading the file says so
        return None


def read_stack(file: str | Path) -> np.ndarray:
    """Read an image of four channels, which holds both cameras, as (H, W, 4), R, G, B, IR, uint8 or uint16.

    Pillow reads 8 bits, as OpenCV multiplies the colours of some TIFF files by the fourth channel.

    Raises:
        PairError: If the file cannot be decoded or has other channels.
    """
    _existing(file)
    channels = ""
    try:
        with open_image(file) as image:
            if image.mode == "RGBA" and not _is_deep(image):
                return np.asarray(image)
            channels = "".join(image.getbands())
    except DAMAGED as error:
        reason: Exception | None = error
    else:
        reason = None
    try:
        deep = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:  # such as a header with more pixels than OpenCV decodes
        raise _unreadable(file, reason or error) from error
    if deep is not None and deep.ndim == 3 and deep.shape[2] == 4 and deep.dtype == np.uint16:
        return cv2.cvtColor(deep, cv2.COLOR_BGRA2RGBA)
    if reason:
        raise _unreadable(file, reason) from reason
    raise PairError(f"'{file}' has the channels {channels}; layout=stacked reads four, R, G, B, IR, of 8 or 16 bits")


def _is_deep(image: Image.Image) -> bool:
    """Return whether Pillow reads 8 of the 16 bits of an image: it says RGBA for PNG files of either depth."""
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", None) or ())


def _array(file: str | Path) -> np.ndarray:
    """Read an (H, W) or (H, W, 1) array of numbers."""
    _existing(file)
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(file, error) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif" or not array.size or array.ndim not in (2, 3):
        raise PairError(f"'{file}' holds no image; save an (H, W) array of numbers with numpy.save")
    array = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
    if array.ndim == 3 and array.shape[2] != 1:
        raise PairError(f"'{file}' holds an array {array.shape}; save one plane, (H, W), with numpy.save")
    return np.ascontiguousarray(array.reshape(array.shape[:2]).astype(array.dtype.newbyteorder("=")))


def _decode(file: str | Path, flags: int) -> np.ndarray:
    """Read a file as (H, W, C), B, G, R, by the host's reader."""
    header = _tiff_header(file)
    if header and (problem := tiff.problem(header, bool(flags & cv2.IMREAD_COLOR))):
        raise PairError(f"'{file}' {problem}")
    if header and header.alpha and header.bands == 4 and header.bits == 8:  # OpenCV multiplies colours by it
        with open_image(file.file if isinstance(file, Page) else file) as page:
            page.seek(file.number if isinstance(file, Page) else 0)
            return cv2.cvtColor(np.asarray(page), cv2.COLOR_RGBA2BGR)
    image = _decode_page(file, flags) if isinstance(file, Page) else _decode_file(file, flags)
    if header and header.meaning == tiff.WHITE_IS_0 and image.dtype.kind == "u" and header.bits > 8:
        return np.iinfo(image.dtype).max - image
    return image


def _decode_page(file: Page, flags: int) -> np.ndarray:
    done, pages = cv2.imreadmulti(file.file, start=file.number, count=1, flags=flags)
    if not done:
        raise PairError(f"page {file.number + 1} of '{file.file}' cannot be read; restore the file")
    return pages[0] if pages[0].ndim == 3 else pages[0][..., None]


def _decode_file(file: str | Path, flags: int) -> np.ndarray:
    try:
        image = patches.imread(str(file), flags)
    except cv2.error as error:  # such as a header with more pixels than OpenCV decodes
        raise PairError(
            f"'{file}' cannot be read (OpenCV: {error.err}); restore the file or remove the pair"
        ) from error
    if image is None:
        raise PairError(f"'{file}' cannot be read as an image; restore the file or remove the pair")
    return image


def _upright(image: Image.Image) -> Size:
    """Return the width and height of an image after its EXIF orientation is applied."""
    width, height = image.size
    whole = image.format == "PNG" and "exif" not in image.info  # Pillow would decode all pixels to look behind them
    turned = not whole and image.getexif().get(ExifTags.Base.Orientation) in {5, 6, 7, 8}
    return (height, width) if turned else (width, height)


def _existing(file: str | Path) -> Path:
    path = Path(file.file if isinstance(file, Page) else file)
    if not path.is_file():
        lost = "is a link that leads nowhere" if path.is_symlink() else "does not exist"
        what = "is a folder, not an image" if path.is_dir() else lost
        raise PairError(f"'{file}' {what}; restore the file or take it off the list")
    if not path.stat().st_size:
        raise PairError(f"'{file}' is empty (0 bytes); restore the file or remove the pair")
    return path


def _unreadable(file: str | Path, error: Exception) -> PairError:
    reason = " ".join(str(error).replace(f" '{file}'", "").split())
    return PairError(f"'{file}' cannot be read ({reason}); restore the file or remove the pair")
