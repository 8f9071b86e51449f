"""Images in memory as the planes of a pair."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from metafusion_yolo.data.sources.memory import as_infrared, as_visible, split_stack


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(0).integers(7000, 7244, (20, 30)).astype(np.uint16)


def turned(array: np.ndarray) -> Image.Image:
    """Return a PIL image that says it lies on its side."""
    image = Image.fromarray(array)
    image.getexif()[274] = 6
    return image


# Visible -------------------------------------------------------------------------------------------------------------
def test_visible_array_is_b_g_r_like_the_hosts(rgb):
    np.testing.assert_array_equal(as_visible(rgb[..., ::-1]), rgb)


def test_visible_pil_image_is_r_g_b(rgb):
    np.testing.assert_array_equal(as_visible(Image.fromarray(rgb)), rgb)
    np.testing.assert_array_equal(as_visible(turned(rgb)), np.rot90(rgb, -1))


def test_grey_and_alpha_visible_images(rgb):
    grey = np.ascontiguousarray(rgb[..., 0])
    for image in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(as_visible(image), np.dstack([grey] * 3))
    np.testing.assert_array_equal(as_visible(Image.fromarray(np.dstack((rgb, grey)))), rgb)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.zeros((4, 5, 3), np.float32), r"an array \(4, 5, 3\) float32"),
        (np.zeros((4, 5, 3), np.uint16), r"an array \(4, 5, 3\) uint16"),
        (np.zeros((4, 5, 2), np.uint8), r"an array \(4, 5, 2\) uint8"),
        (np.zeros((3, 4, 5, 3), np.uint8), "an array"),
        (np.zeros((0, 5, 3), np.uint8), "an array"),
        (7, "int"),
        (None, "NoneType"),
        ([1, 2], "list"),
        ({}, "dict"),
    ],
)
def test_what_is_no_visible_image_is_refused(image, kind):
    with pytest.raises(TypeError, match=f"a visible image must be a path, PIL image or .* array, not {kind}"):
        as_visible(image)


# Infrared ------------------------------------------------------------------------------------------------------------
def test_infrared_array_may_have_one_or_three_channels(rgb):
    grey = np.ascontiguousarray(rgb[..., 0])
    np.testing.assert_array_equal(as_infrared(grey), grey)
    np.testing.assert_array_equal(as_infrared(grey[..., None]), grey)
    np.testing.assert_array_equal(as_infrared(rgb[..., ::-1]), cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_deep_infrared_array_keeps_its_depth(counts, dtype):
    kept = as_infrared(counts.astype(dtype))
    assert kept.dtype == dtype
    np.testing.assert_array_equal(kept, counts)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_infrared_pil_image_keeps_its_depth(counts, mode):
    image = Image.fromarray(counts.astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]))
    assert image.mode == mode
    np.testing.assert_array_equal(as_infrared(image), counts)


def test_infrared_pil_image_becomes_grey(rgb):
    grey = np.ascontiguousarray(rgb[..., 0])
    np.testing.assert_array_equal(as_infrared(Image.fromarray(grey)), grey)
    np.testing.assert_array_equal(as_infrared(turned(grey)), np.rot90(grey, -1))
    expected = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(as_infrared(Image.fromarray(rgb)) - expected).max() <= 1  # R, G, B, not B, G, R
    palette = Image.fromarray(grey // 64 * 64).quantize(4)
    assert np.abs(as_infrared(palette).astype(int) - grey // 64 * 64).max() <= 1  # not the indices
    np.testing.assert_array_equal(as_infrared(Image.fromarray(np.dstack((grey, grey)))), grey)


def test_none_is_no_infrared_image():
    assert as_infrared(None) is None


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.zeros((4, 5, 4), np.uint8), r"an array \(4, 5, 4\) uint8"),
        (np.zeros((4, 5, 3), np.uint16), r"an array \(4, 5, 3\) uint16"),
        (np.zeros((4, 5), complex), "an array"),
        (np.zeros((0, 5), np.uint8), "an array"),
        (7, "int"),
        ([1, 2], "list"),
    ],
)
def test_what_is_no_infrared_image_is_refused(image, kind):
    with pytest.raises(TypeError, match=f"an infrared image must be a path, PIL image or .* array, not {kind}"):
        as_infrared(image)


# Both ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("convert", [as_visible, as_infrared])
def test_paths_stay_paths(tmp_path, convert):
    file = tmp_path / "1.png"
    file.touch()
    assert convert(file) == convert(str(file)) == str(file)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"'{file}' does not exist; give the path of an image"):
        convert(file)


def test_stack_is_taken_apart(rgb):
    stack = np.dstack((rgb, rgb[..., 0]))
    visible, infrared = split_stack(stack)
    np.testing.assert_array_equal(np.dstack((visible, infrared)), stack)
    with pytest.raises(TypeError, match=r"must be an \(H, W, 4\) uint8 array, R, G, B, IR, not an array .* float64"):
        split_stack(stack / 255)
