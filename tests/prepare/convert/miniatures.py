"""Data sets of a few small pairs in the exact layouts that are published, and the labels that they must become.

Most images have 64 x 48 pixels, so that the box (16, 12, 48, 36) is `0.5 0.5 0.5 0.5`, the middle, and
(8, 6, 24, 18) is `0.25 0.25 0.25 0.25`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

MIDDLE, CORNER = (16, 12, 48, 36), (8, 6, 24, 18)
MIDDLE_ROW, CORNER_ROW = "0.500000 0.500000 0.500000 0.500000", "0.250000 0.250000 0.250000 0.250000"


@dataclass(frozen=True)
class Miniature:
    """A data set of one format.

    Attributes:
        write: Writes it into a folder.
        labels: The rows of every label file that a conversion must write, by path below `labels`.
        suffixes: Of the visible and the infrared images.
    """

    write: Callable[[Path], None]
    labels: dict[str, list[str]]
    suffixes: tuple[str, str] = (".jpg", ".jpg")


def image(file: Path, seed: int, size: tuple[int, int] = (64, 48), grey: bool = False) -> Path:
    """Write an image of large random patches, that of a seed like no other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8) if grey else (6, 8, 3), np.uint8)
    assert cv2.imwrite(str(file), cv2.resize(patches, size, interpolation=cv2.INTER_NEAREST))
    return file


def text(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def voc_object(name: str, box: tuple[float, ...], keys: tuple[str, ...] = ("xmin", "ymin", "xmax", "ymax")) -> str:
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, box, strict=True))
    return f"<object><name>{name}</name><bndbox>{inner}</bndbox><difficult>0</difficult></object>"


def voc(file: Path, *objects: str) -> Path:
    size = "<size><width>64</width><height>48</height><depth>3</depth></size>"
    return text(file, f"<annotation><filename>{file.stem}.jpg</filename>{size}{''.join(objects)}</annotation>")


def write_llvip(root: Path) -> None:
    for i, name in enumerate(("train/010001", "train/010002", "test/190001")):
        image(root / "visible" / f"{name}.jpg", i)
        image(root / "infrared" / f"{name}.jpg", i + 50, grey=True)
    voc(root / "Annotations" / "010001.xml", voc_object("person", MIDDLE), voc_object("person", CORNER))
    voc(root / "Annotations" / "010002.xml")
    voc(root / "Annotations" / "190001.xml", voc_object("person", CORNER))


def write_m3fd(root: Path) -> None:
    for i in range(5):
        image(root / "Vis" / f"{i:05d}.png", i if i < 4 else 3)  # the last two show the same
        image(root / "Ir" / f"{i:05d}.png", 50 + (i if i < 4 else 3), grey=True)
        boxes = [voc_object(name, CORNER) for name in ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")]
        voc(root / "Annotation" / f"{i:05d}.xml", boxes[i], boxes[5])


def write_flir(root: Path) -> None:
    for i, stem in enumerate(("FLIR_00002", "FLIR_00003", "FLIR_08863")):
        image(root / "JPEGImages" / f"{stem}_RGB.jpg", i)
        image(root / "JPEGImages" / f"{stem}_PreviewData.jpeg", i + 50, grey=True)
    voc(root / "Annotations" / "FLIR_00002_PreviewData.xml", voc_object("car", MIDDLE), voc_object("dog", CORNER))
    voc(root / "Annotations" / "FLIR_00003_PreviewData.xml", voc_object("bicycle", MIDDLE))
    voc(root / "Annotations" / "FLIR_08863_PreviewData.xml", voc_object("person", CORNER))
    text(root / "align_train.txt", "FLIR_00002_PreviewData", "FLIR_00003_PreviewData")
    text(root / "align_validation.txt", "FLIR_08863_PreviewData")


def kaist_images(root: Path, frames: tuple[str, ...]) -> None:
    for i, frame in enumerate(frames):
        video, number = frame.rsplit("/", 1)
        image(root / "images" / video / "visible" / f"{number}.jpg", i)
        image(root / "images" / video / "lwir" / f"{number}.jpg", i + 50, grey=True)


def write_kaist(root: Path) -> None:
    kaist_images(root, ("set00/V000/I00001", "set00/V000/I00002", "set00/V000/I00003", "set06/V000/I00019"))
    head, tail = "% bbGt version=3", "0 0 0 0 0"
    text(
        root / "annotations/set00/V000/I00001.txt",
        head,
        f"person 16 12 32 24 0 {tail} 0",
        f"people 8 6 16 12 1 {tail} 0",
    )
    text(
        root / "annotations/set00/V000/I00003.txt",
        head,
        f"person 8 6 16 12 0 {tail[:-1]}1 0",
        f"person? 8 6 16 12 0 {tail} 0",
    )
    text(root / "annotations/set06/V000/I00019.txt", head, f"cyclist 8 6 16 12 2 {tail} 0")
    text(root / "imageSets/train-all-02.txt", "set00/V000/I00001", "set00/V000/I00003")
    text(root / "imageSets/test-all-20.txt", "set06/V000/I00019")


def polygon(name: str, *corners: tuple[int, int]) -> str:
    inner = "".join(f"<x{i}>{x}</x{i}><y{i}>{y}</y{i}>" for i, (x, y) in enumerate(corners, 1))
    return f"<object><name>{name}</name><polygon>{inner}</polygon></object>"


def write_drone_vehicle(root: Path) -> None:
    """Images of 640 x 512 pixels in a white border of 100: the polygon's box is (260, 228, 580, 484) less 100."""
    turned = (420, 228), (580, 356), (420, 484), (260, 356)
    for i, split in enumerate(("train", "val", "test")):
        for kind in ("img", "imgr"):
            file = image(root / split / f"{split}{kind}" / "00001.jpg", i, (640, 512))
            framed = cv2.copyMakeBorder(
                cv2.imread(str(file)), 100, 100, 100, 100, cv2.BORDER_CONSTANT, value=(255,) * 3
            )
            cv2.imwrite(str(file), framed)
        labels = root / split / f"{split}label" / "00001.xml", root / split / f"{split}labelr" / "00001.xml"
        voc(labels[0], polygon("car", *turned))
        voc(
            labels[1],
            polygon(("feright car", "feright_car", "feright")[i], *turned),
            voc_object("truvk", (60, 80, 180, 164)),
        )
    voc(labels[1], polygon("*", *turned), "<object><name>van</name></object>", voc_object("bus", (100, 100, 740, 612)))


def write_vedai(root: Path) -> None:
    """Corners (16, 24), (32, 12), (48, 24), (32, 36) have the box MIDDLE."""
    names = "00000000", "00000001", "00000002"
    for i, name in enumerate(names):
        image(root / "Vehicules1024" / f"{name}_co.png", i)
        image(root / "Vehicules1024" / f"{name}_ir.png", i + 50, grey=True)
    text(
        root / "Annotations1024" / "annotation1024.txt",
        "00000000 32 24 0.5 16 32 48 32 24 12 24 36 001 1 0",
        "00000000 16 12 0.1 8 24 24 8 6 6 18 18 011 1 0",
        "00000001 16 12 0.1 8 24 24 8 6 6 18 18 031 1 1",
        "00000002 32 24 0.5 16 32 48 32 24 12 24 36 023 0 0",
    )
    text(root / "Annotations1024" / "fold01.txt", *names[:2])
    text(root / "Annotations1024" / "fold01test.txt", names[2])


def mask(file: Path, *regions: tuple[int, tuple[int, int, int, int]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((48, 64), np.uint8)
    for value, (left, top, right, bottom) in regions:
        values[top:bottom, left:right] = value
    coloured = Image.fromarray(values, mode="P")
    coloured.putpalette([0, 0, 0, 64, 0, 128, 64, 64, 0, 0, 128, 192, 0, 0, 192, 128, 128, 0, 64, 64, 128])
    coloured.save(file)


def write_msrs(root: Path) -> None:
    """Masks: 1 car, 2 person, 3 bike, 6 guard rail."""
    for i, name in enumerate(("train/{}/00001D", "train/{}/00003N", "test/{}/00004N")):
        image(root / f"{name.format('vi')}.png", i)
        image(root / f"{name.format('ir')}.png", i + 50, grey=True)
    mask(root / "train/Segmentation_labels/00001D.png", (6, (0, 0, 64, 4)), (1, MIDDLE), (2, (0, 40, 16, 48)))
    mask(
        root / "train/Segmentation_labels/00003N.png", (2, (8, 6, 24, 12)), (2, (24, 12, 32, 18)), (1, (60, 44, 62, 46))
    )
    mask(root / "test/Segmentation_labels/00004N.png", (3, CORNER), (3, (40, 6, 56, 18)))


def write_msrs_detection(root: Path) -> None:
    for i, number in enumerate((1, 2, 3, 105)):
        image(root / "vi" / f"{number}.png", i)
        image(root / "ir" / f"{number}.png", i + 50, grey=True)
        text(root / "labels" / f"{number}.txt", f"2 {MIDDLE_ROW}", f"0 {CORNER_ROW}")


def write_voc(root: Path) -> None:
    for i, name in enumerate(("a b", "ö", "c")):
        image(root / "visible" / f"{name}.jpg", i)
        image(root / "infrared" / f"{name}.png", i + 50, grey=True)
    voc(root / "Annotations" / "a b.xml", voc_object("Dog", MIDDLE))
    voc(root / "Annotations" / "ö.xml", voc_object("Cat", CORNER))
    voc(root / "Annotations" / "c.xml", voc_object("Dog", CORNER))
    text(root / "ImageSets" / "Main" / "train.txt", "a b", "ö")
    text(root / "ImageSets" / "Main" / "val.txt", "c")


def coco(file: Path, names: list[str], annotations: list[dict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": 10 * i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names)],
        "annotations": [{"id": i, "iscrowd": 0, **item} for i, item in enumerate(annotations)],
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
    }
    file.write_text(json.dumps(content), encoding="utf-8")


def write_coco(root: Path) -> None:
    for i, name in enumerate(("train/1", "train/2", "val/1")):
        image(root / "visible" / f"{name}.jpg", i)
        image(root / "infrared" / f"{name}.jpg", i + 50, grey=True)
    rows = [
        {"image_id": 0, "category_id": 3, "bbox": [16, 12, 32, 24]},
        {"image_id": 0, "category_id": 1, "bbox": [8, 6, 16, 12]},
        {"image_id": 10, "category_id": 1, "bbox": [0, 0, 64, 48], "iscrowd": 1},
    ]
    coco(root / "annotations" / "instances_train2017.json", ["1.jpg", "2.jpg"], rows)
    coco(root / "annotations" / "instances_val2017.json", ["1.jpg"], [{**rows[1], "category_id": 3}])


def write_yolo(root: Path) -> None:
    for i, name in enumerate(("train/{}/1", "train/{}/2", "valid/{}/3")):
        image(root / f"{name.format('visible')}.jpg", i)
        image(root / f"{name.format('thermal')}.jpg", i + 50, grey=True)
    text(root / "train/labels/1.txt", f"1 {MIDDLE_ROW}", "0 0.125 0.125 0.375 0.125 0.375 0.375 0.125 0.375")
    text(root / "valid/labels/3.txt", f"0 {CORNER_ROW}")
    text(root / "data.yaml", "names: [person, car]")


TRUCK = "1 0.062500 0.062500 0.125000 0.125000"  # (60, 80, 180, 164) less 100, cut to (0, 0, 80, 64)
MINIATURES = {
    "llvip": Miniature(
        write_llvip,
        {
            "train/010001": [f"0 {MIDDLE_ROW}", f"0 {CORNER_ROW}"],
            "train/010002": [],
            "test/190001": [f"0 {CORNER_ROW}"],
        },
    ),
    "m3fd": Miniature(
        write_m3fd,
        {
            **{f"train/{i:05d}": [f"{i} {CORNER_ROW}", f"5 {CORNER_ROW}"] for i in (1, 2, 3, 4)},
            "val/00000": [f"0 {CORNER_ROW}", f"5 {CORNER_ROW}"],
        },
        (".png", ".png"),
    ),
    "flir-aligned": Miniature(
        write_flir,
        {
            "train/FLIR_00002": [f"2 {MIDDLE_ROW}", f"3 {CORNER_ROW}"],
            "train/FLIR_00003": [f"1 {MIDDLE_ROW}"],
            "val/FLIR_08863": [f"0 {CORNER_ROW}"],
        },
        (".jpg", ".jpeg"),
    ),
    "kaist": Miniature(
        write_kaist,
        {
            "train/set00/V000/I00001": [f"0 {MIDDLE_ROW}", f"1 {CORNER_ROW}"],
            "train/set00/V000/I00003": [],
            "test/set06/V000/I00019": [f"2 {CORNER_ROW}"],
        },
    ),
    "drone-vehicle": Miniature(
        write_drone_vehicle,
        {
            "train/00001": [f"4 {MIDDLE_ROW}", TRUCK],
            "val/00001": [f"4 {MIDDLE_ROW}", TRUCK],
            "test/00001": ["2 0.500000 0.500000 1.000000 1.000000"],
        },
    ),
    "vedai": Miniature(
        write_vedai,
        {
            "train/00000000": [f"0 {MIDDLE_ROW}", f"8 {CORNER_ROW}"],
            "train/00000001": [f"10 {CORNER_ROW}"],
            "test/00000002": [f"9 {MIDDLE_ROW}"],
        },
        (".png", ".png"),
    ),
    "msrs": Miniature(
        write_msrs,
        {
            "train/00001D": [f"2 {MIDDLE_ROW}", "0 0.125000 0.916667 0.250000 0.166667"],
            "train/00003N": ["0 0.312500 0.250000 0.375000 0.250000"],  # they touch at a corner: one region
            "test/00004N": [f"1 {CORNER_ROW}", "1 0.750000 0.250000 0.250000 0.250000"],
        },
        (".png", ".png"),
    ),
    "voc": Miniature(
        write_voc,
        {"train/a b": [f"1 {MIDDLE_ROW}"], "train/ö": [f"0 {CORNER_ROW}"], "val/c": [f"1 {CORNER_ROW}"]},
        (".jpg", ".png"),
    ),
    "coco": Miniature(
        write_coco,
        {"train/1": [f"1 {MIDDLE_ROW}", f"0 {CORNER_ROW}"], "train/2": [], "val/1": [f"1 {CORNER_ROW}"]},
    ),
    "yolo": Miniature(
        write_yolo,
        {"train/1": [f"1 {MIDDLE_ROW}", f"0 {CORNER_ROW}"], "train/2": [], "val/3": [f"0 {CORNER_ROW}"]},
    ),
}
