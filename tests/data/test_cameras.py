"""Cameras by name: their files pair up, their views lie on each other, and their temperatures are read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.data.cameras import CAMERAS, camera_keys
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, file_pairs
from metafusion_yolo.options import CAMERAS as NAMES
from metafusion_yolo.options import Init
from metafusion_yolo.prepare.init import init_dataset
from tests.data.test_radiometric import write_flir


def through(focal: float, size: tuple[int, int], angles: np.ndarray) -> np.ndarray:
    """Return where a lens of this 35 mm focal length shows directions (K, 2), given as tangents: pixels."""
    return focal / 43.2666 * np.hypot(*size) * angles + (np.array(size) - 1) / 2


@pytest.mark.parametrize("name", [name for name in NAMES if CAMERAS[name].visible])
@pytest.mark.parametrize("shrink", [1, 4])
def test_far_objects_lie_on_each_other_by_the_published_lenses(name, shrink):
    camera = CAMERAS[name]
    rig = Rig.from_yaml({"camera": name})
    angles = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 2))
    size = camera.size[0] // shrink, camera.size[1] // shrink
    matrix = rig.homography("DCIM/DJI_0001_V.JPG", size, camera.infrared_size)
    seen = cv2.perspectiveTransform(through(camera.focal[1], camera.infrared_size, angles)[None], matrix)[0]
    assert np.abs(seen - through(camera.focal[0], size, angles)).max() < 1e-6


def test_what_the_yaml_says_goes_before_the_camera():
    rig = Rig.from_yaml({"camera": "dji-h20t", "thermal": {"invert": True}, "registration": None})
    assert rig.thermal.unit is None
    assert rig.registration.matrix == tuple(map(tuple, camera_keys("dji-h20t")["registration"]["matrix"]))
    assert Rig.from_yaml(rig.to_yaml()) == rig


@pytest.mark.parametrize(
    ("name", "counts", "celsius"),
    [
        ("flir-lepton", 30315, 30.0),
        ("infiray-p2-pro", 19200, 26.85),
        ("optris", 1365, 36.5),
    ],
)
def test_counts_of_a_thermal_camera_are_what_its_maker_says(tmp_path, name, counts, celsius):
    np.save(tmp_path / "1.npy", np.full((12, 16), counts, np.uint16))
    reader = PairReader(Rig.from_yaml({"camera": name}))
    read = reader.rig.thermal.temperatures(reader.counts(tmp_path / "1.npy").astype(float))
    assert read == pytest.approx(np.full((12, 16), celsius), abs=0.01)
    with pytest.raises(ValueError, match=f"camera={name} writes thermal images alone; give their folder as infrared="):
        init_dataset(Init(tmp_path, camera=name))


def test_a_folder_of_a_camera_becomes_a_data_set_with_temperatures(tmp_path):
    pytest.importorskip("flyr")
    folder, rng = tmp_path / "DCIM", np.random.default_rng(0)
    folder.mkdir()
    scene = rng.uniform(5, 60, (128, 160))
    for number in range(2):
        stem = f"DJI_2024060112000{number}_000{number}"
        for end in "VZ":
            cv2.imwrite(str(folder / f"{stem}_{end}.JPG"), rng.integers(0, 255, (300, 400, 3), np.uint8))
        write_flir(folder / f"{stem}_T.JPG", scene)
    found, _ = init_dataset(Init(folder, camera="dji-m3t", dst=tmp_path / "pairs"))
    assert yaml.safe_load(found.yaml.read_text())["camera"] == "dji-m3t"
    assert len(found.pairing.pairs) == 2
    rig = Rig.of_file(found.yaml)
    [(visible, infrared), _] = file_pairs(str(folder / "*_V.JPG"), BY_RULE, rig.pairing)
    assert infrared == visible.replace("_V.", "_T.")
    reader = PairReader(rig)
    heat = reader.thermogram(reader.counts(infrared), (400, 300), visible)
    whole = heat.under(np.array([[0, 0], [400, 0], [400, 300], [0, 300]]))
    assert whole[:3] == pytest.approx((scene.min(), scene.mean(), scene.max()), abs=0.1)
