"""`metafusion data label`, from pairs without labels to corrected ones."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.data.labels import read_labels
from metafusion_yolo.data.shown_in import ShownIn
from metafusion_yolo.labelling.corrections import by_pair
from metafusion_yolo.labelling.dataset import label_pairs
from metafusion_yolo.labelling.found import Pair
from metafusion_yolo.labelling.machine import classes_of
from metafusion_yolo.labelling.pairs import of_yaml
from metafusion_yolo.options import Init, Label
from metafusion_yolo.prepare.init import init_dataset
from metafusion_yolo.support.errors import UserError, UserValueError

QUICK = {"imgsz": 320, "conf": 0.2, "device": "cpu"}


@pytest.fixture
def roads(few_roads) -> Path:
    """Four validation pairs without labels; the labels of the others are those of people."""
    pytest.importorskip("ensemble_boxes")
    for label in (few_roads / "labels" / "val").iterdir():
        label.unlink()
    return few_roads


def labels(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.txt"))}


def test_from_pairs_without_labels_to_corrected_ones(roads, yolov8n, tmp_path) -> None:
    data, home, runs = str(roads / "data.yaml"), roads / "labels", tmp_path / "runs"
    people = labels(home / "train")
    report = label_pairs(Label(data, model=str(yolov8n), tasks="cvat,coco", project=str(runs), **QUICK))
    assert (report.pairs, report.kept) == (4, 4)
    assert labels(home / "train") == people
    assert len(labels(home / "val")) == 4
    assert report.boxes["car"] >= 2 and {*report.boxes} <= {"person", "bicycle", "car"}
    assert sum(report.shows_in.values()) == sum(report.boxes.values())
    pictures = sorted((runs / "label" / "pictures").rglob("*.jpg"))
    assert len(pictures) == 8
    assert {cv2.imread(str(file)).shape[:2] for file in pictures if "visible" in file.parts} == {
        cv2.imread(str(file)).shape[:2] for file in pictures if "infrared" in file.parts
    }

    file = runs / "label" / "cvat" / "annotations.xml"
    tree = ElementTree.parse(file)
    image = next(image for image in tree.getroot().iter("image") if len(image))
    kept = len(image) - 1
    image.remove(image[0])  # a person removes a box
    tree.write(file)
    label = home / "val" / f"{Path(image.attrib['name']).stem}.txt"
    again = label_pairs(Label(data, corrected=str(file)))
    assert (again.pairs, again.kept) == (4, 0)
    assert len(read_labels(label).classes) == kept
    assert len(ShownIn(roads).of(label, read_labels(label).classes.tolist()) or ()) == kept

    corrected = labels(home / "val")
    unasked = label_pairs(Label(data, model=str(yolov8n), project=str(runs), **QUICK))
    assert (unasked.pairs, unasked.kept) == (0, 8)
    assert labels(home / "val") == corrected
    image.remove(image[0]) if len(image) else None
    assert label_pairs(Label(data, corrected=str(file))).kept == 4  # now the work of people
    assert label_pairs(Label(data, corrected=str(file), overwrite=True)).pairs == 4


def test_two_folders_become_a_data_set(roads, yolov8n, tmp_path) -> None:
    folders = {camera: str(roads / part / "val") for camera, part in (("visible", "images"), ("infrared", "infrared"))}
    chosen = {"classes": "car", "tasks": "none", "project": str(tmp_path / "runs"), "model": str(yolov8n)}
    report = label_pairs(Label(**folders, **chosen, **QUICK))
    assert {*report.boxes} == {"car"}
    [file] = report.files
    content = yaml.safe_load(file.read_text())
    assert (content["names"], content["val"]) == ({0: "car"}, "val.csv")
    job = of_yaml(str(file))
    assert {pair.label for part in ("train", "val") for pair in job.pairs[part]} == {
        *(roads / "labels" / "val").glob("*.txt")
    }
    assert {pair.key for part in job.pairs.values() for pair in part} == {
        file.stem for file in Path(folders["visible"]).iterdir()
    }
    drafted = init_dataset(Init(**folders, dst=tmp_path / "pairs"))[0]  # finds the labels
    assert drafted.labelled
    for label in (roads / "labels" / "val").iterdir():
        label.unlink()
    drafted = init_dataset(Init(**folders, dst=tmp_path / "pairs", exist_ok=True))[0]
    assert not drafted.labelled
    label_pairs(Label(str(drafted.yaml), **chosen, **QUICK))
    assert yaml.safe_load(drafted.yaml.read_text())["names"] == {0: "car"}


def test_keys_are_paths_below_the_data_set(pair_folder) -> None:
    job = of_yaml(str(pair_folder.yaml), ["train"])
    assert [pair.key for pair in job.pairs["train"]] == [f"images/train/{i}" for i in range(4)]
    assert job.names == {0: "person", 1: "car"}


def test_a_list_of_pairs_says_where_the_labels_are(pair_folder) -> None:
    rows = [f"images/train/{i}.png,infrared/train/{3 - i}.png,boxes/{i}.txt\n" for i in range(4)]
    (pair_folder.root / "train.csv").write_text("".join(rows))
    content = yaml.safe_load(pair_folder.yaml.read_text())
    pair_folder.yaml.write_text(yaml.safe_dump({**content, "train": "train.csv"}))
    pairs = of_yaml(str(pair_folder.yaml), ["train"]).pairs["train"]
    assert [Path(pair.infrared).name for pair in pairs] == ["3.png", "2.png", "1.png", "0.png"]
    assert [pair.label for pair in pairs] == [pair_folder.root / "boxes" / f"{i}.txt" for i in range(4)]
    pair_folder.yaml.write_text(yaml.safe_dump({**content, "layout": "horizontal"}))
    with pytest.raises(UserValueError, match="labelling needs a file for each"):
        of_yaml(str(pair_folder.yaml))


def test_classes_go_by_name() -> None:
    model, names = {0: "person", 1: "bicycle", 2: "car"}, {0: "Car", 1: "pedestrian"}
    assert classes_of(model, names, None) == {2: "Car", 0: "pedestrian"}
    assert classes_of(model, names, "pedestrian") == {0: "pedestrian"}
    assert classes_of(model, {}, "car, person") == {0: "person", 2: "car"}
    with pytest.raises(UserValueError, match="cannot label 'person'"):
        classes_of(model, names, "person")


def test_images_that_a_tool_renamed_are_found_by_name_and_guessed_never() -> None:
    pairs = [Pair(key, f"{key}.png", "", Path(f"{key}.txt")) for key in ("images/a/0", "images/b/0", "images/b/1")]
    found = by_pair({"images/a/0.png": [], "data/upload/1.jpg": []}, pairs, "export")
    assert [pair.key for pair in found] == ["images/a/0", "images/b/1"]
    with pytest.raises(UserValueError, match=r"image '0\.png' of 'export' could be any of 2 pairs"):
        by_pair({"0.png": []}, pairs, "export")
    with pytest.raises(UserValueError, match=r"image '2\.png' of 'export' is not a pair of the data set"):
        by_pair({"2.png": []}, pairs, "export")


def test_a_mistake_in_an_export_leaves_every_label_as_it_was(pair_folder, tmp_path) -> None:
    before = labels(pair_folder.root / "labels" / "train")
    size = {"width": 64, "height": 48}
    images = [{"id": i, "file_name": f"images/train/{i}.png", **size} for i in range(2)]
    boxes = [{"id": i, "image_id": i, "category_id": i, "bbox": [1, 1, 9, 9]} for i in range(2)]
    names = [{"id": 0, "name": "person"}, {"id": 1, "name": "dog"}]
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": names}))
    with pytest.raises(UserError, match="class 'dog' is not among the data set's 'person', 'car'"):
        label_pairs(Label(str(pair_folder.yaml), corrected=str(file), overwrite=True))
    assert labels(pair_folder.root / "labels" / "train") == before
    file.write_text(file.read_text().replace("dog", "car"))
    assert label_pairs(Label(str(pair_folder.yaml), corrected=str(file), overwrite=True)).pairs == 2
    found = read_labels(pair_folder.root / "labels" / "train" / "1.txt")
    assert found.classes.tolist() == [1]
    np.testing.assert_allclose(found.boxes_xyxyn[0], (1 / 64, 1 / 48, 10 / 64, 10 / 48), atol=1e-5)
