"""Your own pairs with COCO JSON labels, one file per split."""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.prepare.convert.folders import SPLITS, Part, parts
from metafusion_yolo.prepare.convert.formats import Box, Format, Listing, Pair, side_by_side
from metafusion_yolo.support.errors import MissingFileError, UserValueError

LAYOUT = "annotations/*.json, a file per split with train, val or test in its name,"
BESIDE = ("segmentation", "keypoints")  # of an annotation, beside its box
Annotations = list[dict[str, Any]]


def read_json(file: Path) -> tuple[dict[str, Annotations], list[str]]:
    """Return annotations by path of their image, without suffix, and class names in order of their ids.

    Raises:
        ValueError: If the file is not in COCO format.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        categories = {item["id"]: str(item["name"]) for item in content["categories"]}
        images: dict[Any, Annotations] = {item["id"]: [] for item in content["images"]}
        for item in content["annotations"]:
            images[item["image_id"]].append({**item, "name": categories.get(item["category_id"], "")})
        found: dict[str, Annotations] = {}
        for item in content["images"]:
            path = Path(item["file_name"].replace("\\", "/")).with_suffix("")
            found.setdefault(path.as_posix(), []).extend(images[item["id"]])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserValueError(
            f"'{file}' is not a COCO file ({reason}); expected images, annotations, categories"
        ) from error
    return found, [categories[number] for number in sorted(categories)]


def to_boxes(annotations: Annotations | None) -> list[Box]:
    """Return the boxes of an image; without annotations a LabelError says that the image is not in the file."""
    if annotations is None:
        raise LabelError("image is not in the label file")
    boxes = []
    for item in annotations:
        try:
            left, top, width, height = map(float, item["bbox"])
        except (KeyError, TypeError, ValueError):
            boxes.append(Box(item["name"], None))
            continue
        crowd = "region of a crowd" if item.get("iscrowd") else ""
        boxes.append(Box(item["name"], (left, top, left + width, top + height), crowd))
    return boxes


def read_coco(src: Path) -> Listing:
    """List the pairs; the split is that of the image folders, otherwise that of the label files."""
    pairs: list[Pair] = []
    classes: dict[str, None] = {}
    more: set[str] = set()
    for part in parts(src):
        tables = {}
        for camera, folder in part.labels.items():
            tables[camera], names = _tables(folder, part)
            classes |= dict.fromkeys(names)
        for name, visible, infrared in side_by_side(part.visible, part.infrared):
            found = {camera: _find(by_split, name, part) for camera, by_split in tables.items()}
            split = part.split or next((split for split, rows in found.values() if rows is not None), "train")
            labels = {camera: partial(to_boxes, rows) for camera, (_, rows) in found.items()}
            more |= {key for _, rows in found.values() for row in rows or () for key in BESIDE if row.get(key)}
            pairs.append(Pair(split, name, visible, infrared, labels))
    return Listing(pairs, tuple(classes), [f"{key}: left behind; boxes are converted" for key in sorted(more)])


def _tables(folder: Path, part: Part) -> tuple[dict[str, dict[str, Annotations]], list[str]]:
    """Return the annotations of the files in a folder, or beside it, by split and path, and the class names."""
    files = sorted(folder.glob("*.json")) or sorted(folder.parent.glob("*.json"))
    if not files:
        raise MissingFileError(f"no file '{folder}/*.json'; expected {LAYOUT} in the folder src=")
    tables: dict[str, dict[str, Annotations]] = {}
    names: list[str] = []
    for file in files:
        split = next((split for split in SPLITS if split in file.stem.lower()), "")
        if part.split and split not in ("", part.split):
            continue
        table, categories = read_json(file)
        known = tables.setdefault(split, {})
        if twice := [path for path in table if path in known]:
            raise UserValueError(f"'{file}' and another file beside it label '{twice[0]}'; put all of a split in one")
        known.update(table)
        names += categories
    for table in tables.values():
        alike = Counter(Path(path).name for path in table)
        table |= {Path(path).name: rows for path, rows in table.items() if alike[Path(path).name] == 1}
    return tables, names


def _find(by_split: dict[str, dict[str, Annotations]], name: str, part: Part) -> tuple[str, Annotations | None]:
    """Return the split and the annotations of an image; None if no file contains it, or the name is that of several."""
    for split, table in by_split.items():
        for key in (f"{part.visible.name}/{name}", name, Path(name).name):
            if key in table:
                return split, table[key]
    return "", None


COCO = Format("coco", "Pairs with COCO labels", read_coco)
