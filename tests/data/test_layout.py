import numpy as np
import pytest

from metafusion_yolo.data.layout import split_layout
from metafusion_yolo.data.pairs import PairError

FRAME = np.arange(4 * 6 * 3).reshape(4, 6, 3)


@pytest.mark.parametrize(
    ("layout", "visible", "infrared"),
    [
        ("horizontal", FRAME[:, :3], FRAME[:, 3:]),
        ("horizontal-infrared-first", FRAME[:, 3:], FRAME[:, :3]),
        ("vertical", FRAME[:2], FRAME[2:]),
        ("vertical-infrared-first", FRAME[2:], FRAME[:2]),
    ],
)
def test_halves(layout, visible, infrared) -> None:
    parts = split_layout(FRAME, layout)
    assert np.array_equal(parts[0], visible)
    assert np.array_equal(parts[1], infrared)


def test_stacked() -> None:
    frame = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    visible, infrared = split_layout(frame, "stacked")
    assert np.array_equal(visible, frame[..., :3])
    assert np.array_equal(infrared, frame[..., 3])


@pytest.mark.parametrize(
    ("frame", "layout", "message"),
    [
        (
            np.zeros((4, 5, 3)),
            "horizontal",
            "layout=horizontal needs two equal halves, but a frame of 5x4 has an odd width",
        ),
        (np.zeros((5, 4)), "vertical", "a frame of 4x5 has an odd height; crop it"),
        (np.zeros((4, 4, 3)), "stacked", r"layout=stacked needs 4 channels, R, G, B, IR, but a frame is \(4, 4, 3\)"),
    ],
)
def test_frames_that_cannot_be_split(frame, layout, message) -> None:
    with pytest.raises(PairError, match=message):
        split_layout(frame, layout)


def test_unknown_layout() -> None:
    with pytest.raises(ValueError, match="unknown layout 'horizontol', did you mean 'horizontal'"):
        split_layout(FRAME, "horizontol")
