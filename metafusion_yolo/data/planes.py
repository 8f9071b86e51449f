"""The planes of a pair: three of the visible camera, one of the infrared camera."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from metafusion_yolo.support.errors import UserTypeError

ASPECT_TOLERANCE = 0.02  # largest relative difference of the two aspect ratios that a resize may hide
DEPTHS = (10, 12, 14, 16)  # bits of sensors whose images are saved in 16
GRAY16 = int.from_bytes(b"Y1\0\x10", "little")  # FFmpeg's tag of gray16le
COLOURED = 0.05  # mean spread of the channels, in shares of the range, from which an image is not grey
NO_TEMPERATURES = "is in colours, which are no temperatures; save what was measured as TIFF, PNG of 16 bits or .npy"
PLANES = {"visible": slice(0, 3), "infrared": slice(3, 4)}  # of the channels R, G, B, IR


def keep_deep(capture: cv2.VideoCapture) -> None:
    """Let a video of 16 bits and one plane, such as FFV1 in Matroska, give its frames as (H, W) uint16."""
    if capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT) == GRAY16:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)


def rgb_of(image: Any) -> np.ndarray:
    """Return a visible image (H, W, 3) in B, G, R, or grey (H, W) or (H, W, 1), uint8, as (H, W, 3) R, G, B.

    Raises:
        UserTypeError: If it is anything else.
    """
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.size:
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
            return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        if image.ndim == 3 and image.shape[2] == 3:
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    raise UserTypeError(f"a visible image must be a path, PIL image or (H, W, 3) uint8 array, not {described(image)}")


def counts_of(image: Any) -> np.ndarray:
    """Return an infrared image (H, W) or (H, W, 1) of any number type, or (H, W, 3) uint8 in B, G, R, as (H, W).

    Raises:
        UserTypeError: If it is anything else.
    """
    if isinstance(image, np.ndarray) and image.dtype.kind in "uif" and image.size:
        if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
            return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
            return image.reshape(image.shape[:2])
    raise UserTypeError(f"an infrared image must be a path, PIL image or (H, W) array, not {described(image)}")


def described(item: Any) -> str:
    """Return the kind of a wrong item, for an error."""
    return f"an array {item.shape} {item.dtype}" if isinstance(item, np.ndarray) else f"{type(item).__name__}"


def compare_sizes(visible: tuple[int, int], infrared: tuple[int, int], names: str) -> tuple[str, str]:
    """Return a problem and a warning about the (width, height) of two images, each empty if there is none."""
    if visible == infrared:
        return "", ""
    (w, h), (iw, ih) = visible, infrared
    sizes = f"{names} have different sizes ({w}x{h} and {iw}x{ih})"
    if abs(w / h - iw / ih) / (w / h) > ASPECT_TOLERANCE:
        return f"{sizes} and shapes; register them (metafusion data register), or crop them to the same view", ""
    return "", f"{sizes}; the infrared image is resized"


def split(pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the visible (H, W, 3) and the infrared (H, W) image of a pair (H, W, 4) uint8.

    OpenCV copies channels several times faster than NumPy does, here and in :func:`join`.
    """
    return cv2.cvtColor(pair, cv2.COLOR_RGBA2RGB), cv2.extractChannel(pair, 3)


def join(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Return the pair (H, W, 4) of a visible (H, W, 3) and an infrared (H, W) image, uint8.

    Examples:
        >>> join(np.zeros((2, 5, 3), np.uint8), np.ones((2, 5), np.uint8))[1, 4].tolist()
        [0, 0, 0, 1]
    """
    return cv2.merge([*cv2.split(visible), np.ascontiguousarray(infrared)])


def cameras_on(pair: np.ndarray) -> list[str]:
    """Return the cameras whose planes in a pair (H, W, 4) vary, sampled every 8 pixels as in the front-end."""
    varies = np.ptp(pair[::8, ::8], (0, 1))
    return [camera for camera, planes in PLANES.items() if varies[planes].any()]


def blank(pair: np.ndarray, camera: str) -> np.ndarray:
    """Return a copy of a pair (H, W, 4) with the planes of a camera ("visible" or "infrared") at 0."""
    pair = pair.copy()
    pair[..., PLANES[camera]] = 0
    return pair


def central(image: np.ndarray, size: int) -> np.ndarray:
    """Return the centre (S, S, ...) that a classifier sees of an image whose shorter side is resized to S.

    Examples:
        >>> central(np.zeros((50, 100, 4), np.uint8), 25).shape
        (25, 25, 4)
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter != size:
        to = size * width // shorter, size * height // shorter
        image = cv2.resize(image, to, interpolation=cv2.INTER_AREA if shorter > size else cv2.INTER_LINEAR)
    top, left = (round((side - size) / 2) for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + size, left : left + size])


def in_colours(image: np.ndarray) -> bool:
    """Return whether an image, (H, W, 3) or (H, W), is in colours, such as the palette of a thermal camera.

    Examples:
        >>> ramp = np.arange(256, dtype=np.uint8)[None]
        >>> in_colours(cv2.cvtColor(ramp, cv2.COLOR_GRAY2BGR)), in_colours(cv2.applyColorMap(ramp, cv2.COLORMAP_JET))
        (False, True)
    """
    if image.ndim == 2 or image.shape[2] != 3:
        return False
    some = image[::8, ::8]
    most = np.iinfo(some.dtype).max if some.dtype.kind in "ui" else some.max(initial=0)
    return bool(np.ptp(some, 2).mean() > COLOURED * most)


def bits_of(highest: int) -> int:
    """Return the bits of a camera that wrote this highest sample into an image of 16 bits."""
    return next(bits for bits in DEPTHS if highest < 1 << bits)


def highest_8_bits(image: np.ndarray) -> np.ndarray:
    """Return an image as uint8: of uint16 the highest 8 bits that its camera uses."""
    if image.dtype == np.uint8:
        return image
    return (image >> (bits_of(int(image.max(initial=0))) - 8)).astype(np.uint8)


def mean_inside(plane: np.ndarray, box: np.ndarray, outline: np.ndarray | None = None) -> float:
    """Return the mean of a plane (H, W) over the pixels that a box x1, y1, x2, y2 touches, at least one.

    Of these, only those inside an outline (P, 2) in pixels count, if it has three points or more.
    """
    height, width = plane.shape
    left, top = min(max(int(box[0]), 0), width - 1), min(max(int(box[1]), 0), height - 1)
    right, bottom = max(math.ceil(box[2]), left + 1), max(math.ceil(box[3]), top + 1)
    inside = plane[top:bottom, left:right]
    if outline is None or len(outline) < 3:
        return float(inside.mean())
    counts = np.zeros(inside.shape, np.uint8)
    cv2.fillPoly(counts, [np.rint(outline - (left, top)).astype(np.int32)], 1)
    return float(inside[counts > 0].mean() if counts.any() else inside.mean())
