"""Data sets as users have them: registered cameras, lists, odd names and layouts, and YAMLs that are wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.options import Check
from metafusion_yolo.prepare.check import check_dataset, run_check
from tests.prepare.check.test_faults import change, describe, found_in, shifted


def test_registration_in_the_yaml_heals_a_turned_camera(dataset):
    for file in (dataset / "infrared").rglob("*.png"):
        change(file, shifted(8, 4))
    assert {*found_in(dataset)} == {"misregistered"}
    describe(dataset, registration=[[1, 0, -8], [0, 1, -4], [0, 0, 1]])
    assert found_in(dataset) == {}


def test_registered_cameras_may_differ_in_shape(dataset):
    for file in (dataset / "infrared").rglob("*.png"):
        change(file, lambda image: image[10:-30, 40:-20])
    assert {*found_in(dataset)} >= {"shape-mismatch"}
    describe(dataset, registration=[[1, 0, 40], [0, 1, 10], [0, 0, 1]])
    assert found_in(dataset) == {}


def test_wrong_registration_is_found(dataset):
    describe(dataset, registration=[[1, 0, 12], [0, 1, 0], [0, 0, 1]])
    assert {*found_in(dataset)} == {"misregistered"}


def test_registration_that_shows_nothing_is_refused(dataset):
    describe(dataset, registration=[[1, 0, 900], [0, 1, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match=r"the infrared image would lie beside the visible one of .*, at x 900 to"):
        check_dataset(dataset / "synthetic.yaml")


def test_what_does_not_pair_up_is_told_by_name(dataset):
    (dataset / "infrared/train/000002.png").unlink()
    shutil.copy(dataset / "infrared/train/000003.png", dataset / "infrared/train/000003.bmp")
    text = check_dataset(dataset / "synthetic.yaml").summary()
    assert "images/train/000002.png (looked for 'infrared/train/000002.*')" in text
    assert "images/train/000003.png ('000003.bmp', '000003.png' in" in text


def test_deep_infrared_is_judged_as_training_sees_it(dataset):
    for file in (dataset / "infrared").rglob("*.png"):
        rng = np.random.default_rng(0)
        change(file, lambda image, rng=rng: 7000 + image.astype(np.uint16) + rng.integers(0, 2, image.shape, np.uint16))
    describe(dataset, thermal={"normalize": "fixed", "range": [7000, 7256]})
    report = check_dataset(dataset / "synthetic.yaml")
    assert report.findings == []
    assert {pair.infrared.depth for pair in report.measured} == {"uint16"}
    assert all(20 < pair.infrared.brightness < 235 for pair in report.measured)


def test_lists_folders_of_drives_and_odd_names(rendered, tmp_path):
    root = tmp_path / "my pairs ü"
    for i, name in enumerate(("drive 1", "drive 2")):
        for kind, suffix in (("images", "png"), ("infrared", "png"), ("labels", "txt")):
            (root / kind / name).mkdir(parents=True)
            for j in range(7 * i, 7 * i + 7):
                shutil.copy(rendered / kind / f"train/{j:06d}.{suffix}", root / kind / name / f"a b {j}.{suffix}")
    files = sorted((root / "images").rglob("*.png"))
    (root / "train.txt").write_text("\n".join(map(str, files[:7])), encoding="utf-8")
    (root / "val.txt").write_text("\n".join(f"./{file.relative_to(root)}" for file in files[7:]), encoding="utf-8")
    content = {"path": str(root), "train": "train.txt", "val": "val.txt", "names": ["person", "car"]}
    (root / "synthetic.yaml").write_text(yaml.safe_dump(content))
    report = check_dataset(root / "synthetic.yaml")
    assert report.findings == [] and report.splits() == {"train": 7, "val": 7}
    assert [report.short(sequence.name) for sequence in report.sequences] == [
        "images/drive 1/a b ",
        "images/drive 2/a b ",
    ]
    (root / "infrared/drive 2/a b 8.png").unlink()
    assert found_in(root) == {"missing-partner": ["images/drive 2/a b 8.png"]}


def test_partners_and_labels_lie_beside_a_linked_split_as_in_training(dataset, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (dataset / "images/train").rename(elsewhere)
    (dataset / "images/train").symlink_to(elsewhere)
    assert found_in(dataset) == {}


def test_both_cameras_in_one_folder(rendered, tmp_path):
    for split in ("train", "val"):
        (tmp_path / "pairs" / split).mkdir(parents=True)
        for file in (rendered / "images" / split).iterdir():
            target = tmp_path / "pairs" / split / file.stem
            shutil.copy(file, f"{target}_co.png")
            shutil.copy(rendered / "infrared" / split / file.name, f"{target}_ir.png")
            shutil.copy(rendered / "labels" / split / f"{file.stem}.txt", f"{target}_co.txt")
    content = {"path": str(tmp_path / "pairs"), "train": "train", "val": "val", "names": ["person", "car"]}
    data = tmp_path / "pairs" / "synthetic.yaml"
    data.write_text(yaml.safe_dump({**content, "infrared": {"from": "_co.png", "to": "_ir.png"}}))
    report = check_dataset(data)
    assert report.findings == [] and len(report.measured) == 22


def test_polygons_are_boxes(dataset):
    for file in (dataset / "labels").rglob("*.txt"):
        rows = []
        for row in file.read_text().splitlines():
            cls, x, y, w, h = map(float, row.split())
            left, right, top, bottom = x - w / 2, x + w / 2, y - h / 2, y + h / 2
            rows.append(f"{cls:g} {left} {top} {right} {top} {right} {bottom} {left} {bottom}")
        file.write_text("\n".join(rows))
    assert found_in(dataset) == {}


def test_an_empty_label_file_is_background(dataset):
    (dataset / "labels/train/000003.txt").write_text("\n")
    assert found_in(dataset) == {}


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"names": None}, ValueError, "names"),
        ({"thermal": {"normalise": "minmax"}}, ValueError, "did you mean 'normalize'"),
        ({"registration": [[1, 0], [0, 1]]}, ValueError, "3 x 3"),
        ({"infrared": {"form": "a", "to": "b"}}, ValueError, "did you mean 'from'"),
    ],
)
def test_a_wrong_yaml_is_the_mistake_of_the_user(dataset, content, error, message):
    describe(dataset, **content)
    with pytest.raises(error, match=message):
        check_dataset(dataset / "synthetic.yaml")


def test_the_report_must_be_a_file(dataset):
    with pytest.raises(ValueError, match="is a folder; name a file in it"):
        run_check(Check(dataset / "synthetic.yaml", report=dataset))


def test_a_folder_is_no_yaml(dataset):
    with pytest.raises(ValueError, match="is a folder; name the data-set YAML"):
        check_dataset(dataset)


def test_nothing_is_written_but_the_report(dataset):
    before = {file: file.stat().st_mtime_ns for file in dataset.rglob("*")}
    _, path = run_check(Check(dataset / "synthetic.yaml", project=dataset.parent / "runs"))
    assert {file: file.stat().st_mtime_ns for file in dataset.rglob("*")} == before
    written = [file for file in (dataset.parent / "runs").rglob("*") if file.is_file()]
    assert sorted(written) == [Path(path).with_name("check.json"), Path(path)]


def test_a_colour_file_of_grey_is_no_colour(dataset):
    for file in (dataset / "infrared").rglob("*.png"):
        image = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2BGR)
        cv2.imwrite(str(file.with_suffix(".jpg")), image)
        file.unlink()
    assert found_in(dataset) == {}
