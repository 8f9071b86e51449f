"""What is left of a shift between two registered cameras: found, undone, followed by temperatures, warned of."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metafusion_yolo.data.alignment import SETTLED, Aligner
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig

SIZE = WIDTH, HEIGHT = 256, 192


def scene(seed: int, dx: float = 0, dy: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a visible image, and an infrared one of reversed contrast with noise, shifted by pixels."""
    rng = np.random.default_rng(seed)
    grey = np.full((HEIGHT, WIDTH), 90, np.uint8)
    for _ in range(40):
        corner, side = rng.integers(0, SIZE), rng.integers(8, 60, 2)
        cv2.rectangle(grey, corner.tolist(), (corner + side).tolist(), int(rng.integers(20, 240)), -1)
    infrared = cv2.warpAffine(
        255 - grey // 2, np.float32([[1, 0, dx], [0, 1, dy]]), SIZE, borderMode=cv2.BORDER_REFLECT
    )
    return grey, np.clip(infrared + rng.normal(0, 4, infrared.shape), 0, 255).astype(np.uint8)


def read(reader: PairReader, *shift: float, first: int = 0, count: int = 4) -> list[np.ndarray]:
    """Return what is moved in the infrared planes of some pairs: the difference to what they are without a shift."""
    pairs = [(scene(k, *shift), scene(k)[1]) for k in range(first, first + count)]
    stacked = [reader.stack(cv2.cvtColor(v, cv2.COLOR_GRAY2RGB), i, "drive/1.png") for (v, i), _ in pairs]
    inner = np.s_[12:-12, 12:-12]
    return [
        np.abs(s[inner][..., 3].astype(int) - there[inner]).mean() for s, (_, there) in zip(stacked, pairs, strict=True)
    ]


@pytest.mark.parametrize("shift", [(4, 0), (-6, 3), (0.6, -5.4), (0, 0)])
def test_the_shift_is_found_to_half_a_pixel(shift):
    aligner = Aligner()
    for seed in range(3):
        aligner.see(*scene(seed, *shift))
    np.testing.assert_allclose(WIDTH * np.array(aligner.shift), shift, atol=0.5)
    moved = aligner.matrix(WIDTH)[:2, 2]
    np.testing.assert_array_equal(moved, -np.rint(WIDTH * np.array(aligner.shift)) if any(shift) else (0, 0))


def test_a_camera_that_slips_later_is_followed():
    aligner = Aligner()
    for seed in range(SETTLED + 60):
        aligner.see(*scene(seed % 5, 0 if seed < SETTLED else 5))
    assert WIDTH * aligner.shift[0] == pytest.approx(5, abs=0.6)


def test_images_of_different_scenes_and_blank_ones_stay():
    aligner = Aligner()
    for seed in range(6):
        aligner.see(scene(seed)[0], scene(seed + 50)[1])
    assert aligner.size == 0
    aligner.see(np.zeros((HEIGHT, WIDTH), np.uint8), scene(0)[1])
    assert aligner.size == 0


def test_a_pair_is_read_aligned_and_one_that_is_right_is_not_touched():
    as_they_are = read(PairReader(), 5, -3)
    assert min(as_they_are) > 7 and max(read(PairReader(align="auto"), 5, -3)) < 6.5  # the noise makes 4.5 of them
    inputs = scene(0)
    pair = PairReader(align="auto").stack(cv2.cvtColor(inputs[0], cv2.COLOR_GRAY2RGB), inputs[1])
    np.testing.assert_array_equal(pair[..., 3], inputs[1])


def test_temperatures_move_along():
    reader = PairReader(
        Rig.from_yaml({"thermal": {"unit": "celsius", "scale": 1, "normalize": "fixed", "range": [0, 255]}}),
        align="auto",
    )
    visible, infrared = scene(0, 6, 0)
    reader.stack(cv2.cvtColor(visible, cv2.COLOR_GRAY2RGB), infrared.astype(np.uint16), "drive/1.png")
    thermogram = reader.thermogram(infrared.astype(np.uint16), SIZE, "drive/1.png")
    assert thermogram.homography[0, 2] == pytest.approx(-6)


@pytest.mark.parametrize(
    ("shift", "registration", "said"), [((6, 0), np.eye(3), True), ((0, 0), np.eye(3), False), ((6, 0), None, False)]
)
def test_a_registration_that_no_longer_holds_is_said_once(shift, registration, said, caplog):
    rig = Rig.from_yaml({} if registration is None else {"registration": registration.tolist()})
    read(PairReader(rig, align="off"), *shift, count=SETTLED + 2)
    warned = [record.message for record in caplog.records]
    assert len(warned) == said
    assert not said or ("registration is off by +6." in warned[0] and "align=auto" in warned[0])
