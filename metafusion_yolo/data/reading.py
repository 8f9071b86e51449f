"""Checking, reading, registering and stacking the two images of a pair."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image
from ultralytics.utils import patches

from metafusion_yolo.data.layout import split_layout
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import join
from metafusion_yolo.data.registration import Size, warp_infrared
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE, Limits
from metafusion_yolo.support.sampling import evenly

ASPECT_TOLERANCE = 0.02  # largest relative difference of the two aspect ratios that a resize may hide
OPENCV_FIRST = {".tif", ".tiff", ".jp2", ".dng", ".avif", ".heic", ".heif"}  # Pillow cannot read all of these
JPEG_END = b"\xff\xd9"

# The host replaces `Image.open` by one that installs a package when a file is not an image.
open_image = getattr(patches, "_image_open", Image.open)


class PairReader:
    """Read pairs: normalise, register and stack their images.

    Args:
        rig: The two cameras.
        off: Camera to blank, "visible" or "infrared"; empty for none.
    """

    def __init__(self, rig: Rig | None = None, off: str = "") -> None:
        self.rig = rig or Rig()
        self.off = off
        self._limits: dict[Path, Limits | None] = {}

    def read(self, visible: str | Path, infrared: str | Path | None) -> np.ndarray:
        """Read two files as one (H, W, 4) uint8 array, R, G, B, IR, in the size of the visible image.

        Raises:
            PairError: If a file cannot be decoded, or the two shapes differ.
        """
        if self.rig.layout:
            return self.stack(*self.read_both(visible), visible)
        if infrared is None:
            return self.stack(read_visible(visible), None)
        return self.stack(*self.parts(visible, infrared), visible, infrared, self.limits_of(infrared))

    def parts(self, visible: str | Path, infrared: str | Path) -> tuple[np.ndarray, np.ndarray]:
        """Return the visible (H, W, 3) uint8 and the infrared image (h, w) of a pair as they are, by the layout.

        Raises:
            PairError: If a file cannot be decoded.
        """
        if self.rig.layout:
            return self.read_both(visible)
        return read_visible(visible), read_counts(infrared)

    def read_both(self, image: str | Path | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the visible (H, W, 3) uint8 and the infrared part (H, W) of an image that holds both, by the layout.

        Raises:
            PairError: If it cannot be decoded, or does not have the two parts.
        """
        layout = str(self.rig.layout)
        if not isinstance(image, np.ndarray):
            image = read_stack(image) if layout == "stacked" else read_visible(image)
        visible, infrared = split_layout(image, layout)
        infrared = infrared if infrared.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(infrared), cv2.COLOR_RGB2GRAY)
        return np.ascontiguousarray(visible), np.ascontiguousarray(infrared)

    def limits_of(self, infrared: str | Path) -> Limits | None:
        """Return the counts that become black and white in the folder of a file; None if each file has its own."""
        folder = Path(infrared).parent
        if self.rig.thermal.scope == "sequence" and folder not in self._limits:
            files = evenly(self._sequence(Path(infrared)), SEQUENCE_SAMPLE)
            self._limits[folder] = self.rig.thermal.limits_of(read_counts(file) for file in files)
        return self._limits.get(folder)

    def _sequence(self, infrared: Path) -> list[Path]:
        """Return the infrared files in the folder of one; with pairing by substitution, visible files may share it."""
        part = "" if isinstance(self.rig.pairing, str) else self.rig.pairing["to"]
        files = infrared.parent.glob(f"*{infrared.suffix}")
        return sorted(file for file in files if part in file.as_posix())

    def stack(
        self,
        visible: np.ndarray,
        counts: np.ndarray | None,
        file: str | Path | None = None,
        infrared_name: str | Path | None = None,
        limits: Limits | None = None,
    ) -> np.ndarray:
        """Stack a visible (H, W, 3) RGB uint8 image and an infrared (h, w) one of any depth to one (H, W, 4) array.

        Args:
            visible: The visible image, whose size is that of the pair.
            counts: The infrared image, to be registered to the visible one; None leaves the plane blank.
            file: The visible file or video, whose folder selects the registration of a sequence.
            infrared_name: The infrared file; errors name both.
            limits: Counts that become black and white; None to take them from the image.

        Raises:
            PairError: If there is no registration and the aspect ratios differ by more than 2 %, or if the fixed range
                of counts needs more than the 8 bits of the image.
        """
        if self.off == "visible":
            visible = np.zeros_like(visible)
        if counts is None or self.off == "infrared":
            return join(visible, np.zeros(visible.shape[:2], np.uint8))
        names = f"'{file}' and '{infrared_name}'" if infrared_name else "the two images"
        if problem := self.rig.thermal.depth_problem(counts.dtype):
            raise PairError(f"{names}: {problem}")
        grey = self.rig.thermal.to_uint8(counts, limits)
        sizes = visible.shape[1::-1], grey.shape[1::-1]
        homography = self.rig.homography(file, *sizes)
        if homography is not None:
            return join(visible, warp_infrared(visible, grey, homography))
        if sizes[0] != sizes[1]:
            if problem := compare_sizes(*sizes, names)[0]:
                raise PairError(problem)
            grey = cv2.resize(grey, sizes[0], interpolation=cv2.INTER_LINEAR)
        return join(visible, grey)

    def check(self, visible: str, infrared: str) -> tuple[str, str]:
        """Check that both files of a pair are complete and, without a registration, that their sizes fit.

        Returns:
            A problem that makes the pair unusable, and a warning; empty where there is none.
        """
        try:
            if self.rig.layout:
                check_image(visible, read_visible)
                self.read_both(visible)
                return "", ""
            sizes = check_image(visible, read_visible), check_image(infrared, read_counts)
        except PairError as error:
            return str(error), ""
        names = f"'{visible}' and '{infrared}'"
        if self.rig.thermal.range and (problem := self.rig.thermal.depth_problem(read_counts(infrared).dtype)):
            return f"{names}: {problem}", ""
        if self.rig.homography(visible, *sizes) is not None:
            return "", ""
        return compare_sizes(*sizes, names)


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
    if suffix in OPENCV_FIRST or suffix == ".npy":
        height, width = read(file).shape[:2]
        return width, height
    try:
        with open_image(file) as image:
            size = _upright(image)
            if image.format == "PNG":
                image.verify()
            elif not (image.format == "JPEG" and _ends_in(file, JPEG_END)):
                image.load()
    except Exception as error:  # decoders raise all kinds of errors on broken files
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
            height, width = np.load(file, mmap_mode="r", allow_pickle=False).shape[:2]
            return width, height
        with open_image(file) as image:
            return _upright(image)
    except Exception as error:  # as above
        if suffix in OPENCV_FIRST:
            height, width = _decode(file, cv2.IMREAD_ANYDEPTH).shape[:2]
            return width, height
        raise _unreadable(file, error) from error


def compare_sizes(visible: Size, infrared: Size, names: str) -> tuple[str, str]:
    """Return a problem and a warning about the (width, height) of two images, each empty if there is none."""
    if visible == infrared:
        return "", ""
    (w, h), (iw, ih) = visible, infrared
    sizes = f"{names} have different sizes ({w}x{h} and {iw}x{ih})"
    if abs(w / h - iw / ih) / (w / h) > ASPECT_TOLERANCE:
        return f"{sizes} and shapes; register them (metafusion data register), or crop them to the same view", ""
    return "", f"{sizes}; the infrared image is resized"


def read_visible(file: str | Path) -> np.ndarray:
    """Read a visible image as (H, W, 3) uint8, RGB, upright; grey, palette, alpha and 16-bit files are converted.

    Raises:
        PairError: If the file cannot be decoded, or has samples of other types.
    """
    image = _decode(file, cv2.IMREAD_COLOR)
    if image.dtype != np.uint8:
        raise PairError(f"'{file}' holds {image.dtype} samples; save visible images with 8 or 16 bits a channel")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_counts(file: str | Path) -> np.ndarray:
    """Read an infrared image as (H, W), upright, in the depth of its file; colours become their luminance.

    Args:
        file: An image, or an array of numbers in a `.npy` file.

    Raises:
        PairError: If the file cannot be decoded.
    """
    if Path(file).suffix.lower() == ".npy":
        return _array(file)
    image = _decode(file, cv2.IMREAD_ANYDEPTH)
    if image.shape[2] == 3:
        image = image.astype(np.float32) if image.dtype == np.float64 else image  # OpenCV cannot convert doubles
        return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return image[..., 0]


def read_stack(file: str | Path) -> np.ndarray:
    """Read an image of four channels, which holds both cameras, as (H, W, 4) uint8, R, G, B, IR.

    It uses Pillow, as OpenCV multiplies the colours of some TIFF files by the fourth channel.

    Raises:
        PairError: If the file cannot be decoded or has other channels.
    """
    _existing(file)
    try:
        with open_image(file) as image:
            if image.mode == "RGBA":
                return np.asarray(image)
            channels = "".join(image.getbands())
    except Exception as error:  # decoders raise all kinds of errors on broken files
        raise _unreadable(file, error) from error
    raise PairError(f"'{file}' has the channels {channels}; layout=stacked reads four of 8 bits: R, G, B, IR")


def _array(file: str | Path) -> np.ndarray:
    """Read an (H, W) or (H, W, 1) array of numbers."""
    _existing(file)
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(file, error) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif" or not array.size or array.ndim not in (2, 3):
        raise PairError(f"'{file}' holds no image; save an (H, W) array of numbers by numpy.save")
    if array.ndim == 3 and array.shape[2] != 1:
        raise PairError(f"'{file}' holds an array {array.shape}; save one plane, (H, W), by numpy.save")
    return np.ascontiguousarray(array.reshape(array.shape[:2]).astype(array.dtype.newbyteorder("=")))


def _decode(file: str | Path, flags: int) -> np.ndarray:
    """Read a file as (H, W, C) by the host's reader."""
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
    path = Path(file)
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
