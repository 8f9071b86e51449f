"""Reading of image files of every kind, and the checks on them."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from ultralytics.utils import checks

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import (
    check_image,
    check_pair,
    compare_sizes,
    read_infrared,
    read_pair,
    read_visible,
    stack_pair,
)

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


def test_visible_image_of_floats_is_refused(tmp_path, rgb):
    file = tmp_path / "v.tif"
    cv2.imwrite(str(file), rgb.astype(np.float32))
    with pytest.raises(PairError, match=r"v\.tif' holds float32 samples; save visible images with 8 or 16 bits"):
        read_visible(file)


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_turned_jpeg_comes_upright(tmp_path, rgb, orientation, turn):
    exif = Image.Exif()
    exif[274] = orientation
    file = save(tmp_path / "v.jpg", rgb, exif=exif, quality=95)
    upright = np.rot90(rgb, turn)
    image = read_visible(file)
    assert image.shape == upright.shape == (*check_image(str(file), read_visible), 3)
    assert np.abs(image.astype(int) - upright).max() <= 12
    pair = read_pair(file, save(tmp_path / "ir.png", np.ascontiguousarray(upright[..., 1])))
    np.testing.assert_array_equal(pair[..., 3], upright[..., 1])


# Infrared ------------------------------------------------------------------------------------------------------------
def test_8_bit_infrared_image_is_unchanged(tmp_path, grey):
    np.testing.assert_array_equal(read_infrared(save(tmp_path / "ir.png", grey)), grey)


def test_three_channel_infrared_image_becomes_grey(tmp_path, rgb, grey):
    np.testing.assert_array_equal(read_infrared(save(tmp_path / "ir.png", np.dstack([grey] * 3))), grey)
    expected = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_infrared(save(tmp_path / "c.png", rgb)) - expected).max() <= 1


def test_alpha_and_palette_infrared_images_become_grey(tmp_path, grey):
    opaque = np.full_like(grey, 255)
    np.testing.assert_array_equal(read_infrared(save(tmp_path / "la.png", np.dstack((grey, opaque)))), grey)
    Image.fromarray(grey // 16 * 16).quantize(16).save(tmp_path / "p.png")
    assert np.abs(read_infrared(tmp_path / "p.png").astype(int) - grey // 16 * 16).max() <= 1


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
    image = read_infrared(file)
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH), np.uint8)
    assert len(np.unique(image)) >= 235
    assert check_image(str(file), read_infrared) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("name", ["a b.png", "ночь ß.png"])
def test_names_with_spaces_and_unicode_are_read(tmp_path, grey, name):
    file = save(tmp_path / name, grey)
    np.testing.assert_array_equal(read_pair(file, file)[..., 3], grey)


# Sizes ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("infrared", "problem", "warning"),
    [
        ((480, 640), False, False),
        ((240, 320), False, True),
        ((512, 640), True, False),
        ((640, 480), True, False),
        ((480, 649), False, True),  # 1.4 %
        ((480, 631), False, True),
        ((480, 654), True, False),  # 2.2 %
        ((480, 626), True, False),
    ],
)
def test_sizes_may_differ_if_the_shapes_agree_within_2_percent(infrared, problem, warning):
    texts = compare_sizes((480, 640), infrared, "'v.png' and 'ir.png'")
    assert tuple(map(bool, texts)) == (problem, warning)
    for text in filter(None, texts):
        assert text.startswith("'v.png' and 'ir.png' have different sizes (640x480 and ")


def test_smaller_infrared_image_is_resized(rgb, grey):
    small = cv2.resize(grey, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    pair = stack_pair(rgb, small)
    assert (pair.shape, pair.dtype) == ((HEIGHT, WIDTH, 4), np.uint8)
    np.testing.assert_array_equal(pair[..., :3], rgb)
    assert np.abs(pair[..., 3].astype(int) - grey).max() <= 3


def test_infrared_image_of_another_shape_is_refused(rgb, grey):
    with pytest.raises(PairError, match=r"^x have different sizes \(60x40 and 30x40\) and shapes; crop or register"):
        stack_pair(rgb, grey[:, ::2], "x")


def test_no_infrared_image_leaves_the_plane_blank(tmp_path, rgb):
    pair = read_pair(save(tmp_path / "v.png", rgb), None)
    np.testing.assert_array_equal(pair[..., :3], rgb)
    assert not pair[..., 3].any()


def test_real_pairs_are_read(tno):
    for visible in sorted((tno / "images").iterdir()):
        infrared = tno / "infrared" / visible.name
        assert check_pair(str(visible), str(infrared)) == ("", "")
        with Image.open(visible) as image:
            assert read_pair(visible, infrared).shape == (*image.size[::-1], 4)


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
    problem, warning = check_pair(*map(str, files))
    assert problem.startswith(f"'{file}' cannot be read")
    assert problem.endswith("; restore the file or remove the pair")
    assert not warning


@pytest.mark.parametrize("tail", [1, 8, 200])
def test_jpeg_that_lacks_only_its_end_is_noticed(tmp_path, rgb, tail):
    file = save(tmp_path / "v.jpg", np.random.default_rng(0).integers(0, 256, rgb.shape, np.uint8))
    file.write_bytes(file.read_bytes()[:-tail])
    assert check_pair(str(file), str(file))[0]


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
    problem, _ = check_pair(*map(str, pair))
    assert re.fullmatch(rf"'{re.escape(str(pair[camera]))}' {message}", problem)


@pytest.mark.parametrize("read", [read_visible, read_infrared])
@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_readers_name_the_file(tmp_path, read, content):
    file = tmp_path / "broken.png"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PairError, match=r"broken\.png' cannot be read as an image; restore the file"):
        read(file)


def test_sound_pair_has_no_problem(pair):
    assert check_pair(*map(str, pair)) == ("", "")
