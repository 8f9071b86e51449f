"""`metafusion data register`: what it writes into the YAML, that reading follows it, and when it writes nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from ultralytics.utils import LOGGER

from metafusion_yolo.data.reading import PairReader, read_visible
from metafusion_yolo.data.registration import Registration
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.options import Register
from metafusion_yolo.prepare import register
from metafusion_yolo.prepare.register import register_dataset
from metafusion_yolo.prepare.register.estimate import Estimate, RegistrationError
from metafusion_yolo.prepare.register.homography import corner_distance, similarity
from metafusion_yolo.support.resources import find_data_yaml
from tests.prepare.register.test_estimate import SIZE, scene, warped

WARP = similarity(SIZE, 1.06, np.deg2rad(3), (9, -7))
OTHER = similarity(SIZE, 0.95, np.deg2rad(-2), (-8, 6))
HAND = [[0.5, 0, 3], [0, 0.5, 4], [0, 0, 1]]
COMMENTS = (
    "# my rig\npath: {root} # here\ntrain: images/train\nval: images/val\n\nnames: # two\n  0: person\n  1: car\n"
)


@pytest.fixture
def rig_folder(tmp_path):
    """Return the YAML of six pairs in `train` and six in `val`, warped alike."""
    return write_rig(tmp_path, WARP, WARP)


def write_rig(root: Path, *warps: np.ndarray) -> Path:
    for split, warp in zip(("train", "val"), warps, strict=True):
        for part in ("images", "infrared", "labels"):
            (root / part / split).mkdir(parents=True)
        for seed in range(6):
            visible, infrared = scene(seed + 50 * (split == "val"))
            cv2.imwrite(str(root / "images" / split / f"{seed}.png"), visible)
            cv2.imwrite(str(root / "infrared" / split / f"{seed}.png"), warped(infrared, warp))
            (root / "labels" / split / f"{seed}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    file = root / "my.yaml"
    file.write_text(COMMENTS.format(root=root))
    return file


@pytest.fixture
def estimates(monkeypatch):
    """Return the list of matrices that stand in for estimates, in order; or problems."""
    answers: list = []

    def answer(pairs, progress=None):
        given = answers.pop(0)
        values = {"spread": 0.001, "agreement": 0.3, "stand_out": 1.0 if isinstance(given, str) else 2.0}
        matrix = np.eye(3) if isinstance(given, str) else given
        return Estimate(matrix, SIZE, SIZE, 4, pairs=len(pairs), **values)

    monkeypatch.setattr(register, "estimate_registration", answer)
    return answers


@pytest.fixture
def said(monkeypatch):
    """Return what is logged."""
    lines: list[str] = []
    monkeypatch.setattr(LOGGER, "info", lines.append)
    return lines


def of(file: Path) -> Registration:
    return Registration.from_yaml(yaml.safe_load(file.read_text())["registration"])


def distance(matrix, expected) -> float:
    return corner_distance(np.array(matrix), expected, SIZE, SIZE)


# From files to aligned pairs -----------------------------------------------------------------------------------------
def test_a_rig_is_registered_and_read_aligned(rig_folder, tmp_path, said):
    before = rig_folder.read_text()
    register_dataset(Register(rig_folder, pairs=8, project=tmp_path / "runs"))
    assert rig_folder.read_text().startswith(before)
    registration = of(rig_folder)
    assert distance(registration.matrix, WARP) < 0.005
    assert (registration.visible, registration.infrared) == (SIZE, SIZE)
    overlays = sorted((tmp_path / "runs" / "register").iterdir())
    assert len(overlays) == register.SHOWN
    assert cv2.imread(str(overlays[0])).shape == (SIZE[1], 2 * SIZE[0], 3)
    assert any("two halves of the pairs differ by" in line for line in said)

    reader = PairReader(Rig.from_yaml(yaml.safe_load(rig_folder.read_text())))
    seen = cv2.warpPerspective(np.full(SIZE[::-1], 255, np.uint8), WARP, SIZE) == 255
    seen = cv2.erode(seen.astype(np.uint8), np.ones((9, 9))) > 0
    for seed in range(6):
        visible, infrared = (rig_folder.parent / part / "train" / f"{seed}.png" for part in ("images", "infrared"))
        pair = reader.read(visible, infrared)
        assert np.array_equal(pair[..., :3], read_visible(visible))  # and so the boxes, which are the visible image's
        twice = cv2.warpPerspective(warped(scene(seed)[1], WARP), WARP, SIZE)
        assert np.abs(pair[seen][:, 3].astype(int) - twice[seen]).mean() < 5
        raw = PairReader(Rig()).read(visible, infrared)
        assert np.abs(raw[seen][:, 3].astype(int) - twice[seen]).mean() > 15


def test_exchanged_partners_write_nothing(rig_folder, tmp_path):
    for split in ("train", "val"):
        folder = rig_folder.parent / "infrared" / split
        for i in range(6):
            (folder / f"{i}.png").rename(folder / f"{(i + 1) % 6}.new")
        for file in folder.glob("*.new"):
            file.rename(file.with_suffix(".png"))
    before = rig_folder.read_text()
    with pytest.raises(RegistrationError, match=r"^not registered, nothing written: no position stands out"):
        register_dataset(Register(rig_folder, pairs=8, project=tmp_path / "runs"))
    assert rig_folder.read_text() == before and not (tmp_path / "runs").exists()


# Writing -------------------------------------------------------------------------------------------------------------
def test_a_second_run_starts_from_the_files_and_replaces_the_section(rig_folder, tmp_path, estimates, said):
    estimates += [OTHER, WARP, WARP]
    register_dataset(Register(rig_folder, project=tmp_path / "runs"))
    text = rig_folder.read_text()
    rig_folder.write_text(f"{text}# the end\ntest: images/val\n")
    register_dataset(Register(rig_folder, project=tmp_path / "runs"))
    text = rig_folder.read_text()
    assert text.count("registration:") == 1 and text.endswith("# the end\ntest: images/val\n")
    assert distance(of(rig_folder).matrix, WARP) < 1e-6
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["register", "register-2"]
    assert register_dataset(Register(rig_folder, project=tmp_path / "runs")) is None
    assert rig_folder.read_text() == text
    assert said[-1] == f"Registered as '{rig_folder}' says, within 0.00% of the width: nothing to write."


def test_registered_files_need_no_section(rig_folder, tmp_path, estimates, said):
    estimates.append(similarity(SIZE, 1.001, 0, (0.3, 0.2)))
    before = rig_folder.read_text()
    assert register_dataset(Register(rig_folder, project=tmp_path / "runs")) is None
    assert "Registered as they are" in said[-1] and rig_folder.read_text() == before


def test_a_dry_run_shows_and_leaves_the_yaml(rig_folder, tmp_path, estimates):
    estimates.append(WARP)
    before = rig_folder.read_text()
    assert distance(register_dataset(Register(rig_folder, project=tmp_path / "runs", dry_run=True)).matrix, WARP) < 1e-6
    assert rig_folder.read_text() == before and len(list((tmp_path / "runs").rglob("*.png"))) == register.SHOWN


def test_each_sequence_gets_its_matrix(tmp_path, estimates):
    file = write_rig(tmp_path, WARP, OTHER)
    estimates += [WARP, OTHER]
    register_dataset(Register(file, per="sequence", project=tmp_path / "runs"))
    registration = of(file)
    assert registration.matrix is None and list(registration.sequences) == ["images/train", "images/val"]
    for split, warp in (("train", WARP), ("val", OTHER)):
        found = registration.homography(tmp_path / "images" / split / "0.png", SIZE, SIZE)
        assert distance(found, warp) < 1e-6
    assert {path.name.rpartition("-")[0] for path in tmp_path.glob("runs/register/*")} == {
        "images-train",
        "images-val",
    }


def test_one_bad_sequence_is_named_and_nothing_written(rig_folder, tmp_path, estimates):
    estimates += [WARP, "bad"]
    before = rig_folder.read_text()
    with pytest.raises(RegistrationError, match=r"nothing written: 'images/val': no position stands out") as caught:
        register_dataset(Register(rig_folder, per="sequence", project=tmp_path / "runs"))
    assert "images/train" not in str(caught.value)
    assert rig_folder.read_text() == before and not (tmp_path / "runs").exists()


def test_the_parallax_of_the_lenses_is_kept(rig_folder, tmp_path, estimates, said):
    lenses = {"parallax": [30.0, 0.0], "distance": 12.0}
    content = yaml.safe_load(rig_folder.read_text())
    content["registration"] = {"matrix": np.eye(3).tolist(), **lenses}
    rig_folder.write_text(yaml.safe_dump(content))
    estimates += [WARP]
    register_dataset(Register(rig_folder, project=tmp_path))
    written = yaml.safe_load(rig_folder.read_text())["registration"]
    assert {key: written[key] for key in (*lenses, "at")} == {**lenses, "at": 12.0}
    assert any("taken to hold at 12 m" in line for line in said)


def test_a_second_distance_gives_the_parallax_of_the_lenses(rig_folder, tmp_path, estimates, said):
    near = WARP.copy()
    near[0, 2] += 35 * (1 / 5 - 1 / 20)
    estimates += [WARP, near]
    register_dataset(Register(rig_folder, project=tmp_path, at=20))
    assert (of(rig_folder).at, of(rig_folder).parallax) == (20, None)
    register_dataset(Register(rig_folder, project=tmp_path, at=5))
    written = of(rig_folder)
    assert written.parallax == pytest.approx((35, 0), abs=0.01) and written.distance == 5
    assert distance(written.homography(None, SIZE, SIZE), near) < 1e-5
    assert any(line.startswith("Parallax:") and "from 20 m and 5 m" in line for line in said)


def test_a_matrix_by_hand(rig_folder, tmp_path):
    register_dataset(Register(rig_folder, matrix=HAND, project=tmp_path / "runs"))
    registration = of(rig_folder)
    assert np.array_equal(registration.matrix, HAND)
    assert (registration.visible, registration.infrared) == (SIZE, SIZE)
    assert "given by hand" in rig_folder.read_text()


# Mistakes ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pairs": 5}, "'pairs=5' is invalid, expected at least 6: pairs to estimate from"),
        ({"matrix": [[1, 2], [3, 4]]}, "registration: matrix in the arguments must be a 3 x 3 matrix of numbers, not"),
        ({"matrix": [[1, 0, 0], [0, 0, 0], [0, 0, 1]]}, "registration: matrix in the arguments cannot be inverted"),
        ({"matrix": [[1, 0, 9000], [0, 1, 0], [0, 0, 1]]}, "would lie beside the visible one"),
        ({"at": 5.0, "per": "sequence"}, "at= and board= are for the whole data set; leave out per=sequence"),
        ({"board": "9by6"}, "board='9by6' is invalid, expected its inner corners, across and down, such as 9x6"),
        ({"visible": "rtsp://a/b"}, "visible=rtsp://a/b is a live camera; give the other one as infrared="),
        ({"per": "sequences"}, "'per=sequences' is invalid, did you mean 'sequence'?"),
        ({"matrix": HAND, "per": "sequence"}, "matrix= is for the whole data set; leave out per=sequence"),
    ],
)
def test_wrong_arguments_cost_no_time(rig_folder, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        register_dataset(Register(rig_folder, project=tmp_path / "runs", **arguments))
    assert "registration" not in rig_folder.read_text() and not (tmp_path / "runs").exists()


def test_yamls_of_the_package_are_not_changed(tmp_path):
    file = Path(find_data_yaml("roadscene"))
    before = file.read_text()
    with pytest.raises(ValueError, match=r"roadscene.yaml' is part of the package; copy it to a folder of yours and"):
        register_dataset(Register("roadscene", project=tmp_path / "runs"))
    assert file.read_text() == before


@pytest.mark.parametrize("name", ["nowhere.yaml", "my.txt", "."])
def test_a_missing_yaml_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").touch()
    with pytest.raises(FileNotFoundError, match=f"no data-set YAML '{name}'; give a file with path, train, val"):
        register_dataset(Register(name))


def test_a_missing_partner_is_named(rig_folder, tmp_path):
    (rig_folder.parent / "infrared" / "val" / "3.png").unlink()
    with pytest.raises(ValueError, match=r"1 problem in .*my.yaml:\n  no infrared image for '.*images/val/3.png'"):
        register_dataset(Register(rig_folder, project=tmp_path / "runs"))
