"""The runtime without PyTorch sees any pair exactly as the predictor of the package does."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor
from metafusion_yolo.runtime import Detector, select


def predictor(imgsz: tuple[int, int], dynamic: bool) -> FusionDetectionPredictor:
    """Return a predictor as far as its letterbox needs one."""
    bare = object.__new__(FusionDetectionPredictor)
    bare.imgsz, bare.args = imgsz, SimpleNamespace(rect=True)
    bare.model = SimpleNamespace(format="onnx", dynamic=dynamic, stride=32)
    bare.scale_fill = False
    return bare


def detector(imgsz: tuple[int, int], dynamic: bool) -> Detector:
    bare = object.__new__(Detector)
    bare.imgsz, bare.dynamic, bare.stride, bare.task = imgsz, dynamic, 32, "detect"
    return bare


@st.composite
def pairs(draw) -> np.ndarray:
    """Draw a pair (H, W, 4) of noise, of which a camera may be blank, of one colour, or show a single spot."""
    height, width = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    pair = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    for planes in (slice(0, 3), slice(3, 4)):
        kind = draw(st.sampled_from(["noise", "noise", "blank", "one colour", "spot"]))
        if kind != "noise":
            pair[..., planes] = 0 if kind == "blank" else rng.integers(0, 256, planes.stop - planes.start)
        if kind == "spot":
            pair[rng.integers(height), rng.integers(width), planes] ^= 255
    return pair


@pytest.mark.parametrize("dynamic", [False, True])
@given(pair=pairs(), imgsz=st.tuples(*[st.integers(1, 6).map(lambda n: 32 * n)] * 2))
def test_letterbox_is_that_of_the_predictor(dynamic, pair, imgsz):
    boxed, inner, left, top = detector(imgsz, dynamic).letterbox(pair)
    [expected] = predictor(imgsz, dynamic).pre_transform([pair])
    np.testing.assert_array_equal(boxed, expected)
    assert 0 <= left <= left + inner[0] <= boxed.shape[1] and 0 <= top <= top + inner[1] <= boxed.shape[0]


@given(
    size=st.tuples(st.integers(8, 900), st.integers(8, 900)),
    imgsz=st.tuples(*[st.integers(2, 20)] * 2),
    seed=st.integers(0, 99),
)
def test_boxes_come_back_through_the_letterbox(size, imgsz, seed):
    """Of the runtime, against the host's way back."""
    from ultralytics.utils.ops import scale_boxes

    shape = (32 * imgsz[0], 32 * imgsz[1])
    pair = np.zeros((size[1], size[0], 4), np.uint8)
    boxed, inner, left, top = detector(shape, False).letterbox(pair)
    corners = np.sort(np.random.default_rng(seed).random((5, 2, 2)), 1).reshape(5, 4)
    boxes = corners * np.tile(size, 2)
    inside = boxes * np.tile(np.divide(inner, size), 2) + np.tile((left, top), 2)
    np.testing.assert_allclose(scale_boxes(boxed.shape[:2], inside.copy(), pair.shape), boxes, atol=1e-6)


@given(seed=st.integers(0, 999), count=st.integers(0, 20), conf=st.floats(0, 1), most=st.integers(1, 9))
def test_what_is_selected_is_sure_enough_and_sorted(seed, count, conf, most):
    rng = np.random.default_rng(seed)
    output = rng.random((6, count)).astype(np.float32)
    rows = select(output, conf, 0.5, most, raw=True)
    assert len(rows) <= most
    assert (rows[:, 4] > conf).all() and (np.diff(rows[:, 4]) <= 0).all()
    assert len(rows) or not (output[4:] > conf).any()
