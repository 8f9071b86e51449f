"""Slices of any pair: every pixel is in one, and boxes come back to where they were cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metafusion_yolo.engine.predict.slicing import Slicing, cut, merge, place

SIDE = st.integers(1, 700)


@given(height=SIDE, width=SIDE, size=st.integers(32, 200), overlap=st.floats(0, 0.95))
def test_every_pixel_is_in_a_slice(height, width, size, overlap):
    windows = Slicing(size, overlap).windows(height, width)
    assert (not windows) == (max(height, width) <= size)
    assert len(windows) == len(set(windows))
    seen = np.zeros((height, width), bool)
    for left, top, right, bottom in windows:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert right - left == min(size, width) and bottom - top == min(size, height)
        seen[top:bottom, left:right] = True
    assert seen.all() or not windows


@given(height=st.integers(64, 400), width=st.integers(64, 400), seed=st.integers(0, 99))
def test_an_object_comes_back_to_its_place_from_every_slice_that_shows_it_whole(height, width, seed):
    rng = np.random.default_rng(seed)
    box_w, box_h = rng.integers(3, 8, 2)
    x, y = rng.integers(0, width - box_w), rng.integers(0, height - box_h)
    pair = np.zeros((height, width, 4), np.uint8)
    pair[y : y + box_h, x : x + box_w] = 255
    whole = 0
    for window in Slicing(64, 0.25).windows(height, width):
        rows, columns = np.nonzero(cut(pair, window)[..., 3])
        if not len(rows):
            continue
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.9, 0]
        for box in place(torch.tensor([seen], dtype=torch.float32), window, height, width).tolist():
            assert box[:4] == [x, y, x + box_w, y + box_h]
            whole += 1
    assert whole or max(height, width) <= 64


@pytest.mark.parametrize("agnostic", [True, False])
@given(seed=st.integers(0, 999), count=st.integers(0, 12), most=st.integers(1, 10))
def test_merging_keeps_the_surest_and_is_done_after_once(agnostic, seed, count, most):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 60
    sizes = torch.rand(count, 2, generator=generator) * 40 + 4
    extra = torch.stack((torch.rand(count, generator=generator), torch.randint(0, 2, (count,), generator=generator)), 1)
    boxes = torch.cat((corners, corners + sizes, extra), 1)
    kept = merge(boxes, 0.7, most, agnostic)
    assert len(kept) <= min(count, most)
    assert torch.equal(kept[:, 4], kept[:, 4].sort(descending=True).values)
    assert not count or kept[0, 4] == boxes[:, 4].max()
    assert torch.equal(merge(kept, 0.7, most, agnostic), kept)
