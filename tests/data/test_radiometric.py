"""Radiometric files: built to the published layouts, with known temperatures, and real ones where there are."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from metafusion_yolo.data.listing import list_images
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.radiometric import maker_of
from metafusion_yolo.data.reading import PairReader, check_image
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.options import Init
from metafusion_yolo.prepare.init import init_dataset
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


def write_hir(file: Path, celsius: np.ndarray, visible: np.ndarray) -> Path:
    """Write a file to the layout that decode_hir documents: screenshot with a thumbnail, temperatures, Y, Cb, Cr."""
    screenshot, thumbnail = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (32, 24), (90, 60, 200)).save(thumbnail, "JPEG")
    Image.effect_noise((320, 240), 90).convert("RGB").save(screenshot, "JPEG", comment=thumbnail.getvalue())
    data = screenshot.getvalue()
    data += bytes((len(data) & 0xFFFFF000) + 0x2000 - len(data))
    data += np.round((celsius + 40) * 64).astype("<u2").tobytes()
    data += bytes(0x10000 - celsius.size * 2)
    file.write_bytes(data + cv2.cvtColor(visible, cv2.COLOR_BGR2YUV_I420).tobytes())
    return file


def answer(celsius: np.ndarray, visible: np.ndarray | None, each: int = 4, head: bytes = b"") -> bytes:
    """Return an answer of Hikvision's ISAPI: JSON, thermal preview, temperatures, and a visible image."""
    height, width = celsius.shape
    values = celsius.astype("<f4" if each == 4 else "<u2").tobytes()
    preview = cv2.imencode(".jpg", np.zeros((height, width), np.uint8))[1].tobytes()
    said = {
        "channel": 2, "jpegPicLen": len(preview), "jpegPicWidth": width, "jpegPicHeight": height,
        "p2pDataLen": len(values), "isFreezedata": False, "temperatureDataLength": each,
    }  # fmt: skip
    parts = [('application/json; charset="UTF-8"', json.dumps({"JpegPictureWithAppendData": said}).encode())]
    parts += [("image/pjpeg", preview), ("application/octet-stream", values)]
    parts += [] if visible is None else [("image/pjpeg", cv2.imencode(".jpg", visible)[1].tobytes())]
    body = b"".join(
        f"--boundary\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n"
        for kind, data in parts
    )
    return head + body + b"--boundary--\r\n"


def photo(width: int, height: int) -> np.ndarray:
    """Return a smooth picture (h, w, 3), B, G, R."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 200 / width, rows * 200 / height, 0 * rows + 120], -1).astype(np.uint8)


HTTP = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/form-data; boundary=boundary\r\n\r\n"


@pytest.mark.parametrize("maker", ["Seek", "Hikvision", "Hikvision with headers"])
def test_files_that_hold_both_images_become_a_data_set(tmp_path, scene, maker):
    folder, seen = tmp_path / "camera", photo(1440, 1080)
    folder.mkdir()
    truth = {}
    for number in range(2):
        heat = truth[f"{number}"] = np.resize(scene + number, (156, 206))
        if maker == "Seek":
            write_hir(folder / f"{number}.HIR", heat, seen)
        else:
            (folder / f"{number}.bin").write_bytes(answer(heat, seen, head=HTTP * maker.endswith("headers")))
        (folder / f"{number}.png").write_bytes(b"not one of them")
    found, _ = init_dataset(
        Init(folder, camera="seek-shot" if maker == "Seek" else "hikvision", dst=tmp_path / "pairs")
    )
    assert len(found.pairing.pairs) == 2
    reader = PairReader(Rig.of_file(found.yaml))
    for visible, infrared in found.pairing.pairs.items():
        image, counts = reader.parts(visible, infrared)
        assert np.abs(reader.rig.thermal.temperatures(counts) - truth[Path(visible).stem]).max() < 0.1
        assert np.abs(image[..., ::-1].astype(int) - seen).max() < 12
    assert reader.rig.thermal.unit == "celsius"


def test_files_that_hold_both_images_are_read_as_infrared_ones_too(tmp_path, scene, caplog):
    heat = np.resize(scene, (156, 206))
    shot = write_hir(tmp_path / "1.hir", heat, photo(1440, 1080))
    (tmp_path / "2.bin").write_bytes(answer(heat, None))
    for file in (shot, tmp_path / "2.bin"):
        assert np.abs(measured(file) - heat).max() < 0.1
        assert np.abs(measured(file, unit="kelvin") - heat - 273.15).max() < 0.1
        assert check_image(str(file), PairReader(Rig(thermal=Thermal(unit="celsius"))).counts) == (206, 156)
    assert PairReader(Rig()).counts(shot).dtype == np.uint8
    assert "preview of 8 bits is read from a radiometric file of Seek" in caplog.text
    assert np.abs(PairReader(Rig()).counts(tmp_path / "2.bin") - heat).max() < 0.1  # there is no preview to take
    measured(shot, emissivity=0.9)
    assert "corrections for emissivity and the like are for files of FLIR and DJI alone" in caplog.text


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("1.hir", lambda whole: whole[:-1], "breaks off, or is not of a Seek Shot"),
        ("1.hir", lambda whole: whole[:900], "breaks off, or is not of a Seek Shot"),
        ("1.bin", lambda whole: whole[: len(whole) // 2], "does not hold 206x156 temperatures"),
        ("1.bin", lambda whole: whole.replace(b'"channel"', b"channel"), "JSON is damaged"),
        ("1.bin", lambda whole: whole.replace(b"p2pDataLen", b"p2pDateLen"), "JSON does not say 'p2pDataLen'"),
        ("1.bin", lambda whole: whole.replace(b'Length": 4', b'Length": 2'), "have 16 bits; set temperatureDataLength"),
    ],
)
def test_a_damaged_file_that_holds_both_images_is_an_error_of_one_line(tmp_path, scene, name, data, said):
    heat, file = np.resize(scene, (156, 206)), tmp_path / name
    whole = write_hir(file, heat, photo(1440, 1080)).read_bytes() if name == "1.hir" else answer(heat, None)
    file.write_bytes(data(whole))
    with pytest.raises(PairError, match=f"temperatures of '.*' cannot be read \\(.*{said}") as raised:
        measured(file)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_taken_apart_is_said(tmp_path, scene):
    (tmp_path / "snap.1").write_bytes(answer(scene, None))
    with pytest.raises(PairError, match=r"holds no visible image; set visiblePicEnabled"):
        init_dataset(Init(tmp_path, camera="hikvision", dst=tmp_path / "pairs"))
    (tmp_path / "snap.2").write_bytes(answer(scene, None))
    with pytest.raises(ValueError, match="'snap' is the name of 2 files"):
        init_dataset(Init(tmp_path, camera="hikvision", dst=tmp_path / "pairs"))
    with pytest.raises(FileNotFoundError, match="no files of Seek in"):
        init_dataset(Init(tmp_path, camera="seek-shot", dst=tmp_path / "pairs"))


def test_files_that_hold_both_images_are_no_visible_ones_which_an_error_says(tmp_path, scene):
    (tmp_path / "1.bin").write_bytes(answer(scene, None))
    for source in (tmp_path, tmp_path / "1.bin"):
        with pytest.raises(FileNotFoundError, match=r"data init camera=hikvision takes what '1.bin' holds apart"):
            list_images(source)


def test_the_palette_of_an_edited_file_is_not_taken_for_temperatures(tmp_path, scene):
    with Image.open(write_flir(tmp_path / "1.jpg", scene)) as image:
        image.save(tmp_path / "2.jpg")  # as a photo program does, which drops the measurement
    assert PairReader().counts(tmp_path / "2.jpg").shape == (240, 320)
    with pytest.raises(PairError, match=r"'.*2.jpg' is in colours, which are no temperatures"):
        measured(tmp_path / "2.jpg", scale=0.5)
    Image.new("RGB", (8, 8), (77, 77, 77)).save(tmp_path / "3.png")
    assert (measured(tmp_path / "3.png", scale=0.5) == 38.5).all()  # grey in three channels


def test_the_preview_of_hikmicro_is_not_taken_for_the_measurement(tmp_path, caplog):
    Image.new("L", (64, 48), 90).save(tmp_path / "1.jpg")
    plain = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(plain + struct.pack("<4s8x2I24x", b"HDRI", 16, 12) + bytes(384))
    assert PairReader(Rig()).counts(tmp_path / "1.jpg").shape == (48, 64)
    assert "radiometric file of HIKMICRO; export TIFF for what it measured" in caplog.text
    with pytest.raises(PairError, match="HIKMICRO publishes no way from its counts to temperatures"):
        measured(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_bytes(plain + b"HDRI by chance, with no size behind it")
    assert maker_of(tmp_path / "2.jpg") == ""
