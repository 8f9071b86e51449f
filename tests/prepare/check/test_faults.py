"""Every kind of fault, planted alone in a clean data set, is found with its kind and file, and nothing else is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo.data.labels import outline_rows, read_labels
from metafusion_yolo.prepare.check import check_dataset
from metafusion_yolo.prepare.check.findings import KINDS

Found = dict[str, list[str]]
FAULTS: dict[str, Callable[[Path], Found]] = {}


def fault(function: Callable[[Path], Found]) -> Callable[[Path], Found]:
    """Register a function that spoils a data set and returns what must be found: files by kind."""
    FAULTS[function.__name__] = function
    return function


def found_in(root: Path) -> Found:
    report = check_dataset(root / "synthetic.yaml")
    return {f.kind.name: sorted(report.short(case.file) for case in f.cases) for f in report.findings}


def change(file: Path, function: Callable[[np.ndarray], np.ndarray]) -> str:
    """Replace an image by a function of itself and return its path in the data set."""
    assert cv2.imwrite(str(file), function(cv2.imread(str(file), cv2.IMREAD_UNCHANGED)))
    return "/".join(file.parts[-3:])


def relabel(root: Path, function: Callable[[list[str]], list[str]], name: str = "train/000003") -> str:
    """Replace the rows of a label file and return its path in the data set."""
    file = root / f"labels/{name}.txt"
    file.write_text("\n".join(function(file.read_text().splitlines())))
    return f"labels/{name}.txt"


def describe(root: Path, **content: object) -> None:
    file = root / "synthetic.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **content}))


# Files ---------------------------------------------------------------------------------------------------------------
@fault
def infrared_removed(root: Path) -> Found:
    (root / "infrared/train/000003.png").unlink()
    return {"missing-partner": ["images/train/000003.png"]}


@fault
def evaluation_split_of_nowhere(root: Path) -> Found:
    describe(root, test="images/nowhere")
    return {"missing-test": ["test"]}


@fault
def val_split_of_nowhere(root: Path) -> Found:
    describe(root, val="images/nowhere")
    return {"missing-split": ["val"]}


@fault
def sequences_of_nowhere(root: Path) -> Found:
    registration = {"sequences": {"images/train": np.eye(3).tolist(), "drive-2": np.eye(3).tolist()}}
    describe(root, registration=registration, thermal={"invert": ["night"]})
    return {"unknown-folder": ["drive-2", "night"]}


@fault
def two_pages(root: Path) -> Found:
    file = root / "infrared/train/000003.png"
    image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    file.unlink()
    assert cv2.imwritemulti(str(file.with_suffix(".tif")), [image, image])
    return {"several-pages": ["infrared/train/000003.tif"]}


@fault
def visible_removed(root: Path) -> Found:
    (root / "images/val/000003.png").unlink()
    return {"extra-partner": ["infrared/val/000003.png"], "label-orphan": ["labels/val/000003.txt"]}


@fault
def two_candidates(root: Path) -> Found:
    image = cv2.imread(str(root / "infrared/train/000003.png"))
    cv2.imwrite(str(root / "infrared/train/000003.jpg"), image)
    return {"ambiguous-partner": ["images/train/000003.png"]}


@fault
def visible_truncated(root: Path) -> Found:
    file = root / "images/train/000003.png"
    file.write_bytes(file.read_bytes()[:-2000])
    return {"unreadable": ["images/train/000003.png"]}


@fault
def jpeg_truncated(root: Path) -> Found:
    file = root / "infrared/train/000003.jpg"
    cv2.imwrite(str(file), cv2.imread(str(root / "infrared/train/000003.png"), 0))
    (root / "infrared/train/000003.png").unlink()
    file.write_bytes(file.read_bytes()[:-500])
    return {"unreadable": ["infrared/train/000003.jpg"]}


@fault
def infrared_empty(root: Path) -> Found:
    (root / "infrared/train/000003.png").write_bytes(b"")
    return {"unreadable": ["infrared/train/000003.png"]}


@fault
def text_instead_of_an_image(root: Path) -> Found:
    (root / "images/val/000001.png").write_text("version https://git-lfs.github.com/spec/v1")
    return {"unreadable": ["images/val/000001.png"]}


@fault
def dangling_link(root: Path) -> Found:
    file = root / "infrared/train/000003.png"
    file.unlink()
    file.symlink_to(root / "gone.png")
    return {"unreadable": ["infrared/train/000003.png"]}


@fault
def infrared_cropped(root: Path) -> Found:
    change(root / "infrared/train/000003.png", lambda image: image[:, :-30])
    return {"shape-mismatch": ["images/train/000003.png"]}


@fault
def infrared_smaller(root: Path) -> Found:
    change(root / "infrared/train/000003.png", lambda image: cv2.resize(image, None, fx=0.5, fy=0.5))
    return {"size-difference": ["images/train/000003.png"]}


# Images --------------------------------------------------------------------------------------------------------------
@fault
def grey_copy_as_infrared(root: Path) -> Found:
    grey = cv2.imread(str(root / "images/train/000003.png"), cv2.IMREAD_GRAYSCALE)
    change(root / "infrared/train/000003.png", lambda _: grey)
    return {"same-image-twice": ["images/train/000003.png"]}


@fault
def visible_copied_as_infrared(root: Path) -> Found:
    shutil.copy(root / "images/train/000003.png", root / "infrared/train/000003.png")
    return {"same-image-twice": ["images/train/000003.png"]}


@fault
def cameras_swapped(root: Path) -> Found:
    (root / "images").rename(root / "other")
    (root / "infrared").rename(root / "images")
    (root / "other").rename(root / "infrared")
    files = [f"images/{split}/{i:06d}.png" for split, count in (("train", 14), ("val", 8)) for i in range(count)]
    return {"swapped-cameras": files}


@fault
def false_colours(root: Path) -> Found:
    name = change(root / "infrared/train/000003.png", lambda image: cv2.applyColorMap(image, cv2.COLORMAP_INFERNO))
    return {"coloured-infrared": [name]}


@fault
def visible_without_colour(root: Path) -> Found:
    name = change(root / "images/train/000003.png", lambda image: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    return {"grey-visible": [name]}


@fault
def infrared_blank(root: Path) -> Found:
    return {"blank-image": [change(root / "infrared/train/000003.png", lambda image: np.full_like(image, 80))]}


@fault
def both_blank(root: Path) -> Found:
    names = [change(root / f"{kind}/train/000003.png", np.zeros_like) for kind in ("images", "infrared")]
    return {"blank-image": sorted(names)}


@fault
def some_16_bit(root: Path) -> Found:
    def deep(image: np.ndarray) -> np.ndarray:
        return image.astype(np.uint16) * 4 + np.arange(image.size, dtype=np.uint16).reshape(image.shape) % 4

    return {"mixed-depth": [change(root / f"infrared/train/{i:06d}.png", deep) for i in (3, 4)]}


@fault
def eight_bit_saved_as_sixteen(root: Path) -> Found:
    files = sorted((root / "infrared").rglob("*.png"))
    return {"few-levels": [change(file, lambda image: image.astype(np.uint16) * 257) for file in files]}


@fault
def levels_thrown_away(root: Path) -> Found:
    return {"few-levels": [change(root / "infrared/train/000003.png", lambda image: image // 64 * 64)]}


@fault
def temperatures(root: Path) -> Found:
    names = []
    for file in sorted((root / "infrared").rglob("*.png")):
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        file.unlink()
        cv2.imwrite(str(file.with_suffix(".tiff")), 290 + image.astype(np.float32) / 10)
        names.append("/".join(file.with_suffix(".tiff").parts[-3:]))
    return {"unusual-depth": names}


# Copies --------------------------------------------------------------------------------------------------------------
def copy_pair(root: Path, source: str, target: str) -> None:
    for kind, suffix in (("images", "png"), ("infrared", "png"), ("labels", "txt")):
        shutil.copy(root / f"{kind}/{source}.{suffix}", root / f"{kind}/{target}.{suffix}")


@fault
def copy_in_another_split(root: Path) -> Found:
    copy_pair(root, "train/000003", "val/900000")
    return {"split-leak": ["images/val/900000.png"]}


@fault
def split_listed_twice(root: Path) -> Found:
    describe(root, test="images/val")
    return {"split-leak": [f"images/val/{i:06d}.png" for i in range(8)]}


@fault
def copy_in_the_same_split(root: Path) -> Found:
    copy_pair(root, "train/000003", "train/900000")
    return {"exact-duplicate": ["images/train/900000.png"]}


@fault
def next_frame_in_another_split(root: Path) -> Found:
    copy_pair(root, "train/000003", "val/900000")
    for kind in ("images", "infrared"):  # a moment later: two pixels on, other noise
        rng = np.random.default_rng(0)
        change(
            root / f"{kind}/val/900000.png",
            lambda image, rng=rng: cv2.add(np.roll(image, 2, axis=1), rng.integers(0, 9, image.shape, np.uint8)),
        )
    return {"near-duplicate": ["images/val/900000.png"]}


@fault
def infrared_frozen(root: Path) -> Found:
    shutil.copy(root / "infrared/train/000003.png", root / "infrared/train/000004.png")
    return {"repeated-infrared": ["infrared/train/000004.png"]}


# Sequences -----------------------------------------------------------------------------------------------------------
def shifted(x: int, y: int) -> Callable[[np.ndarray], np.ndarray]:
    matrix = np.array([[1.0, 0, x], [0, 1, y]])
    return lambda image: cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


@fault
def camera_turned(root: Path) -> Found:
    for file in (root / "infrared/train").iterdir():
        change(file, shifted(6, 3))
    return {"misregistered": ["images/train"]}


@fault
def polarity_switched(root: Path) -> Found:
    for file in (root / "infrared/val").iterdir():
        change(file, lambda image: 255 - image)
    return {"polarity-flip": ["images/val"]}


@fault
def all_black_hot(root: Path) -> Found:
    for file in (root / "infrared").rglob("*.png"):
        change(file, lambda image: 255 - image)
    return {"black-hot": ["person"]}


# Labels --------------------------------------------------------------------------------------------------------------
@fault
def label_removed(root: Path) -> Found:
    (root / "labels/train/000003.txt").unlink()
    return {"label-missing": ["images/train/000003.png"]}


@fault
def label_left_over(root: Path) -> Found:
    shutil.copy(root / "labels/train/000003.txt", root / "labels/train/900000.txt")
    return {"label-orphan": ["labels/train/900000.txt"]}


@fault
def no_labels_at_all(root: Path) -> Found:
    shutil.rmtree(root / "labels/val")
    return {"no-labels": ["val"]}


@fault
def label_with_a_column_too_few(root: Path) -> Found:
    return {"label-malformed": [relabel(root, lambda rows: [rows[0].rpartition(" ")[0], *rows[1:]])]}


@fault
def label_of_words(root: Path) -> Found:
    return {"label-malformed": [relabel(root, lambda rows: ["person 0.5 0.5 0.1 0.1"])]}


@fault
def label_of_boxes_and_polygons(root: Path) -> Found:
    return {"label-malformed": [relabel(root, lambda rows: [*rows, "0 0.1 0.1 0.3 0.1 0.3 0.3"])]}


@fault
def label_not_finite(root: Path) -> Found:
    return {"label-malformed": [relabel(root, lambda rows: [*rows, "0 nan 0.5 0.1 0.1"])]}


@fault
def label_is_no_text(root: Path) -> Found:
    (root / "labels/train/000003.txt").write_bytes(b"\xff\xfe\x00\x81")
    return {"label-malformed": ["labels/train/000003.txt"]}


@fault
def class_counted_from_one(root: Path) -> Found:
    return {"label-unknown-class": [relabel(root, lambda rows: [*rows, "2 0.5 0.5 0.1 0.1"])]}


@fault
def pixels_instead_of_fractions(root: Path) -> Found:
    return {"label-out-of-range": [relabel(root, lambda rows: [*rows, "1 100 80 20 10"])]}


@fault
def box_without_height(root: Path) -> Found:
    return {"label-degenerate": [relabel(root, lambda rows: [*rows, "1 0.5 0.5 0.1 0"])]}


@fault
def box_twice(root: Path) -> Found:
    return {"label-duplicate": [relabel(root, lambda rows: [*rows, rows[0]])]}


@fault
def small_box_twice(root: Path) -> Found:
    file = relabel(root, lambda rows: [*rows, *["1 0.5 0.5 0.003 0.003"] * 2])
    return {"label-duplicate": [file], "label-tiny": [file, file]}


@fault
def box_nearly_twice(root: Path) -> Found:
    def repeat(rows: list[str]) -> list[str]:
        cls, x, y, w, h = rows[0].split()
        return [*rows, f"{cls} {x} {y} {float(w) * 1.02:.6f} {h}"]

    return {"label-duplicate": [relabel(root, repeat)]}


@fault
def box_over_the_border(root: Path) -> Found:
    return {"label-outside": [relabel(root, lambda rows: [*rows, "1 0.02 0.5 0.2 0.1"])]}


def as_polygons(root: Path) -> None:
    """Write each box as its four corners."""
    for file in (root / "labels").rglob("*.txt"):
        boxes = read_labels(file)
        corners = boxes.boxes_xyxyn[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        file.write_text(outline_rows(list(zip(boxes.classes, corners, strict=True))))


@fault
def corners_in_a_wrong_order(root: Path) -> Found:
    as_polygons(root)

    def exchange(rows: list[str]) -> list[str]:
        words = rows[0].split()
        return [" ".join([*words[:3], *words[5:7], *words[3:5], *words[7:]]), *rows[1:]]

    return {"label-crosses": [relabel(root, exchange)]}


@fault
def polygon_on_a_line(root: Path) -> Found:
    as_polygons(root)
    return {"label-no-area": [relabel(root, lambda rows: [*rows, "1 0.9 0.1 0.95 0.15 0.92 0.12"])]}


@fault
def boxes_among_polygons(root: Path) -> Found:
    kept = (root / "labels/train/000003.txt").read_text()
    as_polygons(root)
    return {"label-mixed": [relabel(root, lambda rows: kept.splitlines())]}


def with_keypoint(root: Path, first: str) -> str:
    """Give each box a keypoint in its middle, and the first of a file another one; return that file."""
    describe(root, kpt_shape=[1, 3])
    for file in (root / "labels").rglob("*.txt"):
        rows = [f"{row} {' '.join(row.split()[1:3])} 2" for row in file.read_text().splitlines()]
        file.write_text("\n".join(rows))
    return relabel(root, lambda rows: [f"{' '.join(rows[0].split()[:5])} {first}", *rows[1:]])


@fault
def keypoint_out_of_the_image(root: Path) -> Found:
    return {"label-out-of-range": [with_keypoint(root, "0.5 1.7 2")]}


@fault
def keypoint_out_of_its_box(root: Path) -> Found:
    return {"label-keypoint": [with_keypoint(root, "0.99 0.01 2")]}


@fault
def visibility_of_seven(root: Path) -> Found:
    x, y = (root / "labels/train/000003.txt").read_text().split()[1:3]
    return {"label-keypoint": [with_keypoint(root, f"{x} {y} 7")]}


@fault
def too_few_keypoints(root: Path) -> Found:
    return {"label-malformed": [with_keypoint(root, "")]}


@fault
def box_of_a_pixel(root: Path) -> Found:
    return {"label-tiny": [relabel(root, lambda rows: [*rows, "1 0.9 0.1 0.005 0.006"])]}


@fault
def class_without_boxes(root: Path) -> Found:
    describe(root, names={0: "person", 1: "car", 2: "bicycle"})
    return {"unused-class": ["2: bicycle"]}


# -------------------------------------------------------------------------------------------------------------------
def test_a_clean_data_set_has_no_fault(dataset):
    assert found_in(dataset) == {}


@pytest.mark.parametrize("plant", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found_alone(dataset, plant):
    expected = plant(dataset)
    assert found_in(dataset) == expected


def test_every_kind_has_been_planted(dataset, rendered, tmp_path):
    planted = set()
    for i, plant in enumerate(FAULTS.values()):
        root = Path(shutil.copytree(rendered, tmp_path / str(i)))
        planted |= {*plant(root)}
    assert planted == {*KINDS}
