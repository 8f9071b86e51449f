"""Photometric augmentation of each camera, and cameras that fail."""

from __future__ import annotations

import random

import numpy as np
import pytest
from ultralytics.data.augment import RandomHSV

from metafusion_yolo.config import Augment
from metafusion_yolo.data.augment import CameraOff, InfraredShift, ModalityDropout, PairedPhotometric
from metafusion_yolo.data.planes import PLANES

NO_HSV = RandomHSV(0, 0, 0)
NONE = Augment(0, 0, 0, 0, 0)


@pytest.fixture(autouse=True)
def seed():
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def pair() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 40, 4), dtype=np.uint8)


def grey_pair(level: int = 128) -> np.ndarray:
    return np.full((64, 64, 4), level, np.uint8)


def photometric(pair: np.ndarray, hsv: RandomHSV = NO_HSV, augment: Augment = NONE) -> np.ndarray:
    return PairedPhotometric(hsv, augment)({"img": pair.copy()})["img"]


# Photometry ----------------------------------------------------------------------------------------------------------
def test_no_augmentation_changes_nothing(pair):
    np.testing.assert_array_equal(photometric(pair), pair)


def test_hsv_changes_the_visible_image_only(pair):
    changed = photometric(pair, RandomHSV(0.015, 0.7, 0.4))
    assert (changed[..., :3] != pair[..., :3]).any()
    np.testing.assert_array_equal(changed[..., 3], pair[..., 3])


@pytest.mark.parametrize("augment", [Augment(0.3, 0, 0), Augment(0, 0.1, 0), Augment(0, 0, 0.02)])
def test_infrared_augmentation_changes_the_infrared_image_only(pair, augment):
    changed = photometric(pair, augment=augment)
    np.testing.assert_array_equal(changed[..., :3], pair[..., :3])
    assert (changed[..., 3] != pair[..., 3]).any()


def test_the_two_cameras_change_independently():
    hsv, augment = RandomHSV(0, 0, 0.4), Augment(0, 0.2, 0)
    changes = [photometric(grey_pair(), hsv, augment)[0, 0, [0, 3]].astype(int) - 128 for _ in range(400)]
    assert abs(np.corrcoef(np.transpose(changes))[0, 1]) < 0.15  # 3 standard errors


def test_red_stays_red():
    pair = np.zeros((8, 8, 4), np.uint8)
    pair[..., 0] = 200
    changed = photometric(pair, RandomHSV(0, 0, 0.4))
    assert changed[..., 0].min() > 0
    assert not changed[..., 1:3].any()


def test_contrast_pivots_on_mid_grey_and_stays_in_range():
    augment = Augment(infrared_gain=0.3, infrared_offset=0, infrared_noise=0)
    gains = [(int(photometric(grey_pair(228), augment=augment)[0, 0, 3]) - 128) / 100 for _ in range(300)]
    assert 0.69 <= min(gains) < 0.75
    assert 1.25 < max(gains) <= 1.28  # 228 clips at 255
    assert (photometric(grey_pair(128), augment=augment) == 128).all()


def test_brightness_moves_both_ways_within_range():
    augment = Augment(infrared_gain=0, infrared_offset=0.1, infrared_noise=0)
    shifts = [int(photometric(grey_pair(), augment=augment)[0, 0, 3]) - 128 for _ in range(300)]
    assert -26 <= min(shifts) < -22
    assert 22 < max(shifts) <= 26
    assert abs(np.mean(shifts)) < 3


def test_noise_is_centred_and_within_range():
    augment = Augment(infrared_gain=0, infrared_offset=0, infrared_noise=0.1)
    noise = [photometric(grey_pair(), augment=augment)[..., 3].astype(float) - 128 for _ in range(100)]
    deviations = [n.std() for n in noise]
    assert 20 < max(deviations) <= 25.5 * 1.05
    assert min(deviations) < 5
    assert abs(np.mean(noise)) < 0.1  # rounding, not truncation


def test_noise_differs_between_pixels_and_calls_and_follows_the_seed():
    augment = Augment(0, 0, 0.1)
    first, second = (photometric(grey_pair(), augment=augment) for _ in range(2))
    assert (first != second).any()
    random.seed(0)
    np.testing.assert_array_equal(photometric(grey_pair(), augment=augment), first)


@pytest.mark.parametrize("level", [0, 255])
def test_bright_and_dark_images_do_not_wrap_around(level):
    for _ in range(50):
        changed = photometric(grey_pair(level), augment=Augment(0.3, 0.3, 0.02))[..., 3]
        assert abs(int(np.median(changed)) - level) < 128


def test_other_labels_are_handed_on(pair):
    labels = {"img": pair, "cls": [1], "im_file": "x.png"}
    assert PairedPhotometric(NO_HSV, NONE)(labels) is labels
    assert labels["cls"] == [1]


# Modality drop-out ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_exactly_one_camera_fails_at_the_stated_rate(p):
    n, pair, dropout = 3000, np.full((2, 2, 4), 9, np.uint8), ModalityDropout(p)
    lost = {"visible": 0, "infrared": 0}
    for _ in range(n):
        image = dropout({"img": pair})["img"]
        visible, infrared = image[..., :3].any(), image[..., 3].any()
        assert visible or infrared
        assert image.max() == 9
        lost["visible"] += not visible
        lost["infrared"] += not infrared
    for count in lost.values():
        assert abs(count / n - p / 2) <= 4 * np.sqrt(p / 2 * (1 - p / 2) / n)


@pytest.mark.parametrize("camera", PLANES)
def test_camera_that_is_off_is_always_blank(pair, camera):
    labels = {"img": pair.copy(), "cls": [1]}
    assert CameraOff(camera)(labels) is labels
    other = PLANES["infrared" if camera == "visible" else "visible"]
    assert not labels["img"][..., PLANES[camera]].any()
    np.testing.assert_array_equal(labels["img"][..., other], pair[..., other])


# Shift ---------------------------------------------------------------------------------------------------------------
def shifted(pair: np.ndarray, share: float) -> np.ndarray:
    return InfraredShift(share)({"img": pair.copy()})["img"]


def offset(pair: np.ndarray, moved: np.ndarray, reach: int) -> tuple[int, int]:
    """Return the (dx, dy) by which an infrared plane was moved with its border repeated, or fail."""
    height, width = pair.shape[:2]
    for dx in range(-reach, reach + 1):
        for dy in range(-reach, reach + 1):
            rows, columns = np.clip(np.arange(height) - dy, 0, height - 1), np.clip(np.arange(width) - dx, 0, width - 1)
            if (pair[..., 3][np.ix_(rows, columns)] == moved[..., 3]).all():
                return dx, dy
    pytest.fail(f"no shift of up to {reach} pixels")


def test_only_the_infrared_plane_is_shifted_by_whole_pixels_within_reach(pair):
    shifts = set()
    for _ in range(150):
        moved = shifted(pair, 0.05)
        assert moved.shape == pair.shape and moved.dtype == np.uint8
        np.testing.assert_array_equal(moved[..., :3], pair[..., :3])
        shifts.add(offset(pair, moved, 2))  # 5 % of 40 pixels
    assert len(shifts) == 25  # every one of them


@pytest.mark.parametrize("share", [0, 0.01])
def test_less_than_a_pixel_is_no_shift(pair, share):
    labels = {"img": pair}
    assert InfraredShift(share)(labels)["img"] is pair


def test_shift_leaves_the_labels(pair):
    labels = {"img": pair, "instances": "boxes of the visible image"}
    assert InfraredShift(0.1)(labels) is labels
    assert labels["instances"] == "boxes of the visible image"
