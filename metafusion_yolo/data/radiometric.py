"""Radiometric files, whose measurement stands beside an 8-bit preview: a reader for each maker."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from metafusion_yolo.data import hikvision, seek
from metafusion_yolo.data.decoding import open_image
from metafusion_yolo.data.makers import radiometric_maker
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.thermal import UNITS, Thermal
from metafusion_yolo.support.errors import MissingPackageError

KELVIN = -UNITS["celsius"]  # of 0 degrees celsius
PACKAGES = {"FLIR": "flyr", "DJI": "dji-thermal-cli"}  # the second from Python 3.12 on
UNREAD, WITHOUT_PREVIEW = ("HIKMICRO",), ("Hikvision",)  # makers of files that hold but one of the two for us
FFF = b"FLIR\0\1\0"  # what the first segment of FLIR's records begins with
NO_DATA = -273.15  # degrees celsius, where DJI's files hold no measurement


def maker_of(file: str | Path) -> str:
    """Return the maker of a radiometric file, a key of :data:`READERS`; empty for any other file."""
    try:
        with Path(file).open("rb") as stream:
            return radiometric_maker(stream, str(file))
    except OSError:  # reading the file says which
        return ""


def read_measurement(file: str | Path, maker: str, thermal: Thermal) -> np.ndarray:
    """Return the measurement of a radiometric file, upright, as counts (h, w) float32 of the description.

    Args:
        file: Path of the file.
        maker: See :func:`maker_of`.
        thermal: The unit, None for degrees celsius, and what is to replace emissivity and the like in the file.

    Raises:
        ModuleNotFoundError: If the package that reads these files is not installed.
        PairError: If it cannot read the file.
    """
    try:
        celsius = READERS[maker](str(file), thermal)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"'{file}' is a radiometric JPEG of {maker}, which the package '{PACKAGES[maker]}' reads: pip install "
            f'"metafusion-yolo[thermal]"{" with Python 3.12 or later" * (maker == "DJI")}'
            f"; without 'thermal: unit:' its 8-bit preview is read"
        ) from error
    except Exception as error:  # the packages have errors of their own
        said = " ".join(str(error).split())
        said = said if isinstance(error, PairError) else f"{PACKAGES[maker]}: {type(error).__name__}: {said}"
        preview = ", or leave 'thermal: unit:' out to use its 8-bit preview" * (maker not in WITHOUT_PREVIEW)
        raise PairError(
            f"the temperatures of '{file}' cannot be read ({said}); restore the file, or convert it to TIFF by the "
            f"maker's program{preview}"
        ) from error
    turn = 1
    if maker in PACKAGES:
        with open_image(file) as preview:
            turn = preview.getexif().get(ExifTags.Base.Orientation, 1)
    plane = Image.fromarray(celsius.astype(np.float32))
    plane.getexif()[ExifTags.Base.Orientation] = turn
    upright = np.asarray(ImageOps.exif_transpose(plane), np.float32)
    return np.asarray(thermal.counts(upright - UNITS["celsius"] + UNITS[thermal.unit or "celsius"]), np.float32)


def _flir(file: str, thermal: Thermal) -> np.ndarray:
    """Return degrees celsius (h, w) of a file of FLIR."""
    import flyr

    kelvin = None if thermal.reflected is None else thermal.reflected - UNITS[str(thermal.unit)]
    values = {
        "emissivity": thermal.emissivity,
        "reflected_apparent_temperature": kelvin,
        "object_distance": thermal.distance,
        "relative_humidity": thermal.humidity,
    }
    thermogram = flyr.unpack(io.BytesIO(_big_endian(Path(file).read_bytes())))
    return np.asarray(thermogram.adjust_metadata(**{k: v for k, v in values.items() if v is not None}).celsius)


def _big_endian(data: bytes) -> bytes:
    """Return a file of FLIR with a big-endian list of records, which `flyr` expects; DJI's XT and XT2 write another."""
    start = data.find(FFF) + len(FFF) + 1
    version, at, count = struct.unpack_from("<3I", data, start + 20)
    if version > 0xFFFF:
        return data
    turned = bytearray(data)
    struct.pack_into(">3I", turned, start + 20, version, at, count + at // 32)  # flyr counts from the start of the data
    for entry in range(start + at, start + at + 32 * count, 32):
        struct.pack_into(">2H7I", turned, entry, *struct.unpack_from("<2H7I", data, entry))
    return bytes(turned)


def _dji(file: str, thermal: Thermal) -> np.ndarray:
    """Return degrees celsius (h, w) of a file of DJI."""
    import dji_thermal_cli as dji

    celsius = None if thermal.reflected is None else thermal.reflected - UNITS[str(thermal.unit)] + UNITS["celsius"]
    settings = dji.Settings(
        emissivity=thermal.emissivity,
        reflected_temp=celsius,
        humidity=None if thermal.humidity is None else 100 * thermal.humidity,
        **({} if thermal.distance is None else {"distance": thermal.distance}),
    )
    measured = np.asarray(dji.measure(file, settings).temperature)
    return np.where(measured > NO_DATA, measured, np.nan)


def _hikmicro(file: str, thermal: Thermal) -> np.ndarray:
    """Refuse a file of HIKMICRO: readers of others draw a line between the two ends of its scale, image by image."""
    raise PairError("HIKMICRO publishes no way from its counts to temperatures")


READERS: dict[str, Callable[[str, Thermal], np.ndarray]] = {
    "FLIR": _flir,
    "DJI": _dji,
    "HIKMICRO": _hikmicro,
    "Hikvision": lambda file, _: hikvision.celsius(Path(file).read_bytes()),
    "Seek": lambda file, _: seek.celsius(Path(file).read_bytes()),
}
VISIBLE = {"Hikvision": hikvision.visible, "Seek": seek.visible}  # image (H, W, 3) uint8, B, G, R, in the same file
