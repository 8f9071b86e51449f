"""Two lenses side by side, simulated: one number beside the homography brings any distance into line."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.data.registration import Registration, with_parallax

VISIBLE, INFRARED = (640, 512), (512, 410)
CORNERS = np.array([[0, 0], [511, 0], [511, 409], [0, 409]], float)


def rig(baseline: np.ndarray, turn: np.ndarray):
    """Return the function from a distance to the homography of a plane there, for lenses so far apart and so turned."""
    lenses = [np.array([[f, 0, w / 2], [0, f, h / 2], [0, 0, 1]]) for f, (w, h) in ((700, VISIBLE), (520, INFRARED))]
    rotation = cv2.Rodrigues(np.radians(turn))[0]

    def at(distance: float) -> np.ndarray:
        plane = rotation + np.outer([*baseline, 0], [0, 0, 1]) / distance
        matrix = lenses[0] @ plane @ np.linalg.inv(lenses[1])
        return matrix / matrix[2, 2]

    return at


def corner_error(registration: Registration, truth: np.ndarray) -> float:
    """Return the largest distance of the corners from where they belong, in pixels of a detector of 512."""
    matrix = registration.homography(None, VISIBLE, INFRARED)
    seen, meant = (cv2.perspectiveTransform(CORNERS[None], m)[0] for m in (matrix, truth))
    return float(np.linalg.norm(seen - meant, axis=1).max()) * 512 / VISIBLE[0]


@pytest.mark.parametrize("centimetres", [2, 5, 10])
@pytest.mark.parametrize("turn", [(0, 0, 0), (0.5, -1, 2)])
def test_from_5_metres_on_corners_are_within_a_pixel(centimetres, turn):
    at = rig(np.array([centimetres, 0.2 * centimetres]) / 100, np.array(turn, float))
    noise = np.random.default_rng(0).normal(0, 0.3, (2, 2))  # registrations are good to a third of a pixel
    measured = {5.0: at(5), 20.0: at(20)}
    for shift, matrix in zip(noise, measured.values(), strict=True):
        matrix[:2, 2] += shift
    fitted = with_parallax(measured, VISIBLE, INFRARED)
    one = Registration.from_yaml({"matrix": at(20).tolist()})
    worst = {"one homography": 0.0, "with parallax": 0.0}
    for distance in (5, 7, 10, 20, 50, 100):
        now = Registration.from_yaml(yaml.safe_load(yaml.safe_dump({**fitted.to_yaml(), "distance": distance})))
        worst["with parallax"] = max(worst["with parallax"], corner_error(now, at(distance)))
        worst["one homography"] = max(worst["one homography"], corner_error(one, at(distance)))
    assert worst["with parallax"] <= 1
    assert worst["one homography"] > 0.9 * centimetres / 100 * 700 * (1 / 5 - 1 / 20) * 512 / 640


def test_a_registration_measured_at_a_distance_moves_on_from_there():
    at = rig(np.array([0.06, 0.01]), np.zeros(3))
    section = {"matrix": at(8).tolist(), "parallax": [0.06 * 700, 0.01 * 700], "at": 8}
    for distance in (3, 8, 40):
        assert corner_error(Registration.from_yaml({**section, "distance": distance}), at(distance)) < 1e-6
    assert corner_error(Registration.from_yaml(section), at(8)) < 1e-6


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"parallax": 40}, "parallax in d.yaml must be"),
        ({"parallax": [40, 0], "distance": 0}, "distance in d.yaml must be metres above 0, not 0"),
        ({"distance": 8}, "distance in d.yaml needs the 'parallax:'"),
    ],
)
def test_mistakes_are_said(section, said):
    with pytest.raises(ValueError, match=said):
        Registration.from_yaml({"matrix": np.eye(3).tolist(), **section}, "d.yaml")
    with pytest.raises(ValueError, match="two distances or more"):
        with_parallax({5.0: np.eye(3)}, VISIBLE, INFRARED)
