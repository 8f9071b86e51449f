"""Radiometric JPEG files: one built to the layout of FLIR's, with known temperatures, and real ones where there are."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.radiometric import maker_of
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.thermal import Thermal
from tests.conftest import SHARED

R1, R2, B, F, O = 14906.216, 0.010956882, 1396.5, 1.0, -7261  # noqa: E741 - Planck constants as FLIR names them
REAL = sorted((SHARED / "radiometric").glob("*.[jJ][pP]*[gG]"))


def radiance(kelvin: np.ndarray | float) -> np.ndarray:
    """Return the signal of a black body, in counts."""
    return R1 / (R2 * (np.exp(B / kelvin) - F)) - O


def write_flir(
    file: Path,
    celsius: np.ndarray,
    emissivity: float = 1.0,
    reflected: float = 20.0,
    turn: int = 1,
    order: str = ">",
) -> Path:
    """Write a radiometric JPEG to the layout that ExifTool documents: FFF records in APP1 segments.

    The list of records is big-endian, or little-endian with two of them alone, as in files of DJI's XT and XT2.
    """
    height, width = celsius.shape
    signal = emissivity * radiance(celsius + 273.15) + (1 - emissivity) * radiance(reflected + 273.15)
    counts = np.round(signal).astype("<u2")
    raw = struct.pack("<HHH26x", 2, width, height) + counts.tobytes()
    camera = bytearray(900)
    struct.pack_into("<6f", camera, 32, emissivity, 0.0, reflected + 273.15, 293.15, 293.15, 1.0)
    struct.pack_into("<f", camera, 60, 0.5)
    struct.pack_into("<3f", camera, 88, R1, B, F)
    struct.pack_into("<5f", camera, 112, 0.006569, 0.01262, -0.002276, -0.00667, 1.9)
    struct.pack_into("<if", camera, 776, O, R2)
    listed = [(1, raw), (32, bytes(camera))] + [(0, b"")] * (2 * (order == ">"))
    records, offset, body = b"", 64 + 32 * len(listed), b""
    for kind, data in listed:
        records += struct.pack(f"{order}HHIIIIIII", kind, 2, 100, 1, offset + len(body), len(data), 0, 0, 0)
        body += data
    fff = struct.pack(f"{order}4s16sIII32x", b"FFF\0", b"TEST", 101, 64, len(listed)) + records + body
    parts = [fff[i : i + 60000] for i in range(0, len(fff), 60000)]
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", len(part) + 10) + b"FLIR\0\x01" + bytes((i, len(parts) - 1)) + part
        for i, part in enumerate(parts)
    )
    preview, tags = io.BytesIO(), Image.Exif()
    tags[274] = turn
    Image.new("RGB", (2 * width, 2 * height), (90, 60, 200)).save(preview, "JPEG", exif=tags)
    whole = preview.getvalue()
    file.write_bytes(whole[:2] + segments + whole[2:])
    return file


@pytest.fixture
def scene() -> np.ndarray:
    """Degrees celsius, -15 to 120, (120, 160)."""
    return np.random.default_rng(0).uniform(-15, 120, (120, 160))


def measured(file: Path, **thermal) -> np.ndarray:
    reader = PairReader(Rig(thermal=Thermal(**{"unit": "celsius", **thermal})))
    return reader.rig.thermal.temperatures(reader.counts(file))


@pytest.mark.parametrize(("emissivity", "order"), [(1.0, ">"), (0.9, ">"), (0.7, "<")])
def test_temperatures_are_within_a_tenth_of_the_truth(tmp_path, scene, emissivity, order):
    pytest.importorskip("flyr")
    file = write_flir(tmp_path / "1.jpg", scene, emissivity, order=order)
    assert maker_of(file) == "FLIR"
    assert np.abs(measured(file) - scene).max() < 0.1
    assert np.abs(measured(file, unit="kelvin") - scene - 273.15).max() < 0.1
    assert np.abs(measured(file, scale=0.5, offset=3.0) - scene).max() < 0.1  # they are not of these files


@pytest.mark.parametrize(("unit", "reflected"), [("celsius", -5.0), ("kelvin", 268.15)])
def test_what_the_file_says_of_the_scene_can_be_replaced(tmp_path, scene, unit, reflected):
    pytest.importorskip("flyr")
    file = write_flir(tmp_path / "1.jpg", scene, emissivity=0.8, reflected=-5.0)
    wrong = file.read_bytes().replace(struct.pack("<3f", 0.8, 0.0, 268.15), struct.pack("<3f", 1.0, 0.0, 293.15))
    file.write_bytes(wrong)
    zero = 273.15 if unit == "kelvin" else 0
    assert np.abs(measured(file, unit=unit) - scene - zero).max() > 1
    assert np.abs(measured(file, unit=unit, emissivity=0.8, reflected=reflected) - scene - zero).max() < 0.1


def test_the_measurement_is_turned_as_its_preview_is(tmp_path, scene):
    pytest.importorskip("flyr")
    upright = measured(write_flir(tmp_path / "1.jpg", scene, turn=6))
    assert np.abs(upright - np.rot90(scene, -1)).max() < 0.1


def test_a_preview_is_not_taken_for_the_measurement_without_a_word(tmp_path, scene, caplog):
    file = write_flir(tmp_path / "1.jpg", scene)
    counts = PairReader(Rig()).counts(file)
    assert (counts.dtype, counts.shape) == (np.uint8, (240, 320))
    assert "preview of 8 bits is read from a radiometric file of FLIR" in caplog.text


def test_a_damaged_measurement_is_an_error_of_one_line(tmp_path, scene):
    pytest.importorskip("flyr")
    file = write_flir(tmp_path / "1.jpg", scene)
    file.write_bytes(file.read_bytes().replace(b"FFF\0TEST" + 12 * b"\0" + struct.pack(">III", 101, 64, 4), bytes(32)))
    with pytest.raises(PairError, match=r"temperatures of '.*' cannot be read \(flyr: .*leave 'thermal: unit:' out"):
        measured(file)


def test_ordinary_files_have_no_maker(tmp_path):
    for name in ("1.jpg", "1.png", "1.tiff"):
        Image.new("L", (8, 8)).save(tmp_path / name)
        assert maker_of(tmp_path / name) == ""
    assert maker_of(tmp_path / "none.jpg") == ""
    image = Image.new("L", (8, 8))
    image.getexif()[ExifTags.Base.Make] = "DJI"
    image.save(tmp_path / "2.jpg", exif=image.getexif())
    assert maker_of(tmp_path / "2.jpg") == ""
    plain = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(plain[:2] + b"\xff\xe3\0\6\1\2\3\4" + plain[2:])
    assert maker_of(tmp_path / "3.jpg") == "DJI"
    (tmp_path / "4.jpg").write_bytes(plain[:9])
    assert maker_of(tmp_path / "4.jpg") == ""


@pytest.mark.skipif(not REAL, reason=f"no radiometric files in '{SHARED / 'radiometric'}'")
@pytest.mark.parametrize("file", REAL, ids=lambda file: file.name)
def test_real_files_are_as_their_reader_has_them(file):
    if maker_of(file) == "FLIR":
        flyr = pytest.importorskip("flyr")
        try:
            expected = flyr.unpack(str(file)).celsius
        except KeyError:
            pytest.skip("its reader alone does not read files of the XT and XT2")
    else:
        expected = pytest.importorskip("dji_thermal_cli").measure(file).temperature
    assert np.abs(measured(file) - expected).max() < 0.1
