"""Every format, box by box: a miniature in the published layout becomes exactly these labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from ultralytics.cfg import get_cfg

from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.pairs import expected_by_rule
from metafusion_yolo.data.partners import find_partners
from metafusion_yolo.prepare.convert import FORMATS, convert
from tests.prepare.convert.miniatures import (
    CORNER,
    CORNER_ROW,
    MIDDLE,
    MIDDLE_ROW,
    MINIATURES,
    image,
    kaist_images,
    text,
    voc,
    voc_object,
    write_msrs_detection,
)


def labels_of(dst: Path) -> dict[str, list[str]]:
    folder = dst / "labels"
    files = folder.rglob("*.txt")
    return {file.relative_to(folder).with_suffix("").as_posix(): file.read_text().splitlines() for file in files}


@pytest.fixture
def make(tmp_path):
    """Return the function that writes the miniature of a format, and where."""

    def write(name: str) -> Path:
        MINIATURES[name].write(tmp_path / "src")
        return tmp_path / "src"

    return write


def test_every_format_has_a_miniature() -> None:
    assert FORMATS.keys() == MINIATURES.keys()
    assert all(name == layout.name for name, layout in FORMATS.items())


@pytest.mark.parametrize("name", MINIATURES)
def test_labels_are_those_of_the_data_set(make, tmp_path, name) -> None:
    report = convert(name, make(name), tmp_path / "dst")
    expected = MINIATURES[name].labels
    assert labels_of(tmp_path / "dst") == expected
    assert sum(report.pairs.values()) == len(expected)
    assert sum(sum(by.values()) for by in report.boxes.values()) == sum(map(len, expected.values()))


@pytest.mark.parametrize("name", MINIATURES)
def test_images_pair_up_by_the_rule_of_the_yaml(make, tmp_path, name) -> None:
    report = convert(name, make(name), tmp_path / "dst")
    data = yaml.safe_load(report.yaml.read_text(encoding="utf-8"))
    assert list(data["names"].values()) == list(report.boxes)
    assert data["path"] == str(tmp_path / "dst")
    for split in {data["train"], data["val"], *([data["test"]] if "test" in data else [])}:
        files = [str(file) for file in (tmp_path / "dst" / split).rglob("*.*")]
        partners, problems = find_partners(files, expected_by_rule(data["infrared"]), orphans=True)
        assert (problems, len(partners)) == (
            [],
            len([key for key in MINIATURES[name].labels if f"images/{key}".startswith(split)]),
        )
        for visible, infrared in partners.items():
            assert (Path(visible).suffix, Path(infrared).suffix) == MINIATURES[name].suffixes
            assert (cv2.imread(visible) is not None) and (cv2.imread(infrared) is not None)
    assert {data["train"], data["val"]} <= {f"images/{split}" for split in report.pairs}


@pytest.mark.parametrize("name", [n for n in MINIATURES if n != "drone-vehicle"])
def test_each_image_is_the_published_file(make, tmp_path, name) -> None:
    src = make(name)
    convert(name, src, tmp_path / "dst")
    files = [file for folder in ("images", "infrared") for file in (tmp_path / "dst" / folder).rglob("*.*")]
    assert len(files) == 2 * len(MINIATURES[name].labels)
    assert all(file.is_symlink() and src in file.readlink().parents for file in files)
    assert len({file.readlink() for file in files}) == len(files)


# What is left out ----------------------------------------------------------------------------------------------------
def test_kaist_leaves_out_what_is_ambiguous_or_to_be_ignored(make, tmp_path) -> None:
    report = convert("kaist", make("kaist"), tmp_path / "dst")
    assert report.remarks.counts == {
        "object marked to be ignored": 1,
        "object of a class that is not converted, 'person?'": 1,
    }
    assert report.notes == [
        "split: as published, train-all-02.txt and test-all-20.txt; the test sets validate",
        "labels: annotations (3 frames)",
    ]


def test_drone_vehicle_leaves_out_what_is_no_object(make, tmp_path) -> None:
    report = convert("drone-vehicle", make("drone-vehicle"), tmp_path / "dst")
    assert report.remarks.counts == {
        "box cut to the image (kept)": 2,
        "object of a class that is not converted, '*'": 1,
        "object without a box": 1,
    }
    assert report.remarks.examples["object without a box"].endswith("test/testimg/00001.jpg")


# Oriented boxes and segments -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "form", "first", "expected"),
    [
        ("drone-vehicle", "oriented", "train/00001", (4, [[160, 256], [320, 128], [480, 256], [320, 384]])),
        ("vedai", "oriented", "train/00000000", (0, [[16, 24], [32, 12], [48, 24], [32, 36]])),
        ("msrs", "segments", "train/00001D", (2, [[16, 12], [16, 35], [47, 35], [47, 12]])),
    ],
)
def test_outlines_stay_what_they_are(make, tmp_path, name, form, first, expected) -> None:
    report = convert(name, make(name), tmp_path / "dst", boxes=form)
    assert f"boxes: {form} (of upright and {form})" in report.notes
    number, *values = labels_of(tmp_path / "dst")[first][0].split()
    size = (640, 512) if name == "drone-vehicle" else (64, 48)
    found = np.array(values, float).reshape(-1, 2) * size
    assert (int(number), sorted(found.round().tolist())) == (expected[0], sorted(expected[1]))
    args = get_cfg(overrides={"task": "obb" if form == "oriented" else "segment", "imgsz": 64})
    data = describe(report.yaml, "train")
    dataset = build_paired_dataset(args, data["train"], 1, data, "train", stride=32)  # refuses upright boxes
    assert all(len(label["segments"]) == len(label["cls"]) for label in dataset.labels)


def test_polygons_of_yolo_labels_stay_what_they_are(make, tmp_path) -> None:
    src = make("yolo")
    text(src / "train/labels/1.txt", "1 0.25 0.25 0.75 0.25 0.5 0.75", "0 0.5 0.5 0.5 0.25")
    report = convert("yolo", src, tmp_path / "boxes")
    assert "boxes: upright (of upright and segments)" in report.notes
    assert labels_of(tmp_path / "boxes")["train/1"][0] == "1 0.500000 0.500000 0.500000 0.500000"
    convert("yolo", src, tmp_path / "segments", boxes="segments")
    assert labels_of(tmp_path / "segments")["train/1"] == [
        "1 0.250000 0.250000 0.750000 0.250000 0.500000 0.750000",
        "0 0.250000 0.375000 0.750000 0.375000 0.750000 0.625000 0.250000 0.625000",
    ]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("llvip", {"boxes": "oriented"}, "boxes=oriented: 'llvip' has none, only drone-vehicle, vedai, voc"),
        ("vedai", {"boxes": "segments"}, "boxes=segments: 'vedai' has none, only msrs, yolo"),
        ("drone-vehicle", {"boxes": "oriented", "labels": "union"}, "merges upright boxes, not oriented"),
        ("vedai", {"boxes": "round"}, "'boxes=round'"),
    ],
)
def test_boxes_that_a_data_set_has_not_are_refused(make, tmp_path, name, given, said) -> None:
    with pytest.raises(ValueError, match=said):
        convert(name, make(name), tmp_path / "dst", **given)


# Variants ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("visible", [f"0 {MIDDLE_ROW}"]),
        ("infrared", [f"4 {MIDDLE_ROW}", "1 0.062500 0.062500 0.125000 0.125000"]),
        ("union", [f"0 {MIDDLE_ROW}", f"4 {MIDDLE_ROW}", "1 0.062500 0.062500 0.125000 0.125000"]),
    ],
)
def test_drone_vehicle_has_labels_of_either_camera(make, tmp_path, labels, expected) -> None:
    report = convert("drone-vehicle", make("drone-vehicle"), tmp_path / "dst", labels=labels)
    assert labels_of(tmp_path / "dst")["train/00001"] == expected
    assert f"labels: {labels} (of visible, infrared and union)" in report.notes


def test_drone_vehicle_loses_its_border(make, tmp_path) -> None:
    src = make("drone-vehicle")
    convert("drone-vehicle", src, tmp_path / "dst")
    published = cv2.imread(str(src / "val/valimgr/00001.jpg"))
    cut = cv2.imread(str(tmp_path / "dst/infrared/val/00001.jpg"))
    assert cut.shape == (512, 640, 3)
    assert np.abs(published[100:-100, 100:-100].astype(int) - cut).mean() < 2  # JPEG


def test_drone_vehicle_of_another_size_is_left_out(make, tmp_path) -> None:
    src = make("drone-vehicle")
    image(src / "train/trainimg/00002.jpg", 0, (640, 512))
    image(src / "train/trainimgr/00002.jpg", 0, (640, 512))
    report = convert("drone-vehicle", src, tmp_path / "dst")
    assert report.remarks.counts["pair whose images are not 840x712 pixels"] == 1
    assert "train/00002" not in labels_of(tmp_path / "dst")


def test_kaist_prefers_better_labels_and_reads_all_their_forms(make, tmp_path) -> None:
    src = make("kaist")
    xywh = ("x", "y", "w", "h")
    voc(src / "annotations-xml-new-sanitized/set00/V000/I00001.xml", voc_object("person", (8, 6, 16, 12), xywh))
    text(src / "sanitized_annotations/set00_V000_I00003.txt", "% bbGt version=3", "person 16 12 32 24 0 0 0 0 0 0 0")
    report = convert("kaist", src, tmp_path / "dst")
    labels = labels_of(tmp_path / "dst")
    assert labels["train/set00/V000/I00001"] == [f"0 {CORNER_ROW}"]
    assert labels["train/set00/V000/I00003"] == [f"0 {MIDDLE_ROW}"]
    assert report.notes[1] == (
        "labels: annotations-xml-new-sanitized (1 frames), sanitized_annotations (1 frames), annotations (1 frames)"
    )


def test_kaist_without_lists_takes_all_frames_of_the_sets(make, tmp_path) -> None:
    src = make("kaist")
    shutil.rmtree(src / "imageSets")
    kaist_images(src, ("set11/V001/I00007",))
    report = convert("kaist", src, tmp_path / "dst")
    assert report.pairs == {"train": 2, "test": 1}
    assert report.remarks.counts["pair without labels: label file is missing"] == 2  # I00002, and that of set 11
    assert "all frames of sets 00 to 05" in report.notes[0]


def test_vedai_with_a_file_an_image_and_at_512_pixels(make, tmp_path) -> None:
    src = make("vedai")
    (src / "Vehicules1024").rename(src / "Vehicules512")
    (src / "Annotations1024").rename(src / "Annotations512")
    (src / "Annotations512" / "annotation1024.txt").unlink()
    text(src / "Annotations512/00000000.txt", "32 24 0.5 1 1 0 16 32 48 32 24 12 24 36")
    text(src / "Annotations512/00000001.txt", "32 24 1 1 0")
    text(
        src / "Annotations512/00000002.txt",
        "16 12 0.1 2 1 0 8 24 24 8 6 6 18 18",
        "16 12 0.1 99 1 0 8 24 24 8 6 6 18 18",
    )
    report = convert("vedai", src, tmp_path / "dst")
    assert labels_of(tmp_path / "dst") == {"train/00000000": [f"0 {MIDDLE_ROW}"], "test/00000002": [f"1 {CORNER_ROW}"]}
    assert report.remarks.counts == {
        "pair without labels: row without corners": 1,
        "object of a class that is not converted, 'number 99'": 1,
    }


def test_msrs_detection_subset_is_split_by_scene(tmp_path) -> None:
    write_msrs_detection(tmp_path / "detection")
    report = convert("msrs", tmp_path / "detection", tmp_path / "dst")
    assert report.pairs == {"train": 3, "val": 1}
    assert {tuple(rows) for rows in labels_of(tmp_path / "dst").values()} == {(f"2 {MIDDLE_ROW}", f"0 {CORNER_ROW}")}


def test_msrs_masks_in_colour_are_left_out(make, tmp_path) -> None:
    src = make("msrs")
    image(src / "train/Segmentation_labels/00001D.png", 0)
    report = convert("msrs", src, tmp_path / "dst")
    assert report.remarks.counts["pair without labels: mask of colours instead of class numbers"] == 1


def test_voc_by_folders_with_classes_in_an_order_of_ones_own(tmp_path) -> None:
    for split, i in (("train", 0), ("val", 1)):
        image(tmp_path / f"src/RGB/{split}/seq 1/x.jpg", i)
        image(tmp_path / f"src/thermal/{split}/seq 1/x.tif", i + 9, grey=True)
        voc(tmp_path / f"src/Annotations/{split}/seq 1/x.xml", voc_object("b", MIDDLE), voc_object("a", CORNER))
    text(tmp_path / "src/classes.txt", "b", "a")
    convert("voc", tmp_path / "src", tmp_path / "dst")
    assert labels_of(tmp_path / "dst")["val/seq 1/x"] == [f"0 {MIDDLE_ROW}", f"1 {CORNER_ROW}"]


def test_infrared_arrays_are_images_where_there_is_no_other(make, tmp_path) -> None:
    src = make("voc")
    (src / "infrared" / "c.png").unlink()
    for file in (
        src / "infrared/c.npy",
        src / "infrared/ö.npy",
        src / "infrared/c.1234abcd.pair.npy",
        src / "visible/c.npy",
    ):
        np.save(file, np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    report = convert("voc", src, tmp_path / "dst")
    assert (report.pairs, report.remarks.counts) == ({"train": 2, "val": 1}, {})
    files = sorted(file.name for file in (tmp_path / "dst/infrared").rglob("*.*"))
    assert files == ["a b.png", "c.npy", "ö.png"]


def test_voc_pairs_on_no_list_are_reported(make, tmp_path) -> None:
    src = make("voc")
    text(src / "ImageSets/Main/train.txt", "a b")
    report = convert("voc", src, tmp_path / "dst")
    assert report.remarks.counts == {"pair that no list gives to a split": 1}


def test_coco_without_split_in_folders_takes_that_of_the_files(make, tmp_path) -> None:
    src = make("coco")
    for camera in ("visible", "infrared"):
        for name in ("train/1", "train/2", "val/1"):
            target = src / camera / f"{name.replace('/', '')}.jpg"
            (src / camera / f"{name}.jpg").rename(target)
        for split in ("train", "val"):
            (src / camera / split).rmdir()
    for split, old in (("train", ["1.jpg", "2.jpg"]), ("val", ["1.jpg"])):
        file = src / "annotations" / f"instances_{split}2017.json"
        content = json.loads(file.read_text())
        for item, name in zip(content["images"], old, strict=True):
            item["file_name"] = f"some\\where\\{split}{name}"
        file.write_text(json.dumps(content))
    convert("coco", src, tmp_path / "dst")
    assert labels_of(tmp_path / "dst") == {
        "train/train1": [f"1 {MIDDLE_ROW}", f"0 {CORNER_ROW}"],
        "train/train2": [],
        "val/val1": [f"1 {CORNER_ROW}"],
    }


def test_nothing_in_coco_files_is_dropped_without_a_word(make, tmp_path) -> None:
    src = make("coco")
    file = src / "annotations/instances_train2017.json"
    content = json.loads(file.read_text())
    first, second = content["images"]
    content["annotations"][0]["segmentation"] = [[16, 12, 48, 12, 48, 36]]
    content["annotations"][1]["image_id"] = 77  # the same image, listed once more
    content["images"] = [first, second, {**first, "id": 77}]
    file.write_text(json.dumps(content))
    report = convert("coco", src, tmp_path / "dst")
    assert labels_of(tmp_path / "dst")["train/1"] == [f"1 {MIDDLE_ROW}", f"0 {CORNER_ROW}"]
    assert "segmentation: left behind; boxes are converted" in report.notes
    shutil.copy(file, file.with_name("person_train2017.json"))
    with pytest.raises(ValueError, match=r"person_train2017.json' and another file beside it label '.*1'; put all"):
        convert("coco", src, tmp_path / "dst")


def test_coco_images_of_one_name_in_two_folders_are_told_apart(make, tmp_path) -> None:
    src = make("coco")
    file = src / "annotations/instances_train2017.json"
    content = json.loads(file.read_text())
    for item, name in zip(content["images"], ("train/1.jpg", "elsewhere/1.jpg"), strict=True):
        item["file_name"] = name
    file.write_text(json.dumps(content))
    report = convert("coco", src, tmp_path / "dst")
    assert labels_of(tmp_path / "dst")["train/1"] == [f"1 {MIDDLE_ROW}", f"0 {CORNER_ROW}"]
    assert report.remarks.counts["pair without labels: image is not in the label file"] == 1


def test_yolo_with_labels_of_each_camera(tmp_path) -> None:
    """The infrared images are twice as large: labels are relative, so that does not matter."""
    for split, i in (("train", 0), ("val", 1)):
        image(tmp_path / f"src/images/{split}/1.jpg", i)
        image(tmp_path / f"src/infrared/{split}/1.jpg", i + 9, (128, 96), grey=True)
        text(tmp_path / f"src/labels/visible/{split}/1.txt", f"0 {MIDDLE_ROW}")
        text(tmp_path / f"src/labels/infrared/{split}/1.txt", f"0 {CORNER_ROW}", "0 0.5 0.5 0.5 0.4")
    text(tmp_path / "src/classes.txt", "person")
    expected = {
        "visible": [f"0 {MIDDLE_ROW}"],
        "infrared": [f"0 {CORNER_ROW}", "0 0.500000 0.500000 0.500000 0.400000"],
        None: ["0 0.500000 0.500000 0.500000 0.450000", f"0 {CORNER_ROW}"],
    }
    for labels, rows in expected.items():
        convert("yolo", tmp_path / "src", tmp_path / f"dst-{labels}", labels=labels)
        assert labels_of(tmp_path / f"dst-{labels}")["val/1"] == rows


# Wrong input ---------------------------------------------------------------------------------------------------------
MISSING = {
    "llvip": ("infrared/test", r"no folder '.*/src/infrared/test'; expected visible/\{train,test\}, .*, as LLVIP is"),
    "m3fd": ("Annotation", r"no folder '.*/src/Annotation' \(or Annotations\); expected Vis, Ir and Annotation"),
    "flir-aligned": (
        "align_validation.txt",
        r"no file '.*/src/align_validation.txt'; expected JPEGImages, Annotations",
    ),
    "kaist": ("annotations", r"no folder '.*/src/annotations' \(or .*sanitized\); expected images/setXX/VXXX"),
    "drone-vehicle": ("val/vallabelr", r"no folder '.*/src/val/vallabelr'; expected train/\{trainimg,trainimgr"),
    "vedai": ("Annotations1024/fold01test.txt", r"no file '.*/Annotations1024/fold01test.txt'; expected Vehicules1024"),
    "msrs": ("test/Segmentation_labels", r"no folder '.*/src/test/Segmentation_labels'; expected \{train,test\}"),
    "voc": ("infrared", r"no folder '.*/src/infrared' \(or ir, thermal, lwir\); expected folders visible, infrared"),
    "coco": ("annotations", r"no file '.*/src/labels/\*\.json'; expected annotations/\*\.json"),
    "yolo": ("data.yaml", r"no class names in '.*/src'; expected a YAML with 'names', or classes.txt"),
}


@pytest.mark.parametrize("name", MINIATURES)
def test_what_is_missing_is_named(make, tmp_path, name) -> None:
    src = make(name)
    part, message = MISSING[name]
    shutil.rmtree(src / part) if (src / part).is_dir() else (src / part).unlink()
    with pytest.raises(FileNotFoundError, match=message) as error:
        convert(name, src, tmp_path / "dst")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "dst").exists()


@pytest.mark.parametrize("name", MINIATURES)
def test_an_empty_folder_is_refused(tmp_path, name) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder '.*'.*; expected .* in the folder src="):
        convert(name, tmp_path / "src", tmp_path / "dst")


def test_pairs_with_something_missing_or_broken_are_left_out(make, tmp_path) -> None:
    src = make("llvip")
    for i, name in enumerate(("010003", "010004", "010005", "010006", "010007", "010008")):
        image(src / "visible/train" / f"{name}.jpg", i)
        image(src / "infrared/train" / f"{name}.jpg", i, grey=True)
        voc(src / "Annotations" / f"{name}.xml")
    (src / "infrared/train/010003.jpg").unlink()
    (src / "visible/train/010004.jpg").unlink()
    (src / "visible/train/010005.jpg").write_bytes(b"no image")
    (src / "Annotations/010006.xml").write_text("<annotation><object>")
    (src / "Annotations/010007.xml").unlink()
    boxes = (60, 40, 70, 60), (-9, -9, -1, -1), (20, 20, 20, 30), (30, 30, 20, 40), ("a", 1, 2, 3), ("nan", 1, 20, 30)
    voc(src / "Annotations/010008.xml", *(voc_object("person", box) for box in boxes), voc_object("cat", MIDDLE))
    report = convert("llvip", src, tmp_path / "dst")
    assert report.remarks.counts == {
        "pair without its infrared image": 1,
        "pair without its visible image": 1,
        "pair with an image that cannot be read": 1,
        "pair without labels: XML that cannot be read": 1,
        "pair without labels: label file is missing": 1,
        "box cut to the image (kept)": 1,
        "box outside the image": 1,
        "box less than 1 pixel wide or high": 3,
        "object without a box": 1,
        "object of a class that is not converted, 'cat'": 1,
    }
    assert Path(report.remarks.examples["pair without its infrared image"]).name == "010003.jpg"
    assert labels_of(tmp_path / "dst")["train/010008"] == ["0 0.968750 0.916667 0.062500 0.166667"]
    assert report.pairs == {"train": 3, "test": 1}


@pytest.mark.parametrize("rows", ["0 0.5 0.5 0.5", "a 1 1 1 1"])
def test_yolo_rows_in_another_form(make, tmp_path, rows) -> None:
    reason = "row that is neither 'class x y width height' nor a polygon"
    src = make("yolo")
    text(src / "train/labels/1.txt", rows)
    report = convert("yolo", src, tmp_path / "dst")
    assert report.remarks.counts == {f"pair without labels: {reason}": 1}


def test_the_file_of_who_shows_what_is_said_to_stay_behind(make, tmp_path) -> None:
    src = make("yolo")
    text(src / "shown_in.csv", "file,box,class,shown_in")
    assert any(note.startswith("shown_in.csv: left behind") for note in convert("yolo", src, tmp_path / "dst").notes)


def test_a_yaml_that_is_none(make, tmp_path) -> None:
    src = make("yolo")
    text(src / "data.yaml", "names: [person")
    with pytest.raises(ValueError, match=r"data\.yaml' cannot be read as YAML; correct it, or put the class names in"):
        convert("yolo", src, tmp_path / "dst")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'<?xml version="1.0" encoding="nonsense"?><annotation/>'])
def test_labels_in_an_encoding_of_their_own_are_left_out(make, tmp_path, content) -> None:
    for name, file in (("llvip", "Annotations/010001.xml"), ("kaist", "annotations/set00/V000/I00001.txt")):
        src = make(name)
        (src / file).write_bytes(content)
        report = convert(name, src, tmp_path / f"dst-{name}")
        assert any(reason.startswith("pair without labels: ") for reason in report.remarks.counts)
        shutil.rmtree(src)


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"images": []}', '{"images": [{"id": 1}], "annotations": [], "categories": []}']
)
def test_coco_files_of_another_form(make, tmp_path, content) -> None:
    src = make("coco")
    (src / "annotations/instances_val2017.json").write_text(content)
    with pytest.raises(
        ValueError, match=r"'.*instances_val2017.json' is not a COCO file \(.*\); expected images, annotations"
    ):
        convert("coco", src, tmp_path / "dst")


def test_two_images_of_one_name_are_refused(make, tmp_path) -> None:
    src = make("llvip")
    image(src / "visible/train/010001.png", 0)
    with pytest.raises(
        ValueError, match=r"010001.jpg' and '.*010001.png' differ in their suffix only; keep one of them"
    ):
        convert("llvip", src, tmp_path / "dst")
