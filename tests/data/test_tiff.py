"""TIFF files as GIS tools, labs and cameras write them: read as they are meant, or refused by what they hold."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from metafusion_yolo.data.decoding import check_image, image_size, pages_of, read_counts, read_visible
from metafusion_yolo.data.pairs import PairError

COLOURS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
GREY = COLOURS[..., 0]
DEEP = GREY.astype(np.uint16) * 8 + 7000
RAW = {"photometric": "minisblack", "planarconfig": "contig"}


def write(folder: Path, image: np.ndarray, **options) -> Path:
    file = folder / "image.tif"
    tifffile.imwrite(file, image, **{"metadata": None, "photometric": "rgb" if image.ndim == 3 else None, **options})
    return file


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (COLOURS, {}),
        (COLOURS, {"compression": "zlib", "predictor": True}),
        (COLOURS, {"bigtiff": True, "byteorder": ">"}),
        (COLOURS, {"tile": (32, 32)}),
        (np.moveaxis(COLOURS, 2, 0), {"planarconfig": "separate"}),
        (np.dstack((COLOURS, GREY)), {"extrasamples": ["unassalpha"]}),  # OpenCV multiplies the colours by it
        (np.dstack((COLOURS, GREY)), {"extrasamples": ["unspecified"]}),  # such as near infrared
        (COLOURS.astype(">u2") * 257, {"byteorder": ">"}),
        (COLOURS.astype(np.uint16) * 257, {"photometric": "minisblack", "planarconfig": "contig"}),  # GDAL's default
        (np.dstack((COLOURS, GREY)).astype(np.uint16) * 257, RAW),
        (COLOURS / np.float32(255), {}),
        (COLOURS / 255.0, {}),
    ],
)
def test_colours(tmp_path, image, options) -> None:
    np.testing.assert_array_equal(read_visible(write(tmp_path, image, **options)), COLOURS)


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (DEEP, {}),
        (DEEP.astype(">u2"), {"byteorder": ">", "bigtiff": True}),
        (65535 - DEEP, {"photometric": "miniswhite"}),  # OpenCV turns it for 8 bits alone
        (255 - GREY, {"photometric": "miniswhite"}),
        (DEEP.astype(np.int16) - 8000, {}),
        (DEEP.astype(np.uint32), {}),
        (DEEP / np.float32(25), {}),
        (np.dstack([DEEP] * 3), {}),
    ],
)
def test_counts(tmp_path, image, options) -> None:
    counts = read_counts(write(tmp_path, image, **options)).astype(float)
    assert np.corrcoef(counts.ravel(), DEEP.ravel())[0, 1] > 0.99999
    assert len(np.unique(counts)) == len(np.unique(DEEP))


@pytest.mark.parametrize(
    ("read", "image", "options", "message"),
    [
        (read_counts, np.dstack([DEEP] * 2), RAW, r"has 2 bands; save the infrared one alone (gdal_translate -b)"),
        (read_counts, np.dstack([DEEP] * 4), RAW, "has 4 bands; save the infrared one alone"),
        (read_counts, DEEP.astype(np.float16), {}, "holds fractions of 16 bits; save them with 32"),
        (read_visible, np.dstack([COLOURS, GREY, GREY]), {}, "has 5 bands; save R, G and B alone"),
        (
            read_visible,
            COLOURS,
            RAW,
            "has 3 bands that it does not call colours; save R, G, B (gdal_translate -co PHOT",
        ),
        (read_visible, np.dstack([GREY] * 2), RAW, "has 2 bands that it does not call colours"),
        (
            read_visible,
            np.moveaxis(COLOURS, 2, 0).astype(np.uint16),
            {"planarconfig": "separate"},
            "keeps its 3 bands apart; save them together (gdal_translate -co INTERLEAVE=PIXEL)",
        ),
        (read_visible, DEEP, {"photometric": 32803}, "holds raw data of a sensor; save R, G, B"),
        (read_visible, COLOURS, {"subfiletype": 1}, "shows a preview of its raw data; develop it"),
    ],
)
def test_what_opencv_would_spoil_is_refused(tmp_path, read, image, options, message) -> None:
    file = write(tmp_path, image, **options)
    with pytest.raises(PairError, match=re.escape(f"'{file}' {message}")):
        read(file)
    with pytest.raises(PairError):
        check_image(str(file), read)


def test_lab_is_refused(tmp_path) -> None:
    Image.fromarray(COLOURS).convert("LAB").save(tmp_path / "lab.tif")
    with pytest.raises(PairError, match=r"holds CIE L\*a\*b\* colours; save R, G, B"):
        read_visible(tmp_path / "lab.tif")


@pytest.mark.parametrize("nodata", ["0", "-3.4028234663852886e+38"])
def test_no_data_becomes_nan(tmp_path, nodata) -> None:
    image = DEEP if nodata == "0" else DEEP.astype(np.float32)
    image = image.copy()
    image[:5] = float(nodata)
    counts = read_counts(write(tmp_path, image, extratags=[(42113, "s", 0, nodata, True)]))
    assert np.isnan(counts[:5]).all()
    np.testing.assert_array_equal(counts[5:], DEEP[5:])


def test_turned_image_has_one_size(tmp_path) -> None:
    file = write(tmp_path, COLOURS, extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(read_visible(file), np.rot90(COLOURS, -1))
    assert image_size(file) == check_image(str(file), read_visible) == (40, 60)


def pages(file: Path, *images: np.ndarray, **options) -> Path:
    with tifffile.TiffWriter(file) as writer:
        for i, image in enumerate(images):
            writer.write(image, contiguous=False, metadata=None, subfiletype=options.get("reduced", 0) if i else 0)
    return file


def test_pages_of_one_size_are_frames(tmp_path) -> None:
    assert pages_of(pages(tmp_path / "a.tif", DEEP, DEEP, DEEP)) == [0, 1, 2]
    assert pages_of(pages(tmp_path / "b.tif", DEEP, DEEP[::2, ::2], DEEP)) == [0, 2]  # a pyramid
    assert pages_of(pages(tmp_path / "c.tif", DEEP, DEEP, reduced=1)) == [0]


@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_that_are_lost_are_not_passed_over(tmp_path, bigtiff) -> None:
    file = tmp_path / "stack.tif"
    tifffile.imwrite(file, np.stack([DEEP] * 6), metadata=None, bigtiff=bigtiff)
    content = file.read_bytes()
    file.write_bytes(content[: int(0.9 * len(content))])
    with pytest.raises(PairError, match=r"stack\.tif' breaks off at page 2; restore the file or remove the pair"):
        pages_of(file)


def test_other_files_named_tif_are_read_by_what_they_are(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), GREY)
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_counts(tmp_path / "a.tif"), GREY)
    assert image_size(tmp_path / "a.tif") == (60, 40)
    assert pages_of(tmp_path / "a.tif") == [0]
