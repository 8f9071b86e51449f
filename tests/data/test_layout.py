"""Frames that hold both cameras."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo import PairError
from metafusion_yolo.data.layout import LAYOUTS, check_layout, split_layout


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tail", [(), (3,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_halves_are_views_of_the_frame(layout, tail, dtype):
    frame = np.arange(6 * 8 * (tail[0] if tail else 1)).reshape(6, 8, *tail).astype(dtype)
    visible, infrared = split_layout(frame, layout)
    first, second = (infrared, visible) if layout.endswith("-infrared-first") else (visible, infrared)
    axis = 1 if layout.startswith("horizontal") else 0
    np.testing.assert_array_equal(np.concatenate([first, second], axis), frame)
    assert np.shares_memory(visible, frame)
    assert np.shares_memory(infrared, frame)


@pytest.mark.parametrize(("layout", "side"), [("horizontal", "width"), ("vertical-infrared-first", "height")])
def test_frame_without_two_halves_is_refused(layout, side):
    with pytest.raises(
        PairError, match=f"layout={layout} needs two equal halves, but a frame of 7x5 has an odd {side}"
    ):
        split_layout(np.zeros((5, 7, 3), np.uint8), layout)


def test_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="unknown layout 'horizontl', did you mean 'horizontal'"):
        check_layout("horizontl")
