"""Lists and odd layouts: what training loads from a split, prediction loads from the same path."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from ultralytics.cfg import get_cfg
from ultralytics.data.utils import check_det_dataset

from metafusion_yolo import PairError
from metafusion_yolo.config import Augment
from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.listing import as_written, list_images, read_list
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import PairedSource
from metafusion_yolo.data.sources.loaders import load_pairs
from metafusion_yolo.data.splits import find_pairs

STILL = dict.fromkeys(("mosaic", "translate", "scale", "fliplr", "hsv_h", "hsv_s", "hsv_v"), 0.0)


def trained_on(file: Path) -> dict[str, np.ndarray]:
    """Return the pairs (H, W, 4) that training sees of the train split of a YAML, by visible path."""
    data = check_det_dataset(str(file))
    args = get_cfg(overrides={**STILL, "imgsz": 64, "task": "detect", "augmentations": []})
    dataset = build_paired_dataset(args, data["train"], 2, data, "train", 32, photometric=Augment(0, 0, 0, 0, 0))
    items = [dataset[i] for i in range(len(dataset))]
    assert all(len(item["cls"]) == 2 for item in items)  # the labels came along
    return {item["im_file"]: item["img"].permute(1, 2, 0).numpy() for item in items}


def predicted_on(source, rig: Rig) -> dict[str, np.ndarray]:
    """Return the pairs that prediction sees of a source, by visible path."""
    batches = list(load_pairs(PairedSource(source), rig))
    return {name: pair for names, pairs, _ in batches for name, pair in zip(names, pairs, strict=True)}


def assert_loaded(file: Path, count: int) -> None:
    """Check that a split of a YAML gives `count` pairs in training and in prediction, each with its own partner."""
    data = yaml.safe_load(file.read_text())
    split = data["train"] if isinstance(data["train"], list) else [data["train"]]
    seen = trained_on(file), predicted_on([str(Path(data["path"]) / part) for part in split], Rig.of_file(file))
    for pairs in seen:
        assert len(pairs) == count
        for pair in pairs.values():
            assert pair[..., 0].max() > 180
            np.testing.assert_array_equal(pair[..., 3], pair[..., 0])
    assert {Path(f).resolve() for f in seen[0]} == {Path(f).resolve() for f in seen[1]}


def rewrite(folder, **changes) -> Path:
    folder.yaml.write_text(yaml.safe_dump({**folder.data, **changes}))
    return folder.yaml


def spread_out(folder, name: str) -> None:
    """Move every pair, labels too, into a sub-folder of its own, under names that repeat."""
    for i in range(len(folder.visible)):
        for part, suffix in (("images", ".png"), ("infrared", ".png"), ("labels", ".txt")):
            here = folder.root / part / "train"
            (here / f"{name}{i}").mkdir()
            (here / f"{i}{suffix}").rename(here / f"{name}{i}" / f"same{suffix}")


def renamed(folder, visible: str, infrared: str) -> None:
    """Put both cameras into one folder, told apart by the ends of their names."""
    for i in range(len(folder.visible)):
        folder.visible[i].rename(folder.images / f"{i}{visible}")
        folder.infrared[i].rename(folder.images / f"{i}{infrared}")
        label = folder.root / "labels" / "train" / f"{i}.txt"
        label.rename(label.with_name(Path(f"{i}{visible}").with_suffix(".txt").name))


# Text files -----------------------------------------------------------------------------------------------------------
LINES = {
    "absolute": lambda folder, i: str(folder.visible[i]),
    "from the list": lambda folder, i: f"./images/train/{i}.png",
    "from the list, bare": lambda folder, i: f"images/train/{i}.png",
    "Windows": lambda folder, i: f"images\\train\\{i}.png",
    "Windows from the list": lambda folder, i: f".\\images\\train\\{i}.png",
    "roundabout": lambda folder, i: f"../pairs/images/train/{i}.png",
    "ends and blanks": lambda folder, i: f"  ./images/train/{i}.png \r\n",
}


@pytest.mark.parametrize("lines", LINES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_file_of_visible_paths(pair_folder, lines, encoding):
    listing = pair_folder.root / "train.txt"
    listing.write_text("\n".join(LINES[lines](pair_folder, i) for i in (2, 0, 3)) + "\n", encoding=encoding)
    assert_loaded(rewrite(pair_folder, train="train.txt"), 3)


def test_paths_from_where_one_stands(pair_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(pair_folder.images)
    (tmp_path / "lists").mkdir()
    listing = tmp_path / "lists" / "train.txt"
    listing.write_text("1.png\n3.png\n")
    assert [f.name for f in read_list(listing)] == ["1.png", "3.png"]


def test_files_that_are_missing_come_in_one_error(pair_folder):
    listing = pair_folder.root / "train.txt"
    listing.write_text("\n".join(f"images/train/{i}.png" for i in range(12)))
    message = rf"8 of 12 files listed in '{listing}' do not exist: 'images/train/4.png', .*8.png', \.\.\.; restore them"
    with pytest.raises(FileNotFoundError, match=message):
        read_list(listing)
    with pytest.raises(FileNotFoundError, match=message):
        trained_on(rewrite(pair_folder, train="train.txt"))


def test_lists_of_lists_and_folders(make_pair_folder):
    first, second = make_pair_folder(2, name="a"), make_pair_folder(3, name="b")
    (first.root / "few.txt").write_text("./images/train/1.png\n")
    data = rewrite(first, train=["few.txt", str(second.images)])
    assert_loaded(data, 4)


# Layouts --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["drive", "a b ", "ночь ß", "x[1]", "images"])
def test_nested_folders_with_any_name(pair_folder, name):
    spread_out(pair_folder, name)
    rule = {"from": "images/train", "to": "infrared/train"} if name == "images" else "infrared"
    assert_loaded(rewrite(pair_folder, infrared=rule), 4)


@pytest.mark.parametrize(
    ("visible", "infrared", "rule"),
    [
        ("_RGB.jpg", "_PreviewData.jpeg", {"from": "_RGB.jpg", "to": "_PreviewData.jpeg"}),  # FLIR ADAS
        ("_co.png", "_ir.png", {"from": "_co.png", "to": "_ir.png"}),  # VEDAI
        ("_co.png", "_ir.png", {"from": "_co", "to": "_ir"}),
        ("_visible.png", "_lwir.png", {"from": "visible", "to": "lwir"}),  # KAIST's words
    ],
)
def test_both_cameras_in_a_folder(pair_folder, visible, infrared, rule):
    renamed(pair_folder, visible, infrared)  # PNG files, whatever they are called
    assert_loaded(rewrite(pair_folder, infrared=rule), 4)


def test_cameras_in_folders_below_the_sequence(pair_folder):
    for i in range(4):
        for file, camera in ((pair_folder.visible[i], "visible"), (pair_folder.infrared[i], "lwir")):
            folder = pair_folder.images / f"set0{i}" / camera
            folder.mkdir(parents=True)
            file.rename(folder / "I00000.png")
        label = pair_folder.root / "labels" / "train" / f"{i}.txt"
        (label.parent / f"set0{i}" / "visible").mkdir(parents=True)
        label.rename(label.parent / f"set0{i}" / "visible" / "I00000.txt")
    assert_loaded(rewrite(pair_folder, infrared={"from": "/visible/", "to": "/lwir/"}), 4)
    assert_loaded(rewrite(pair_folder, infrared={"from": "\\visible\\", "to": "\\lwir\\"}), 4)  # written on Windows


def test_spaces_and_letters_of_any_language(make_pair_folder):
    assert_loaded(make_pair_folder(name="my pairs, ночь ß").yaml, 4)


# Links ----------------------------------------------------------------------------------------------------------------
def test_links_to_files(pair_folder, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    for camera in ("visible", "infrared"):
        for file in getattr(pair_folder, camera):
            target = store / f"{camera}-{file.name}"
            file.rename(target)
            file.symlink_to(target)
    assert_loaded(pair_folder.yaml, 4)


@pytest.mark.parametrize("part", ["images", "images/train"])
@pytest.mark.parametrize("listed", [False, True])
def test_links_to_folders(pair_folder, tmp_path, part, listed):
    """Partners and labels lie beside the link, not beside what it points to."""
    store = tmp_path / "elsewhere"
    (pair_folder.root / part).rename(store)
    (pair_folder.root / part).symlink_to(store)
    data = rewrite(pair_folder, train=["images/train"] if listed else "images/train")
    assert_loaded(data, 4)
    assert all(str(pair_folder.root) in file for file in trained_on(data))


def test_link_below_the_split_is_followed(pair_folder, tmp_path):
    spread_out(pair_folder, "drive")
    (pair_folder.images / "drive2").rename(tmp_path / "drive2")
    (pair_folder.images / "drive2").symlink_to(tmp_path / "drive2")
    assert_loaded(pair_folder.yaml, 4)


def test_paths_that_are_not_of_the_yaml_stay(pair_folder):
    data = {**pair_folder.data, "path": pair_folder.root, "yaml_file": str(pair_folder.yaml)}
    assert as_written("/elsewhere", data) == "/elsewhere"
    assert as_written(str(pair_folder.images), {}) == str(pair_folder.images)
    assert as_written([str(pair_folder.images)], data) == [str(pair_folder.images)]


# Problems -------------------------------------------------------------------------------------------------------------
def test_rule_that_does_not_fit_names_the_files(pair_folder):
    renamed(pair_folder, "_RGB.png", "_PreviewData.png")
    with pytest.raises(
        PairError, match=r"no partner for 4 of 4 images.* looked for .*; did you mean '\*_RGB -> \*_PreviewData' "
    ) as caught:
        trained_on(rewrite(pair_folder, infrared={"from": "_RGB", "to": "_Preview"}))
    assert "5 problems" in str(caught.value)  # the stray infrared images, too


@pytest.mark.parametrize("content", ["", "\n\n", "notes.pdf\n"])
def test_empty_list_is_named(pair_folder, content):
    (pair_folder.root / "notes.pdf").touch()
    listing = pair_folder.root / "train.txt"
    listing.write_text(content)
    with pytest.raises(FileNotFoundError, match=rf"no images in '{listing}'; give an image, a folder with images"):
        trained_on(rewrite(pair_folder, train="train.txt"))


def test_rows_that_stand_twice_are_said(pair_folder, caplog):
    images = [str(file) for file in sorted((pair_folder.root / "images/train").iterdir())]
    row = f"{images[0]},{images[0].replace('/images/', '/infrared/')}"
    listed, rows = pair_folder.root / "list.txt", pair_folder.root / "rows.csv"
    listed.write_text("\n".join([*images, images[0]]), encoding="utf-8")
    rows.write_text(f"{row},a.txt\n{row},a.txt\n{row},b.txt\n", encoding="utf-8")
    assert [*find_pairs(str(listed), Rig()).partners] == images
    found = find_pairs(str(rows), Rig())
    said = [record.message for record in caplog.records]
    assert [f"{listed}: 1 visible" in said[0], f"{rows}: 2 visible" in said[1], len(said)] == [True, True, 2]
    assert [problem.kind for problem in found.problems] == ["ambiguous-partner"]
    assert "a.txt' and '" in found.problems[0] and "keep one of the rows" in found.problems[0]


def test_folders_come_sorted_and_lists_in_their_order(pair_folder):
    files = [str(f) for f in pair_folder.visible]
    assert list_images(pair_folder.images) == files
    assert list_images([files[2], files[0]]) == [files[2], files[0]]
    assert list_images(f"{pair_folder.images}{os.sep}*.png") == files
