"""Black-hot videos and folders: what is decided, and that it is decided once."""

from __future__ import annotations

import itertools
import logging

import cv2
import numpy as np
import pytest

from metafusion_yolo.data.polarity import black_hot, polarity
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.steady import Steady
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.prepare.synthetic import write_dataset


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> np.ndarray:
    """Return a white-hot road scene (H, W) uint8."""
    data = write_dataset(tmp_path_factory.mktemp("scene"), train=1, val=1, imgsz=128)
    return cv2.imread(str(data.parent / "infrared/train/000000.png"), cv2.IMREAD_GRAYSCALE)


def test_real_pairs_are_never_taken_for_black_hot(roadscene):
    files = sorted((roadscene / "infrared").rglob("*.*"))
    told = [polarity(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)) for file in files]
    assert -1 not in told
    assert told.count(1) > len(told) / 2


def test_a_polarity_has_a_negative_whatever_the_size(scene):
    for size in ((64, 48), (320, 256), (1280, 1024)):
        image = cv2.resize(scene, size)
        assert (polarity(image), polarity(255 - image)) == (1, -1)
    assert polarity(scene[:0]) == polarity(np.full_like(scene, 7)) == 0


def test_few_images_against_many_that_do_not_tell_decide_nothing():
    assert black_hot([-1, *[0] * 4]) and not black_hot([-1, *[0] * 5])
    assert black_hot([*[-1] * 9, 1]) and not black_hot([*[-1] * 8, 1])


def shown(invert: object, frames: list[np.ndarray], **section) -> list[np.ndarray]:
    steady = Steady(Thermal.from_yaml({"invert": invert, **section}), "rtsp://me:word@door/ir")
    return [steady.see(frame) for frame in frames]


def test_black_hot_video_is_turned_once_and_stays_so(scene, caplog):
    caplog.set_level("INFO", "ultralytics")
    blank = np.zeros_like(scene)
    frames = [blank, 255 - scene, blank, scene, 255 - scene]  # behind a shutter it becomes white-hot for one frame
    seen = shown("auto", frames)
    for frame, expected in zip(seen, [blank, scene, blank, scene, scene], strict=True):
        assert np.array_equal(frame, expected)
    said = [text for text in caplog.messages if "black-hot" in text]
    assert said == [
        "infrared of 'rtsp://***@door/ir' is black-hot and is inverted; 'thermal: {invert: false}' keeps it as it is"
    ]


def test_what_the_yaml_says_wins(scene, caplog):
    for invert in (False, True, ["night"]):
        assert np.array_equal(shown(invert, [255 - scene, 255 - scene])[1], 255 - scene)  # grey is made later
    assert ["looks black-hot" in text for text in caplog.messages] == [True]  # of `false`, the default
    deep = (255 - scene).astype(np.uint16) * 64
    assert np.array_equal(shown("auto", [deep])[0], deep)
    assert len(caplog.messages) == 1


def test_a_white_hot_start_is_kept_whatever_comes(scene):
    later = [255 - scene[::-1]] * 40  # nothing like the first, so no change of polarity
    assert all(np.array_equal(a, b) for a, b in zip(shown("auto", [scene, *later]), [scene, *later], strict=True))


def test_limits_of_a_turned_sequence_are_those_of_its_turned_frames(scene):
    dark = (scene // 2).astype(np.uint8)
    steady = Steady(Thermal.from_yaml({"invert": "auto", "scope": "sequence", "normalize": "minmax"}))
    steady.begin([255 - dark] * 3)
    assert steady.limits == (dark[::3, ::3].min(), dark[::3, ::3].max())


def test_a_sequence_is_judged_once(monkeypatch) -> None:
    looks = []
    monkeypatch.setattr("metafusion_yolo.data.polarity.polarity", lambda grey: looks.append(grey) or 0)
    sequence, frame = Steady(Thermal()), np.tile(np.arange(0, 250, 5, np.uint8), (40, 1))
    for _ in range(3):
        sequence.see(frame)
    assert len(looks) == 1


def test_a_folder_is_judged_once_whatever_is_read_first(tmp_path, scene, caplog):
    caplog.set_level(logging.INFO)
    folders = {"cold": 255 - scene, "warm": scene}
    for name, image in folders.items():
        (tmp_path / name).mkdir()
        for number in range(3):
            cv2.imwrite(str(tmp_path / name / f"{number}_ir.png"), image)
        cv2.imwrite(str(tmp_path / name / "0_vis.png"), scene)
    cv2.imwrite(str(tmp_path / "cold" / "3_ir.png"), np.full_like(scene, 9))  # tells nothing, but is turned
    (tmp_path / "cold" / "1_ir.png").write_bytes(b"damaged")
    for order in ((0, 2), (2, 0)):
        reader = PairReader(Rig(thermal=Thermal(invert="auto")))
        for name, number in itertools.product(folders, order):
            np.testing.assert_array_equal(reader.counts(tmp_path / name / f"{number}_ir.png"), scene)
        assert not reader.counts(tmp_path / "cold" / "3_ir.png").any()
        assert caplog.text.count(f"infrared of '{tmp_path / 'cold'}' is black-hot and is inverted") == 1
        assert "warm" not in caplog.text
        caplog.clear()
    np.testing.assert_array_equal(PairReader().counts(tmp_path / "cold" / "0_ir.png"), 255 - scene)


def test_a_folder_of_images_that_hold_both_is_judged_too(tmp_path, scene):
    cv2.imwrite(str(tmp_path / "0.png"), np.hstack([scene, 255 - scene]))
    reader = PairReader(Rig(thermal=Thermal(invert="auto"), layout="horizontal"))
    np.testing.assert_array_equal(reader.read(tmp_path / "0.png", None)[..., 3], scene)
