"""Hard scenes: heat follows the hour, sensors come to their limits, and the labels are what a camera can see."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from metafusion_yolo.prepare.synthetic import render_pair, write_dataset
from metafusion_yolo.prepare.synthetic.climate import ASPHALT, CONDITIONS, METAL, SKIN, WALL, Climate
from metafusion_yolo.prepare.synthetic.hard import (
    JUDGED_AT,
    cameras_of,
    draw_hard_scene,
    plan_hard_scene,
    thermal_camera,
    visible_camera,
)

SEEDS = range(24)
NOON, NIGHT = Climate(12, 20, 0), Climate(26, 20, 0)


@pytest.fixture(scope="module")
def judged():
    """Plans with the cameras that show each of their objects."""
    plans = [plan_hard_scene(seed, CONDITIONS[seed % 4]) for seed in SEEDS]
    return [(plan, cameras_of(plan)) for plan in plans]


# Climate -------------------------------------------------------------------------------------------------------------
def test_the_sun_shines_by_day_and_clouds_dim_it():
    assert NOON.sun() == pytest.approx(1) and NIGHT.sun() == Climate(19, 20, 0).sun() == 0
    assert replace(NOON, cloud=1.0).sun() == pytest.approx(0.2)
    assert NOON.daylight > 100 * NIGHT.daylight > 0


def test_asphalt_stays_warm_after_the_sun_has_gone():
    assert NOON.apparent(ASPHALT) > NOON.apparent(WALL) > NOON.air
    assert Climate(19, 20, 0).apparent(ASPHALT) > 21 > Climate(22, 20, 0).apparent(ASPHALT)


def test_metal_mirrors_the_cold_sky():
    clear, cloudy = (Climate(26, 20, cloud).apparent(METAL) for cloud in (0, 1))
    assert clear < 10 < cloudy


def test_a_person_crosses_over_on_a_hot_day_and_stands_out_on_a_cold_one():
    cold, hot = Climate(26, 0, 1), Climate(26, 35, 1)
    assert cold.celsius(244, 0) == SKIN and cold.celsius(200, 0) - cold.celsius(88, -1) > 10
    assert abs(hot.celsius(200, 0) - hot.celsius(88, -1)) < 3


# Cameras -------------------------------------------------------------------------------------------------------------
def test_darkness_is_amplified_with_its_noise():
    def noise(radiance: float) -> float:
        image = np.full((40, 50, 3), radiance)
        drawn = visible_camera(image, np.random.default_rng(0), noise=True).astype(float)
        assert np.ptp(visible_camera(image, np.random.default_rng(0), noise=False)) == 0
        return drawn.std()

    assert noise(0.004) > 3 * noise(0.4) > 0


def test_lights_bloom():
    image = np.zeros((100, 120, 3))
    image[48:52, 58:62] = 1
    drawn = visible_camera(image, np.random.default_rng(0), noise=False)
    assert drawn[44, 60].min() > 20 and drawn[5, 5].max() == 0


def test_little_warmth_is_not_blown_up():
    flat, contrast = np.full((40, 50), 20.0), np.full((40, 50), 20.0)
    flat[10:20, 10:20], contrast[10:20, 10:20] = 21, 40
    levels = [np.ptp(thermal_camera(image, np.random.default_rng(0), noise=False)) for image in (flat, contrast)]
    assert levels[0] < 40 and levels[1] == 255


# Scenes --------------------------------------------------------------------------------------------------------------
def test_the_seed_decides_everything():
    a, b, other = (render_pair(seed, 96, hard=True) for seed in (6, 6, 10))
    assert np.array_equal(a.visible, b.visible) and np.array_equal(a.infrared, b.infrared)
    assert np.array_equal(a.boxes_xyxy, b.boxes_xyxy) and a.shown_in == b.shown_in
    assert a.condition == other.condition == "night" and not np.array_equal(a.visible, other.visible)
    assert a.visible.shape == (76, 96, 3) and a.infrared.shape == (76, 96)
    assert a.visible.dtype == a.infrared.dtype == np.uint8


def test_the_size_changes_no_object():
    small, large = (render_pair(3, size, hard=True) for size in (100, 200))
    assert small.shown_in == large.shown_in and np.allclose(2 * small.boxes_xyxy, large.boxes_xyxy)


def test_every_camera_is_needed(judged):
    counts = Counter(cameras for _, seen in judged for cameras in seen)
    assert set(counts) == {"both", "visible", "infrared", ""}
    assert all(counts[key] > 0.06 * counts.total() for key in ("both", "visible", "infrared"))
    assert counts[""] < 0.2 * counts.total()


def test_an_object_shows_where_it_is_said_to(judged):
    """By a count of its own: the largest difference that the object alone makes, without the sensors' noise."""
    for plan, seen in judged[:4]:
        height = JUDGED_AT * 4 // 5
        for i, cameras in enumerate(seen):
            without = replace(plan, objects=plan.objects[:i] + plan.objects[i + 1 :])
            images = zip(*(draw_hard_scene(p, JUDGED_AT, noise=False) for p in (plan, without)), strict=True)
            x0, y0, x1, y1 = (plan.objects[i].box_xyxy * height).astype(int)
            for camera, (a, b) in zip(("visible", "infrared"), images, strict=True):
                if cameras in ("both", camera):
                    assert np.abs(a.astype(int) - b)[y0 : y1 + 1, x0 : x1 + 1].max() > 12


def test_clear_weather_shows_everything_and_moves_nothing():
    for seed in (0, 3):
        pair, full, cold = (
            render_pair(seed, 160, hard=True, **more)
            for more in ({}, {"everything_visible": True}, {"everything_infrared": True})
        )
        assert np.array_equal(pair.boxes_xyxy, full.boxes_xyxy) and np.array_equal(pair.boxes_xyxy, cold.boxes_xyxy)
        assert set(full.shown_in) == {"both"} and "visible" not in cold.shown_in
        assert pair.condition == full.condition


def test_a_dataset_of_hard_scenes(tmp_path):
    path = write_dataset(tmp_path / "hard", train=2, val=1, imgsz=64, hard=True)
    assert len(list((path.parent / "infrared" / "train").iterdir())) == 2
    rows = (path.parent / "shown_in.csv").read_text().splitlines()[1:]
    assert {row.split(",")[-1] for row in rows} <= set(CONDITIONS)
