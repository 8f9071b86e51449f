"""Taking pairs apart and putting them together."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo.data.planes import blank, join, split


@pytest.fixture
def pair() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 40, 4), dtype=np.uint8)


def test_split_and_join_are_slices(pair):
    visible, infrared = split(pair)
    np.testing.assert_array_equal(visible, pair[..., :3])
    np.testing.assert_array_equal(infrared, pair[..., 3])
    np.testing.assert_array_equal(join(visible, infrared), pair)
    np.testing.assert_array_equal(join(pair[:, 5:, :3], pair[:, 5:, 3]), pair[:, 5:])


def test_blank_returns_a_copy(pair):
    before = pair.copy()
    visible, infrared = blank(pair, "visible"), blank(pair, "infrared")
    np.testing.assert_array_equal(pair, before)
    assert not visible[..., :3].any()
    assert not infrared[..., 3].any()
    np.testing.assert_array_equal(visible[..., 3], pair[..., 3])
    np.testing.assert_array_equal(infrared[..., :3], pair[..., :3])
