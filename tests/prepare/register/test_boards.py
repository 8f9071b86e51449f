"""Registration by chessboards that both cameras see, of simulated lenses beside each other."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.options import Register
from metafusion_yolo.prepare.register import register_dataset
from metafusion_yolo.prepare.register.boards import estimate_from_boards
from metafusion_yolo.prepare.register.estimate import RegistrationError
from metafusion_yolo.prepare.register.homography import corner_distance

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from mjpeg import MjpegCamera

BOARD, SQUARE, PX = (6, 4), 0.05, 24  # inner corners, metres, pixels of a square in the picture of the board
SIZES = (320, 256), (160, 128)
LENSES = [
    np.array([[f, 0, (w - 1) / 2], [0, f, (h - 1) / 2], [0, 0, 1.0]])
    for f, (w, h) in zip((350, 170), SIZES, strict=True)
]
TURN, BASELINE = cv2.Rodrigues(np.radians([0.5, -1.0, 2.0]))[0], np.array([0.05, 0.01, 0])
FAR = LENSES[0] @ TURN @ np.linalg.inv(LENSES[1])


def shot(rng: np.random.Generator, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a visible and an infrared image of a board, whose black squares are the warm ones."""
    squares = np.indices((BOARD[1] + 1, BOARD[0] + 1)).sum(0) % 2
    print_ = np.kron(squares * 200 + 30, np.ones((PX, PX))).astype(np.uint8)
    print_ = cv2.copyMakeBorder(print_, PX, PX, PX, PX, cv2.BORDER_CONSTANT, value=230)
    metres = SQUARE / PX
    middle = [-metres * (side - 1) / 2 for side in print_.shape[1::-1]]
    on_board = np.array([[metres, 0, middle[0]], [0, metres, middle[1]], [0, 0, 1]])
    tilt = cv2.Rodrigues(rng.uniform(-0.5, 0.5, 3) * [1, 1, 0.4])[0]
    centre = np.array([*rng.uniform(-0.1, 0.1, 2) * distance, distance])
    infrared = LENSES[1] @ np.column_stack((tilt[:, 0], tilt[:, 1], centre)) @ on_board
    turned = TURN @ tilt
    visible = LENSES[0] @ np.column_stack((turned[:, 0], turned[:, 1], TURN @ centre + BASELINE)) @ on_board
    images = []
    for picture, matrix, size, noise in zip((print_, 255 - print_), (visible, infrared), SIZES, (2, 1), strict=True):
        small = cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_AREA, borderValue=110)
        images.append(np.clip(cv2.GaussianBlur(small, (0, 0), 0.7) + rng.normal(0, noise, size[::-1]), 0, 255))
    return images[0].astype(np.uint8), (90 + images[1] / 3).astype(np.uint8)


@pytest.fixture(scope="module")
def shots() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [shot(rng, distance) for distance in (0.6, 1.4, 0.8, 1.2, 0.7, 1.0)]


def test_boards_give_the_far_registration_and_the_parallax_of_the_lenses(shots):
    found = estimate_from_boards(shots, BOARD, SQUARE)
    assert not found.problem() and found.pairs >= 5
    assert found.parallax == pytest.approx(350 * BASELINE[:2], abs=0.7)
    assert corner_distance(found.matrix, FAR, *SIZES) < 0.006
    with pytest.raises(RegistrationError, match=r"0 of 6 pairs show a board of 6 x 4 inner corners in both images"):
        estimate_from_boards([(visible, np.full_like(infrared, 90)) for visible, infrared in shots], BOARD)


def test_two_live_cameras_are_registered_by_a_board(shots, tmp_path):
    visible, infrared = MjpegCamera(lambda _: shots[2][0], 10), MjpegCamera(lambda _: shots[2][1], 10)
    try:
        found = register_dataset(
            Register(
                visible=visible.url, infrared=infrared.url, board="6x4", pairs=6, every=0, at=0.8, project=tmp_path
            )
        )
    finally:
        visible.kill()
        infrared.kill()
    written = yaml.safe_load((tmp_path / "register/pairs.yaml").read_text())
    assert written["registration"]["at"] == found.at == 0.8
    assert len([*(tmp_path / "register/infrared").glob("*.png")]) == 6
    truth = FAR.copy() / FAR[2, 2]
    truth[:2, 2] += 350 * BASELINE[:2] / 0.8
    assert corner_distance(np.array(found.matrix), truth, *SIZES) < 0.02
