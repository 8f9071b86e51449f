"""From sensor counts to the 8-bit plane."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.data.thermal import to_uint8


@pytest.fixture
def scene() -> np.ndarray:
    """A scene of a 14-bit sensor: 244 neighbouring levels, each equally often."""
    return np.random.default_rng(0).permutation(np.arange(7000, 7244).repeat(60)).reshape(120, 122)


def test_uint8_passes_unchanged():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert to_uint8(image) is image


@pytest.mark.parametrize(
    "dtype", [np.uint16, np.int16, np.int32, np.uint32, np.int64, np.float32, np.float64], ids=lambda d: d.__name__
)
def test_a_narrow_scene_keeps_its_levels_and_fills_the_range(scene, dtype):
    image = to_uint8(scene.astype(dtype))
    assert (image.shape, image.dtype) == (scene.shape, np.uint8)
    assert len(np.unique(image)) >= 240
    assert (image.min(), image.max()) == (0, 255)


def test_hot_stays_bright(scene):
    image = to_uint8(scene.astype(np.uint16))
    order = np.argsort(scene, axis=None)
    assert (np.diff(image.ravel()[order].astype(int)) >= 0).all()


def test_stretch_matches_the_formula(scene):
    counts = scene.astype(np.uint16)
    low, high = np.percentile(scene, [0.1, 99.9])
    expected = np.clip((scene - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(to_uint8(counts), expected, atol=0.5 + 1e-6)


def test_large_offset_costs_no_levels(scene):
    assert len(np.unique(to_uint8(scene.astype(np.int64) + 10**9))) >= 240


def test_dead_pixels_do_not_set_the_range(scene):
    counts = scene.astype(np.uint16)
    counts[0, 0], counts[0, 1] = 0, 65535
    image = to_uint8(counts)
    assert (image[0, 0], image[0, 1]) == (0, 255)
    assert len(np.unique(image)) >= 240


def test_one_small_hot_target_before_an_even_background_is_kept():
    counts = np.full((100, 100), 7000, np.uint16)
    counts[50, 50] = 7100
    image = to_uint8(counts)
    assert image[50, 50] == 255
    assert image.sum() == 255


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_constant_image_becomes_black(dtype):
    assert not to_uint8(np.full((4, 5), 7000, dtype)).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_count_as_the_coldest(scene, value):
    counts = scene.astype(np.float32)
    counts[3, 4] = value
    image = to_uint8(counts)
    assert image[3, 4] == 0
    assert len(np.unique(image)) >= 240


def test_nothing_finite_becomes_black():
    image = to_uint8(np.full((4, 5), np.nan, np.float32))
    assert (image.shape, image.dtype, image.any()) == ((4, 5), np.uint8, False)


def test_source_is_left_alone(scene):
    counts = scene.astype(np.float32)
    counts[0, 0] = np.nan
    before = counts.copy()
    to_uint8(counts)
    np.testing.assert_array_equal(counts, before)
