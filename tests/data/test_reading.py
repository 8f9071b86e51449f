"""Reading of image files of every kind, and the checks on them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from ultralytics.utils import checks

from metafusion_yolo.data import decoding, reading
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import compare_sizes
from metafusion_yolo.data.reading import PairReader, check_image, image_size, read_counts, read_visible
from metafusion_yolo.data.registration import warp_infrared
from metafusion_yolo.data.rig import Rig

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def rgb() -> np.ndarray:
    """Smooth colours, which survive a JPEG; the upper left is red."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.dstack((220 - 4 * y, 40 + 3 * x, 20 + 2 * y + x)).astype(np.uint8)


@pytest.fixture
def grey(rgb) -> np.ndarray:
    return np.ascontiguousarray(rgb[..., 1])


@pytest.fixture
def counts() -> np.ndarray:
    """A scene of a 14-bit sensor with 244 levels."""
    return np.random.default_rng(0).permutation(np.arange(7000, 7244).repeat(10)[:2400]).reshape(HEIGHT, WIDTH)


def save(file: Path, array: np.ndarray, **options) -> Path:
    Image.fromarray(array).save(file, **options)
    return file


def save_as(image: Image.Image, file: Path, **options) -> Path:
    image.save(file, **options)
    return file


# Visible -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".PNG"])
def test_colours_come_as_r_g_b(tmp_path, rgb, suffix):
    np.testing.assert_array_equal(read_visible(save(tmp_path / f"v{suffix}", rgb)), rgb)


def test_jpeg_is_close(tmp_path, rgb):
    file = save(tmp_path / "v.jpg", rgb, quality=95)
    assert np.abs(read_visible(file).astype(int) - rgb).max() <= 12


def test_grey_visible_image_has_three_equal_planes(tmp_path, grey):
    np.testing.assert_array_equal(read_visible(save(tmp_path / "v.png", grey)), np.dstack([grey] * 3))


def test_alpha_is_dropped(tmp_path, rgb, grey):
    file = save(tmp_path / "v.png", np.dstack((rgb, grey)))
    np.testing.assert_array_equal(read_visible(file), rgb)


def test_palette_is_applied(tmp_path, rgb):
    image = Image.fromarray(rgb).quantize(16)
    image.save(tmp_path / "v.png")
    np.testing.assert_array_equal(read_visible(tmp_path / "v.png"), np.asarray(image.convert("RGB")))


def test_16_bit_visible_image_keeps_the_high_byte(tmp_path, rgb):
    cv2.imwrite(str(tmp_path / "v.png"), rgb[..., ::-1].astype(np.uint16) * 256 + 77)
    np.testing.assert_array_equal(read_visible(tmp_path / "v.png"), rgb)


@pytest.mark.parametrize("suffix", [".webp", ".jp2", ".avif", ".heic"])
def test_other_formats_are_close(tmp_path, rgb, suffix):
    file = tmp_path / f"v{suffix}"
    Image.fromarray(rgb).save(file, format="AVIF" if suffix == ".heic" else None, quality=95)
    assert np.abs(read_visible(file).astype(int) - rgb).max() <= 12
    assert check_image(str(file), read_visible) == image_size(file) == (WIDTH, HEIGHT)


def test_ink_becomes_colours(tmp_path, rgb):
    file = save_as(Image.fromarray(rgb).convert("CMYK"), tmp_path / "v.jpg", quality=95)
    assert np.abs(read_visible(file).astype(int) - rgb).max() <= 12


def test_1_bit_is_black_and_white(tmp_path, grey):
    for suffix in (".png", ".tif"):
        file = save_as(Image.fromarray(grey).convert("1"), tmp_path / f"v{suffix}")
        assert {*np.unique(read_visible(file))} == {*np.unique(read_counts(file))} == {0, 255}


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("suffix", ["png", "tif", "jp2"])
def test_bits_of_the_camera_are_those_of_its_folder(tmp_path, rgb, bits, suffix, caplog):
    bright = rgb.astype(np.uint16) << (bits - 8)
    for name, image in (("a", bright), ("dark", bright // 8)):
        cv2.imwrite(str(tmp_path / f"{name}.{suffix}"), image[..., ::-1])
    np.testing.assert_array_equal(read_visible(tmp_path / f"a.{suffix}"), rgb)
    np.testing.assert_array_equal(read_visible(tmp_path / f"dark.{suffix}"), rgb // 8)  # is not brightened
    said = [record.message for record in caplog.records if "of 16 bits" in record.message]
    assert len(said) == 1
    assert said[0].endswith(f"in '{tmp_path}' use {bits} of them, and are read as {bits} bits")


def test_few_levels_are_said_once(tmp_path, rgb, grey, caplog):
    visible, infrared = save(tmp_path / "v.png", rgb), tmp_path / "ir.png"
    cv2.imwrite(str(infrared), (grey // 32).astype(np.uint8))
    reader = PairReader()
    for _ in range(2):
        reader.read(visible, infrared)
    said = [record.message for record in caplog.records if "levels" in record.message]
    assert len(said) == 1
    assert re.search(r"infrared images with \d of 256 levels; metafusion data check lists all such", said[0])


def test_8_bits_among_14_have_a_range_of_their_own(tmp_path, rgb, grey, counts, caplog):
    visible = save(tmp_path / "v.png", rgb)
    (tmp_path / "ir").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"ir/{i}.png"), counts.astype(np.uint16))
    cv2.imwrite(str(tmp_path / "ir/3.png"), grey)
    reader = PairReader(Rig.from_yaml({"thermal": {"scope": "sequence"}}))
    plane = reader.read(visible, tmp_path / "ir/3.png")[..., 3]
    np.testing.assert_array_equal(plane, PairReader().read(visible, tmp_path / "ir/3.png")[..., 3])
    assert len(np.unique(plane)) == len(np.unique(grey))
    assert sum("8 bits among deeper ones" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_turned_jpeg_comes_upright(tmp_path, rgb, orientation, turn):
    exif = Image.Exif()
    exif[274] = orientation
    file = save(tmp_path / "v.jpg", rgb, exif=exif, quality=95)
    upright = np.rot90(rgb, turn)
    image = read_visible(file)
    assert image.shape == upright.shape
    assert check_image(str(file), read_visible) == image_size(file) == upright.shape[1::-1]
    assert np.abs(image.astype(int) - upright).max() <= 12
    pair = PairReader().read(file, save(tmp_path / "ir.png", np.ascontiguousarray(upright[..., 1])))
    np.testing.assert_array_equal(pair[..., 3], upright[..., 1])


# Infrared ------------------------------------------------------------------------------------------------------------
def test_8_bit_infrared_image_is_unchanged(tmp_path, grey):
    np.testing.assert_array_equal(read_counts(save(tmp_path / "ir.png", grey)), grey)


def test_three_channel_infrared_image_becomes_grey(tmp_path, rgb, grey):
    np.testing.assert_array_equal(read_counts(save(tmp_path / "ir.png", np.dstack([grey] * 3))), grey)
    expected = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_counts(save(tmp_path / "c.png", rgb)) - expected).max() <= 1


def test_alpha_and_palette_infrared_images_become_grey(tmp_path, grey):
    opaque = np.full_like(grey, 255)
    np.testing.assert_array_equal(read_counts(save(tmp_path / "la.png", np.dstack((grey, opaque)))), grey)
    Image.fromarray(grey // 16 * 16).quantize(16).save(tmp_path / "p.png")
    assert np.abs(read_counts(tmp_path / "p.png").astype(int) - grey // 16 * 16).max() <= 1


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [
        ("ir.png", np.uint16, 1),
        ("ir.png", np.uint16, 3),
        ("ir.tif", np.uint16, 1),
        ("ir.TIFF", np.uint16, 1),
        ("ir.tif", np.uint16, 3),
        ("ir.tif", np.int16, 1),
        ("ir.tif", np.int32, 1),
        ("ir.tif", np.float32, 1),
        ("ir.tif", np.float32, 3),
        ("ir.tif", np.float64, 1),
        ("ir.tif", np.float64, 3),
    ],
)
def test_deep_infrared_image_keeps_its_levels(tmp_path, counts, name, dtype, channels):
    file = tmp_path / name
    assert cv2.imwrite(str(file), np.dstack([counts] * channels).astype(dtype))
    image = read_counts(file)
    kept = np.float32 if channels == 3 and dtype == np.float64 else dtype  # OpenCV converts no doubles to grey
    assert image.dtype == kept
    np.testing.assert_allclose(image, counts, atol=1e-3 if channels == 3 else 0)
    assert check_image(str(file), read_counts) == image_size(file) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("name", ["a b.png", "ночь ß.png"])
def test_names_with_spaces_and_unicode_are_read(tmp_path, grey, name):
    file = save(tmp_path / name, grey)
    np.testing.assert_array_equal(PairReader().read(file, file)[..., 3], grey)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1), (1, HEIGHT, WIDTH)])
def test_array_file_is_read_as_it_is(tmp_path, counts, dtype, shape):
    file = tmp_path / "ir.npy"
    np.save(file, counts.astype(dtype).reshape(shape))
    image = read_counts(file)
    assert image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(image, counts.astype(dtype))
    assert check_image(str(file), read_counts) == image_size(file) == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5, 3)), r"holds an array \(4, 5, 3\); save one plane, \(H, W\), with numpy.save"),
        (np.zeros(4), "holds no image; save an"),
        (np.zeros((0, 5)), "holds no image"),
        (np.zeros((4, 5), complex), "holds no image"),
        (np.array([["a"]]), "holds no image"),
        (np.array([[{}]], object), "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_array_file_that_is_no_image_is_named(tmp_path, array, message):
    file = tmp_path / "ir.npy"
    if array is None:
        file.write_bytes(b"no array")
    else:
        np.save(file, array, allow_pickle=True)
    with pytest.raises(PairError, match=rf"^'{file}' {message}") as caught:
        read_counts(file)
    assert "\n" not in str(caught.value)


# A rig ---------------------------------------------------------------------------------------------------------------
def reader(off: str = "", **keys) -> PairReader:
    return PairReader(Rig.from_yaml(keys), off)


def test_file_and_array_are_normalised_alike(tmp_path, rgb, counts):
    visible = save(tmp_path / "v.png", rgb)
    deep = counts.astype(np.uint16)
    np.save(tmp_path / "ir.npy", deep)
    fixed = reader(thermal={"normalize": "fixed", "range": [7000, 7255], "invert": True})
    for name in ("ir.png", "ir.tif"):
        cv2.imwrite(str(tmp_path / name), deep)
    for name in ("ir.png", "ir.tif", "ir.npy"):
        np.testing.assert_array_equal(fixed.read(visible, tmp_path / name)[..., 3], 255 - (counts - 7000))
    np.testing.assert_array_equal(fixed.stack(rgb, deep)[..., 3], 255 - (counts - 7000))


def test_8_bits_do_not_fit_a_range_of_counts(tmp_path, rgb, grey):
    files = str(save(tmp_path / "v.png", rgb)), str(save(tmp_path / "ir.png", grey))
    fixed = reader(thermal={"normalize": "fixed", "range": [7000, 9000]})
    message = r"the infrared image has 8 bits, but 'thermal: range: \[7000, 9000\]' is of counts"
    with pytest.raises(PairError, match=rf"^'{files[0]}' and '{files[1]}': {message}"):
        fixed.read(*files)
    assert re.search(message, fixed.check(*files)[0])


@pytest.mark.parametrize("pairing", ["infrared", {"from": "_co", "to": "_ir"}])
def test_limits_of_a_sequence_are_those_of_its_folder(tmp_path, rgb, pairing):
    (tmp_path / "b").mkdir()
    for i in range(40):
        np.save(tmp_path / f"{i:02d}_ir.npy", np.full((9, 9), 7000 + i, np.uint16))
    np.save(tmp_path / "b" / "0_ir.npy", np.full((9, 9), 5, np.uint16))
    np.save(tmp_path / "x_co.npy", np.full((9, 9), 0, np.uint16))  # of the other camera
    sequence = reader(infrared=pairing, thermal={"normalize": "minmax", "scope": "sequence"})
    assert sequence.limits_of(tmp_path / "07_ir.npy") == (7000, 7039)  # of images spread over the folder
    assert sequence.limits_of(tmp_path / "b" / "0_ir.npy") == (5, 5)
    assert reader().limits_of(tmp_path / "07_ir.npy") is None


def test_limits_of_a_sequence_are_taken_once(tmp_path, rgb, monkeypatch):
    visible = save(tmp_path / "v.png", np.ascontiguousarray(rgb[:9, :9]))
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.full((9, 9), 102 * i, np.uint16))
    sequence = reader(thermal={"normalize": "minmax", "scope": "sequence"})
    assert [int(sequence.read(visible, tmp_path / f"{i}.npy")[0, 0, 3]) for i in range(3)] == [0, 128, 255]
    monkeypatch.setattr(reading, "read_counts", lambda _: pytest.fail("read again"))
    assert sequence.limits_of(tmp_path / "1.npy") == (0, 204)


def test_registered_infrared_image_lies_over_the_visible_one(rgb, grey):
    there = np.array([[1.0, 0, 7], [0, 1, -4], [0, 0, 1]])
    pair = reader(registration=there.tolist()).stack(rgb, grey)
    np.testing.assert_array_equal(pair[: HEIGHT - 4, 7:, 3], grey[4:, : WIDTH - 7])
    luminance = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(pair[:, :7, 3], luminance[:, :7])  # no edge that no object has
    np.testing.assert_array_equal(pair[HEIGHT - 4 :, :, 3], luminance[HEIGHT - 4 :])
    np.testing.assert_array_equal(pair[..., :3], rgb)


def test_registration_undoes_a_warp_between_cameras_of_other_shapes(rgb, grey):
    there = np.array([[0.62, 0.02, 3.0], [-0.02, 0.6, 2.0], [1e-4, 0, 1]])
    infrared = cv2.warpPerspective(grey, np.linalg.inv(there), (90, 50), flags=cv2.INTER_LINEAR)
    back = reader(registration=there.tolist()).stack(rgb, infrared)[..., 3]
    inside = cv2.warpPerspective(np.full((50, 90), 255, np.uint8), there, (WIDTH, HEIGHT)) == 255
    assert inside.mean() > 0.5
    assert np.abs(back.astype(int) - grey)[inside].max() <= 6


def test_registered_sizes_are_no_problem(tmp_path, rgb, grey):
    files = [save(tmp_path / "v.png", rgb), save(tmp_path / "ir.png", np.ascontiguousarray(grey[:, ::2]))]
    assert PairReader().check(*map(str, files))[0]
    assert reader(registration=np.eye(3).tolist()).check(*map(str, files)) == ("", "")


def test_registration_of_the_sequence_is_taken(tmp_path, rgb, grey):
    rig = {"registration": {"sequences": {"a": [[1, 0, 5], [0, 1, 0], [0, 0, 1]]}}}
    for name, expected in (("a", grey[:, : WIDTH - 5]), ("b", grey[:, 5:])):
        (tmp_path / name).mkdir()
        visible, infrared = save(tmp_path / name / "v.png", rgb), save(tmp_path / name / "ir.png", grey)
        np.testing.assert_array_equal(reader(**rig).read(visible, infrared)[:, 5:, 3], expected)


@pytest.mark.parametrize("visible", ["scene", "black"])
@pytest.mark.parametrize("level", [0, 90])
def test_registered_camera_that_shows_nothing_stays_even(rgb, visible, level):
    image = rgb if visible == "scene" else np.zeros_like(rgb)
    shifted = warp_infrared(
        image, np.full((HEIGHT, WIDTH), level, np.uint8), np.array([[1.0, 0, 7], [0, 1, 0], [0, 0, 1]])
    )
    assert (shifted == level).all()


@pytest.mark.parametrize("registration", [None, [[1, 0, 7], [0, 1, 0], [0, 0, 1]]])
def test_camera_that_is_off_shows_nothing_and_nowhere(rgb, grey, registration):
    keys = {"registration": registration, "thermal": {"invert": True}}
    blind = reader("visible", **keys).stack(rgb, grey)
    assert not blind[..., :3].any()
    outside = blind[:, :7, 3] if registration else blind[:, :0, 3]
    assert len(np.unique(outside)) <= 1  # nothing of the visible image
    cold = reader("infrared", **keys).stack(rgb, grey)
    assert not cold[..., 3].any()
    np.testing.assert_array_equal(cold[..., :3], rgb)


# Sizes ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("infrared", "problem", "warning"),
    [
        ((640, 480), False, False),
        ((320, 240), False, True),
        ((640, 512), True, False),
        ((480, 640), True, False),
        ((649, 480), False, True),  # 1.4 %
        ((631, 480), False, True),
        ((654, 480), True, False),  # 2.2 %
        ((626, 480), True, False),
    ],
)
def test_sizes_may_differ_if_the_shapes_agree_within_2_percent(infrared, problem, warning):
    texts = compare_sizes((640, 480), infrared, "'v.png' and 'ir.png'")
    assert tuple(map(bool, texts)) == (problem, warning)
    for text in filter(None, texts):
        assert text.startswith("'v.png' and 'ir.png' have different sizes (640x480 and ")


def test_smaller_infrared_image_is_resized(rgb, grey):
    small = cv2.resize(grey, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    pair = PairReader().stack(rgb, small)
    assert (pair.shape, pair.dtype) == ((HEIGHT, WIDTH, 4), np.uint8)
    np.testing.assert_array_equal(pair[..., :3], rgb)
    assert np.abs(pair[..., 3].astype(int) - grey).max() <= 3


def test_infrared_image_of_another_shape_is_refused(rgb, grey):
    with pytest.raises(PairError, match=r"^'x' and 'y' have different sizes \(60x40 and 30x40\) and shapes; register"):
        PairReader().stack(rgb, grey[:, ::2], "x", "y")
    with pytest.raises(PairError, match=r"^the two images have different sizes \(60x40 and 30x40\) and shapes; reg"):
        PairReader().stack(rgb, grey[:, ::2])


def test_no_infrared_image_leaves_the_plane_blank(tmp_path, rgb):
    pair = PairReader().read(save(tmp_path / "v.png", rgb), None)
    np.testing.assert_array_equal(pair[..., :3], rgb)
    assert not pair[..., 3].any()


def test_real_pairs_are_read(tno):
    for visible in sorted((tno / "images").iterdir()):
        infrared = tno / "infrared" / visible.name
        assert PairReader().check(str(visible), str(infrared)) == ("", "")
        with Image.open(visible) as image:
            assert PairReader().read(visible, infrared).shape == (*image.size[::-1], 4)


# Broken files --------------------------------------------------------------------------------------------------------
@pytest.fixture
def pair(tmp_path, rgb, grey) -> tuple[Path, Path]:
    return save(tmp_path / "v.png", rgb), save(tmp_path / "ir.png", grey)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
@pytest.mark.parametrize("camera", ["visible", "infrared"])
def test_truncated_file_is_named(tmp_path, rgb, pair, truncate, suffix, camera):
    noisy = np.random.default_rng(0).integers(0, 256, rgb.shape, np.uint8)
    file = truncate(save(tmp_path / f"broken{suffix}", noisy))
    files = (file, pair[1]) if camera == "visible" else (pair[0], file)
    problem, warning = PairReader().check(*map(str, files))
    assert problem.startswith(f"'{file}' cannot be read")
    assert problem.endswith("; restore the file or remove the pair")
    assert not warning


@pytest.mark.parametrize("tail", [1, 8, 200])
def test_jpeg_that_lacks_only_its_end_is_noticed(tmp_path, rgb, tail):
    file = save(tmp_path / "v.jpg", np.random.default_rng(0).integers(0, 256, rgb.shape, np.uint8))
    file.write_bytes(file.read_bytes()[:-tail])
    assert PairReader().check(str(file), str(file))[0]


@pytest.mark.parametrize("camera", [0, 1])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\); restore the file or remove the pair"),
        (b"no image", "cannot be read .*; restore the file or remove the pair"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read .*; restore the file or remove the pair"),
        (None, "does not exist; restore the file or take it off the list"),
    ],
)
def test_file_that_is_no_image_is_named(pair, camera, content, message, monkeypatch):
    monkeypatch.setattr(checks, "check_requirements", lambda *_: pytest.fail("must not install anything"))
    pair[camera].unlink()
    if content is not None:
        pair[camera].write_bytes(content)
    problem, _ = PairReader().check(*map(str, pair))
    assert re.fullmatch(rf"'{re.escape(str(pair[camera]))}' {message}", problem)


def test_header_of_far_too_many_pixels_is_named_by_every_reader(tmp_path, rgb):
    file = save(tmp_path / "huge.bmp", rgb)
    content = bytearray(file.read_bytes())
    content[18:26] = (2**31 - 1).to_bytes(4, "little") * 2  # width and height
    file.write_bytes(content)
    for read in (lambda f: check_image(str(f), read_visible), image_size, read_visible, decoding.read_stack):
        with pytest.raises(PairError, match=r"'.*huge\.bmp' cannot be read.*; restore the file or remove the pair"):
            read(file)


@pytest.mark.parametrize("raised", [SyntaxError, struct.error, Image.DecompressionBombError, NotImplementedError])
def test_what_decoders_raise_is_a_damaged_file_and_a_bug_of_ours_is_not(pair, monkeypatch, raised):
    readers = decoding.pages_of, lambda f: check_image(f, read_visible), image_size, decoding.read_stack
    for error in (raised, AttributeError, TypeError):
        monkeypatch.setattr(decoding, "open_image", lambda _, error=error: (_ for _ in ()).throw(error("odd")))
        for read in readers:
            expected = error if error is not raised else PairError
            if expected is PairError and read is decoding.pages_of:
                assert read(str(pair[0])) == [0]
                continue
            with pytest.raises(expected, match="odd"):
                read(str(pair[0]))


@pytest.mark.parametrize("read", [read_visible, read_counts])
@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_readers_name_the_file(tmp_path, read, content):
    file = tmp_path / "broken.png"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PairError, match=r"broken\.png' cannot be read as an image; restore the file"):
        read(file)


def test_sound_pair_has_no_problem(pair):
    assert PairReader().check(*map(str, pair)) == ("", "")
