"""How two cameras go together, as a YAML says it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from metafusion_yolo.data.registration import Registration, scaling
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.thermal import Thermal

SHIFT = [[1, 0, 5], [0, 1, -3], [0, 0, 1]]
TILT = [[1.02, 0.01, 4.5], [-0.01, 0.98, 2.25], [1e-5, -2e-5, 1]]


def at(homography: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return where a point goes."""
    u, v, w = homography @ (x, y, 1)
    return np.array([u / w, v / w])


# Registration ---------------------------------------------------------------------------------------------------------
def test_bare_matrix_maps_infrared_to_visible_pixels():
    registration = Registration.from_yaml(SHIFT)
    np.testing.assert_allclose(at(registration.homography(None, (64, 48), (64, 48)), 10, 10), [15, 7])


def test_no_registration_is_none():
    assert Registration.from_yaml(None) is None
    assert Rig().homography("a.png", (64, 48), (64, 48)) is None


def test_matrix_follows_the_sizes_of_the_images():
    registration = Registration.from_yaml({"matrix": TILT, "visible": [640, 512], "infrared": [320, 256]})
    measured = registration.homography(None, (640, 512), (320, 256))
    np.testing.assert_allclose(measured, TILT)
    halved = registration.homography(None, (320, 256), (160, 128))
    corner = np.array([159.5, 127.5])  # the far corner of the infrared image: pixel centres are whole numbers
    there = at(measured, *(2 * corner + 0.5))
    np.testing.assert_allclose(at(halved, *corner), (there - 0.5) / 2)


def test_scaling_keeps_the_corners():
    resize = scaling((64, 48), (640, 240))
    np.testing.assert_allclose(at(resize, -0.5, -0.5), [-0.5, -0.5])
    np.testing.assert_allclose(at(resize, 63.5, 47.5), [639.5, 239.5])


@pytest.mark.parametrize(
    ("file", "x"),
    [
        ("/d/images/train/a/1.png", 1),
        ("/d/images/train/b/1.png", 2),
        ("/d/images/val/b/1.png", 3),
        ("/d/images/train/c/1.png", 9),
        ("/d/images/train/ab/1.png", 9),
        (None, 9),
    ],
)
def test_sequence_is_the_longest_folder_that_matches(file, x):
    matrices = {name: [[1, 0, i + 1], [0, 1, 0], [0, 0, 1]] for i, name in enumerate(("a", "train/b", "b"))}
    whole = [[1, 0, 9], [0, 1, 0], [0, 0, 1]]
    registration = Registration.from_yaml({"matrix": whole, "sequences": matrices})
    assert registration.homography(file, (64, 48), (64, 48))[0, 2] == x


def test_sequence_without_a_matrix_shows_the_same_as_the_visible_image():
    registration = Registration.from_yaml({"sequences": {"a": SHIFT}})
    assert registration.homography("images/b/1.png", (64, 48), (64, 48)) is None
    assert registration.homography("images/a/1.png", (64, 48), (64, 48)) is not None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"matriks": SHIFT}, "unknown key 'matriks' under 'registration:' in d.yaml, did you mean 'matrix'"),
        ({}, "'registration:' in d.yaml holds no matrix; give 'matrix:', 3 x 3, or 'sequences:'"),
        (
            [[1, 0], [0, 1]],
            r"registration: matrix in d.yaml must be a 3 x 3 matrix of numbers, not \[\[1, 0\], \[0, 1\]\]",
        ),
        ("identity", "must be a 3 x 3 matrix of numbers, not 'identity'"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, float("nan")]], "3 x 3 matrix of numbers"),
        ([[1, 0, 0], [1, 0, 0], [0, 0, 1]], "cannot be inverted"),
        ({"matrix": SHIFT, "visible": [640]}, r"visible in d.yaml must be \[width, height\] in pixels, not \[640\]"),
        ({"matrix": SHIFT, "infrared": [0, 5]}, r"infrared in d.yaml must be \[width, height\]"),
        ({"sequences": [SHIFT]}, "sequences in d.yaml must map folders to 3 x 3 matrices"),
        ({"sequences": {"a": [1]}}, "registration: sequences: a in d.yaml must be a 3 x 3 matrix"),
    ],
)
def test_wrong_registration_is_refused_in_a_line(section, message):
    with pytest.raises(ValueError, match=message) as caught:
        Registration.from_yaml(section, "d.yaml")
    assert "\n" not in str(caught.value)


# Rig ------------------------------------------------------------------------------------------------------------------
RIGS = {
    "default": Rig(),
    "fixed": Rig("lwir", Thermal("fixed", (7000.5, 9000), invert=True)),
    "registered": Rig({"from": "_co.png", "to": "_ir.png"}, Thermal(scope="sequence"), Registration.from_yaml(TILT)),
    "sequences": Rig(
        registration=Registration.from_yaml(
            {"matrix": SHIFT, "visible": [640, 512], "infrared": [320, 256], "sequences": {"train/a": TILT}}
        )
    ),
}


@pytest.mark.parametrize("name", RIGS)
@pytest.mark.parametrize("form", ["YAML", "metadata"])
def test_rig_survives_a_round_trip(name, form):
    rig = RIGS[name]
    written = rig.to_yaml()
    read = yaml.safe_load(yaml.safe_dump(written)) if form == "YAML" else ast.literal_eval(str(written))
    assert Rig.from_yaml(read) == rig


def test_examples_of_the_documentation_are_valid():
    root = Path(__file__).parents[2]
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "docs" / "data.md").read_text(encoding="utf-8"), re.DOTALL)
    blocks += re.findall(r"`(infrared: .*?)`", (root / "docs" / "data.md").read_text(encoding="utf-8"))
    template = (root / "datasets" / "pairs.yaml").read_text(encoding="utf-8")
    blocks += [template, "\n".join(line[2:] for line in template.splitlines() if re.match(r"# (\w+:|  \w+:)", line))]
    rigs = [Rig.from_yaml(yaml.safe_load(block)) for block in blocks]
    assert len(rigs) == 8
    assert rigs[0].thermal.range == (7000, 9000)
    assert rigs[-2] == Rig()


def test_other_keys_of_the_yaml_are_not_looked_at():
    assert Rig.from_yaml({"path": "x", "names": {0: "a"}, "train": "images"}) == Rig()


def test_file_is_read_and_named(tmp_path):
    file = tmp_path / "d.yaml"
    with pytest.raises(FileNotFoundError, match=f"no data-set YAML '{file}'; give the path of an existing file"):
        Rig.of_file(file)
    file.write_text(yaml.safe_dump({"names": {0: "ä"}, "infrared": "lwir", "thermal": {"invert": True}}))
    assert Rig.of_file(file) == Rig("lwir", Thermal(invert=True))
    for content, message in (
        ("a: [1", "is not valid YAML"),
        ("- a", "does not map keys to values"),
        ("thermal: 5", "must be a mapping"),
    ):
        file.write_text(content)
        with pytest.raises(ValueError, match=message) as caught:
            Rig.of_file(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)
