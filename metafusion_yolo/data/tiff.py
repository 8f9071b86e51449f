"""Headers of TIFF files as GIS tools, labs and cameras write them, and what OpenCV would silently get wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.registration import Size
from metafusion_yolo.nn import NUM_CHANNELS

SUFFIXES = (".tif", ".tiff")
WITH_HEADER = (*SUFFIXES, ".dng")
REDUCED, NODATA = 254, 42113  # tags: whether a page is a smaller copy; GDAL's value for no data
WHITE_IS_0, GREY, RGB = 0, 1, 2  # meanings of the samples, tag 262
NOT_READ = {8: "CIE L*a*b* colours", 9: "CIE L*a*b* colours", 10: "CIE L*a*b* colours", 32803: "raw data of a sensor",
            34892: "raw data of a sensor"}  # fmt: skip
HALF = 16  # bits of a fraction, which OpenCV cannot read
ALPHA = 2  # kind of an extra sample
OTHER_ENDS = {5, 6, 7, 8}  # orientations that exchange width and height


class Header(NamedTuple):
    """What a TIFF says of a page.

    Attributes:
        size: Width and height of the upright image.
        meaning: Of the samples, tag 262.
        bands: Samples of a pixel.
        bits: Of a sample.
        fractions: Whether samples are floating-point numbers.
        apart: Whether each band has a plane of its own.
        alpha: Whether a band is an opacity that the colours are not multiplied by.
        reduced: Whether the page is a smaller copy.
        nodata: What GDAL declares as no data; empty if it does not.
    """

    size: Size
    meaning: int
    bands: int
    bits: int
    fractions: bool
    apart: bool
    alpha: bool
    reduced: bool
    nodata: str


def headers(file: str | Path) -> Iterator[Header]:
    """Yield the header of each page; nothing for a file that is not a TIFF.

    Raises:
        PairError: If the file breaks off.
    """
    path, number = Path(file), 0
    with path.open("rb") as stream:
        start = stream.read(8)
        start += stream.read(8) if start[2:4] in (b"\x2b\0", b"\0\x2b") else b""  # BigTIFF
        try:
            tags = ImageFileDirectory_v2(start)
            order, wide = ("little" if start[:2] == b"II" else "big"), len(start) > 8
        except (SyntaxError, IndexError, struct.error):
            return
        size = path.stat().st_size
        seen: set[int] = set()
        while tags.next and tags.next not in seen:
            number += 1
            seen.add(tags.next)
            stream.seek(tags.next)
            count = int.from_bytes(stream.read(8 if wide else 2), order)  # type: ignore[arg-type]
            whole = count and stream.tell() + count * (20 if wide else 12) <= size
            if whole:
                stream.seek(tags.next)
                tags.load(stream)
                whole = {ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength} <= {*tags}
            if not whole:
                raise PairError(f"'{file}' breaks off at page {number}; restore the file or remove the pair")
            yield _header(tags)


def _header(tags: ImageFileDirectory_v2) -> Header:
    def first(tag: int, default: int) -> int:
        value = tags.get(tag, default)
        return int(value[0] if isinstance(value, tuple) else value)

    width, height = first(ExifTags.Base.ImageWidth, 0), first(ExifTags.Base.ImageLength, 0)
    turned = first(ExifTags.Base.Orientation, 1) in OTHER_ENDS
    extra = tags.get(ExifTags.Base.ExtraSamples, ())
    return Header(
        size=(height, width) if turned else (width, height),
        meaning=first(ExifTags.Base.PhotometricInterpretation, GREY),
        bands=first(ExifTags.Base.SamplesPerPixel, 1),
        bits=first(ExifTags.Base.BitsPerSample, 1),
        fractions=first(ExifTags.Base.SampleFormat, 1) == 3,
        apart=first(ExifTags.Base.PlanarConfiguration, 1) == 2,
        alpha=ALPHA in (extra if isinstance(extra, tuple) else (extra,)),
        reduced=bool(first(REDUCED, 0) & 1),
        nodata=str(tags.get(NODATA, "")).strip("\0 "),
    )


def problem(header: Header, visible: bool) -> str:
    """Return why an image cannot be read correctly, and what to do; empty if it can.

    Args:
        header: That of the image.
        visible: Whether it is read as colours, rather than as one plane.
    """
    bands, colours = header.bands, header.meaning not in (WHITE_IS_0, GREY)
    whose = "R, G and B" if visible else "the infrared one"
    cases = (
        (header.meaning in NOT_READ, f"holds {NOT_READ.get(header.meaning)}; save R, G, B"),
        (header.reduced, "shows a preview of its raw data; develop it to a TIFF or PNG"),
        (header.fractions and header.bits == HALF, "holds fractions of 16 bits; save them with 32"),
        (bands > NUM_CHANNELS, f"has {bands} bands; save {whose} alone (gdal_translate -b)"),
        (not visible and bands > 1 and not colours, f"has {bands} bands; save {whose} alone (gdal_translate -b)"),
        (
            bands > 1 and header.apart and header.bits > 8,
            f"keeps its {bands} bands apart; save them together (gdal_translate -co INTERLEAVE=PIXEL)",
        ),
        (
            bands == 2 or (bands > 1 and not colours and header.bits == 8),
            f"has {bands} bands that it does not call colours; save R, G, B (gdal_translate -co PHOTOMETRIC=RGB)",
        ),
    )
    return next((text for found, text in cases if found), "")
