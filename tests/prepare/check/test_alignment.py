"""The shift between two images, measured against shifts that are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metafusion_yolo.prepare.check.shift import REACH, estimate_shift
from metafusion_yolo.prepare.synthetic import render_pair


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return an image moved by fractions of its width."""
    matrix = np.array([[1.0, 0, x * image.shape[1]], [0, 1, y * image.shape[1]]])
    return cv2.warpAffine(image, matrix, image.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (0.03, 0), (0, 0.04), (-0.05, 0.02), (0.1, -0.06)])
def test_shift_of_an_image_against_its_negative(x, y):
    grey = cv2.cvtColor(render_pair(0, imgsz=320).visible, cv2.COLOR_RGB2GRAY)
    shift = estimate_shift(grey, 255 - moved(grey, x, y))
    np.testing.assert_allclose((shift.x, shift.y), (x, y), atol=0.004)
    assert shift.clear


def test_shift_is_of_the_width_whatever_the_sizes():
    grey = cv2.cvtColor(render_pair(0, imgsz=320).visible, cv2.COLOR_RGB2GRAY)
    shift = estimate_shift(grey, cv2.resize(moved(grey, 0.05, 0.05), None, fx=0.5, fy=0.5))
    np.testing.assert_allclose((shift.x, shift.y), (0.05, 0.05), atol=0.005)


def test_unrelated_images_are_rarely_trusted():
    rng = np.random.default_rng(0)
    noise = [cv2.GaussianBlur(rng.random((120, 160), np.float32), (0, 0), 3) for _ in range(40)]
    images = [cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U) for image in noise]
    shifts = [estimate_shift(images[i], images[i - 1]) for i in range(len(images))]
    assert sum(shift.clear for shift in shifts) <= 10
    assert all(abs(shift.x) <= REACH + 0.01 for shift in shifts)


def test_blank_images_have_no_clear_shift():
    blank = np.full((64, 80), 7, np.uint8)
    assert not estimate_shift(blank, blank).clear
