"""Frames of a moment as a pair of one size, whichever camera is there."""

from __future__ import annotations

import numpy as np
import pytest

from metafusion_yolo import PairError
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources.frames import FrameStacker
from metafusion_yolo.data.sync import Frame


def frame(height: int, width: int, level: int = 90) -> Frame:
    image = np.full((height, width, 3), level, np.uint8)
    image[:4, :4] = (255, 0, 0)  # blue
    return Frame(0.0, image)


def stacker(rig: Rig | None = None, layout: str | None = None, **options) -> FrameStacker:
    return FrameStacker(PairReader(rig or Rig()), layout, "v", "ir", **options)


def test_pair_is_in_the_order_of_the_network():
    pair = stacker().stack({"visible": frame(48, 64), "infrared": frame(48, 64, 200)})[0]
    assert pair[0, 0].tolist() == [0, 0, 255, 29]  # red, green, blue, luminance of blue
    assert pair[40, 40].tolist() == [90, 90, 90, 200]


@pytest.mark.parametrize("there", ["visible", "infrared"])
def test_missing_camera_is_blank(there):
    pair = stacker().stack({there: frame(48, 64)})[0]
    assert pair.shape == (48, 64, 4)
    blank = pair[..., 3] if there == "visible" else pair[..., :3]
    assert not blank.any()


def test_size_of_the_first_pair_stays():
    one = stacker()
    shapes = [
        one.stack(frames)[0].shape
        for frames in (
            {"visible": frame(48, 64), "infrared": frame(24, 32)},
            {"infrared": frame(24, 32)},
            {"visible": frame(96, 128), "infrared": frame(24, 32)},
        )
    ]
    assert shapes == [(48, 64, 4)] * 3


def test_size_without_a_visible_frame():
    registered = Rig.from_yaml({"registration": {"matrix": [[2, 0, 0], [0, 2, 0], [0, 0, 1]], "visible": [64, 48]}})
    assert stacker(registered).stack({"infrared": frame(24, 32)})[0].shape == (48, 64, 4)
    assert stacker().stack({"infrared": frame(24, 32)})[0].shape == (24, 32, 4)
    assert stacker(shape=(96, 128)).stack({"infrared": frame(24, 32)})[0].shape == (96, 128, 4)


def test_frames_of_other_shapes_are_refused():
    with pytest.raises(PairError, match=r"'v' and 'ir' have different sizes \(64x48 and 48x48\)"):
        stacker().stack({"visible": frame(48, 64), "infrared": frame(48, 48)})[0]


def test_deep_frames_do_not_flicker_and_a_change_of_polarity_is_undone(caplog):
    scene = np.random.default_rng(0).integers(7000, 7400, (48, 64), np.uint16)
    glint = scene.copy()
    glint[:6, :6] += np.uint16(30000)  # in a corner, for one frame
    levels = {}
    for scope in ("image", "auto"):
        one = stacker(Rig.from_yaml({"thermal": {"scope": scope}}))
        pairs = [
            one.stack({"visible": frame(48, 64), "infrared": Frame(0.0, counts)})[0] for counts in (scene, glint, scene)
        ]
        levels[scope] = [float(pair[20:, 20:, 3].mean()) for pair in pairs]
    assert np.ptp(levels["auto"]) < 8 < 100 < np.ptp(levels["image"])
    low = (scene - 7000) // 4  # as after a change of gain
    planes = [one.stack({"visible": frame(48, 64), "infrared": Frame(0.0, low)})[0][..., 3] for one in (one, stacker())]
    assert np.array_equal(*planes) and planes[0].max() == 255
    one, grey = stacker(), (scene - 7000) // 2
    camera = [Frame(0.0, np.dstack([(255 - grey if turned else grey).astype(np.uint8)] * 3)) for turned in (0, 1, 1, 0)]
    planes = [one.stack({"visible": frame(48, 64), "infrared": image})[0][..., 3] for image in camera]
    assert all(np.abs(plane.astype(int) - planes[0]).max() <= 1 for plane in planes)
    assert caplog.text.count("the polarity of 'ir' has changed") == 2


def test_limits_are_those_of_the_infrared_half():
    rig = Rig.from_yaml({"thermal": {"normalize": "minmax", "scope": "sequence"}})
    both = np.hstack([np.full((48, 64, 3), 250, np.uint8), np.full((48, 64, 3), 100, np.uint8)])
    both[:10, 64:] = 50
    one = stacker(rig, "horizontal")
    one.set_limits([both])
    assert one.steady.limits == (50, 100)
