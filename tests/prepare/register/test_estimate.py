"""Registration from the pairs themselves: found where there is one, refused where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metafusion_yolo.data.reading import read_counts, read_visible
from metafusion_yolo.data.sources import file_pairs
from metafusion_yolo.prepare.register.estimate import Estimate, RegistrationError, estimate_registration, usual_size
from metafusion_yolo.prepare.register.homography import (
    Level,
    corner_distance,
    edges,
    moved,
    refine,
    similarity,
    start_matrix,
)

SIZE = 192, 144
WARP = similarity(SIZE, 1.08, np.deg2rad(4), (12, -9))  # infrared to visible


def scene(seed: int, size=SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Return what two cameras see of the same shapes: (H, W) uint8 each, of unrelated grey, partly reversed, noisy."""
    rng = np.random.default_rng(seed)
    images = [np.full(size[::-1], level, np.uint8) for level in rng.integers(60, 200, 2)]
    for _ in range(40):
        centre, axes = (rng.uniform(0, 1, 2) * size).astype(int), rng.integers(4, 30, 2)
        angle, levels = rng.integers(0, 180), rng.integers(0, 256, 2)
        box = cv2.boxPoints((tuple(map(float, centre)), tuple(map(float, axes)), float(angle))).astype(np.int32)
        for image, level in zip(images, levels, strict=True):
            cv2.fillPoly(image, [box], int(level))
    noisy = [np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8) for image in images]
    return noisy[0], noisy[1]


def warped(image: np.ndarray, matrix: np.ndarray, size=SIZE) -> np.ndarray:
    """Return an image as the infrared camera would see it, whose pixels a matrix brings to the visible ones."""
    return cv2.warpPerspective(image, np.linalg.inv(matrix), size)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(visible, warped(infrared, WARP)) for visible, infrared in map(scene, range(8))]


@pytest.fixture(scope="module")
def steps() -> list[int]:
    """Of how many steps the search was, at each of them."""
    return []


@pytest.fixture(scope="module")
def estimate(pairs, steps) -> Estimate:
    def progress(search, total):
        for step in search:
            steps.append(total)
            yield step

    return estimate_registration(pairs, progress)


# Found ---------------------------------------------------------------------------------------------------------------
def test_a_warp_is_found_to_a_fraction_of_a_percent(estimate):
    assert corner_distance(estimate.matrix, WARP, SIZE, SIZE) < 0.004
    assert estimate.problem() == "" and estimate.spread < 0.01 and estimate.agreement > 0.2
    assert (estimate.visible, estimate.infrared, estimate.pairs) == (SIZE, SIZE, 8)


def test_the_estimate_describes_itself(estimate):
    assert str(estimate).endswith("8 pairs)")
    exact = Estimate(WARP, SIZE, SIZE, 4, 0.0, 1.0, 2.0, 8)
    assert str(exact) == "shift +12.0, -9.0 px, rotation +4.00 degrees, scale 1.080 (similarity, 8 pairs)"


def test_an_infrared_camera_of_another_resolution_shape_and_view():
    small = 80, 64  # of 1.25 : 1, against 1.33 : 1
    view = similarity(SIZE, 0.8, np.deg2rad(-3), (-6, 5)) @ start_matrix(SIZE, small)
    found = estimate_registration([(v, warped(i, view, small)) for v, i in map(scene, range(8))])
    assert found.problem() == "" and found.infrared == small
    assert corner_distance(found.matrix, view, SIZE, small) < 0.01


def test_a_keystone_is_found_once_all_eight_ways_are_open(pairs):
    keystone = cv2.getPerspectiveTransform(
        np.float32([[0, 0], [191, 0], [191, 143], [0, 143]]), np.float32([[3, 2], [189, -2], [192, 145], [-3, 141]])
    )
    tilted = [(visible, warped(infrared, keystone)) for visible, infrared in map(scene, range(6))]
    level = Level.of(tilted, SIZE, SIZE, 256)
    errors = [corner_distance(refine([level], np.eye(3), kind), keystone, SIZE, SIZE) for kind in (4, 8)]
    assert errors[1] < 0.003 < errors[0]


def test_the_search_shows_its_progress(estimate, steps):
    assert len(steps) == steps[0] == 47 * 21


# Refused -------------------------------------------------------------------------------------------------------------
def test_flat_images_are_refused(pairs):
    flat = np.full(SIZE[::-1], 7, np.uint8)
    for images in ([(v, flat) for v, _ in pairs], [(flat, i) for _, i in pairs]):
        with pytest.raises(RegistrationError, match="the images of a camera show no edges; look at th"):
            estimate_registration(images)


def test_cameras_that_moved_are_refused(pairs):
    other = similarity(SIZE, 0.95, np.deg2rad(-4), (-15, 8))
    mixed = pairs[:4] + [(v, warped(i, other)) for v, i in map(scene, range(20, 24))]
    found = estimate_registration(mixed)
    assert "per=sequence if the cameras moved" in found.problem() or "no position stands out" in found.problem()


def test_few_pairs_are_refused(pairs):
    with pytest.raises(RegistrationError, match="5 pairs are too few to register; give at least 6"):
        estimate_registration(pairs[:5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"stand_out": 1.1},
            "no position stands out: the best has 1.10 x the score of another, expected 1.15 x; check",
        ),
        (
            {"spread": 0.03},
            "corners from the two halves of the pairs differ by 3.0% of the width, expected at most 2%; giv",
        ),
        ({}, ""),
    ],
)
def test_the_judgement(change, message):
    values = {"spread": 0.01, "agreement": 0.3, "stand_out": 1.5, **change}
    problem = Estimate(np.eye(3), SIZE, SIZE, 4, pairs=20, **values).problem()
    assert problem.startswith(message) and bool(problem) == bool(message)


# Parts ---------------------------------------------------------------------------------------------------------------
def test_edges_do_not_know_which_side_is_brighter():
    image = scene(0)[0]
    np.testing.assert_allclose(edges(image), edges(255 - image), atol=1e-4)


def test_edges_turn_twice_as_far_as_the_image():
    upright = np.zeros((64, 64), np.uint8)
    upright[:, 32:] = 200
    assert np.angle(edges(upright)[32, 32]) == pytest.approx(0, abs=1e-3)
    lying = edges(upright.T.copy())[32, 32]
    assert abs(np.angle(lying)) == pytest.approx(np.pi, abs=1e-3)


def test_edges_of_a_flat_image_are_none():
    assert not edges(np.full((32, 32), 9, np.uint8)).any()


def test_the_start_is_centred_and_as_wide():
    matrix = start_matrix((640, 480), (160, 128))
    assert moved(matrix, np.array([[79.5, 63.5]]))[0] == pytest.approx([319.5, 239.5])
    assert moved(matrix, np.array([[-0.5, 63.5], [159.5, 63.5]]))[:, 0] == pytest.approx([-0.5, 639.5])


def test_the_usual_size_of_many():
    sizes = [(4, 6), (4, 6), (5, 5)], [(2, 9), (4, 5), (9, 2)]
    assert [usual_size(np.zeros(size) for size in case) for case in sizes] == [(6, 4), (5, 4)]


# Real pairs ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def road_pairs(roadscene) -> list[tuple[np.ndarray, np.ndarray]]:
    files = file_pairs(roadscene / "images" / "train", roadscene / "infrared" / "train", "infrared")[::3][:12]
    images = [(cv2.cvtColor(read_visible(v), cv2.COLOR_RGB2GRAY), read_counts(i)) for v, i in files]
    return [tuple(cv2.resize(image, (544, 320), interpolation=cv2.INTER_AREA) for image in pair) for pair in images]


@pytest.mark.slow
def test_the_largest_warps_of_real_pairs_stay_within_one_percent(road_pairs):
    size = 544, 320
    warp = similarity(size, 1.1, np.deg2rad(-5), (-43, 30))
    found = estimate_registration([(v, warped(i, warp, size)) for v, i in road_pairs])
    assert found.problem() == ""
    assert corner_distance(found.matrix, warp, size, size) < 0.01


@pytest.mark.slow
def test_exchanged_real_partners_are_refused(road_pairs):
    found = estimate_registration([(road_pairs[i][0], road_pairs[i - 7][1]) for i in range(len(road_pairs))])
    assert found.problem()
