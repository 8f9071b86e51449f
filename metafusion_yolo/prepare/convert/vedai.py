"""VEDAI: aerial pairs with oriented boxes, in one text file or one per image."""

from functools import partial
from pathlib import Path

from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.prepare.convert import formats
from metafusion_yolo.prepare.convert.formats import Box, Format, Listing, Pair

LAYOUT = "Vehicules1024 and Annotations1024 with fold01.txt and fold01test.txt, or the same with 512,"
NAMES = {1: "car", 2: "truck", 4: "tractor", 5: "camping car", 7: "motorcycle", 8: "bus", 9: "van", 10: "other"}
NAMES |= {11: "pickup", 23: "boat", 31: "plane"}
COLUMNS = 14  # of a row, without the name of the image


def read_combined(file: Path) -> dict[str, list[list[str]]]:
    """Return rows by image of the file of all: image x y angle x1 x2 x3 x4 y1 y2 y3 y4 class contained occluded."""
    rows: dict[str, list[list[str]]] = {}
    for row in formats.read_list(file):
        image, *cells = row.split()
        rows.setdefault(image.zfill(8), []).append(cells)
    return rows


def boxes_of_combined(rows: list[list[str]] | None) -> list[Box]:
    """Return the boxes of an image from its rows of :func:`read_combined`, None if it has none."""
    if rows is None:
        raise LabelError("image is not in the label file")
    return [_box(row, number=11, corners=3) for row in rows]


def read_image_file(file: Path) -> list[Box]:
    """Read the file of an image, with rows x y angle class contained occluded x1 x2 x3 x4 y1 y2 y3 y4.

    Some files give the centre only; as for a missing file, a LabelError says so.
    """
    if not file.is_file():
        raise LabelError("label file is missing")
    return [_box(row.split(), number=3, corners=6) for row in formats.read_list(file)]


def _box(row: list[str], number: int, corners: int) -> Box:
    """Return the box of a row, with the columns of the class number and of the first corner."""
    if len(row) < COLUMNS:
        raise LabelError("row without corners")
    try:
        xs, ys = ([float(v) for v in row[start : start + 4]] for start in (corners, corners + 4))
        category = int(float(row[number]))
    except ValueError as error:
        raise LabelError("row that is not made of numbers") from error
    corners_xy = [*zip(xs, ys, strict=True)]
    return Box(NAMES.get(category, f"number {category}"), (min(xs), min(ys), max(xs), max(ys)), outline=corners_xy)


def read_vedai(src: Path) -> Listing:
    """List the images of the first fold, of 1024 pixels if they exist, otherwise of 512."""
    size = 512 if formats.find_folder(src, "Vehicules512") and not formats.find_folder(src, "Vehicules1024") else 1024
    images = formats.require_folder(src, f"Vehicules{size}", layout=LAYOUT)
    annotations = formats.require_folder(src, f"Annotations{size}", layout=LAYOUT)
    combined = annotations / f"annotation{size}.txt"
    rows = read_combined(combined) if combined.is_file() else None
    pairs = []
    for split, fold in (("train", "fold01.txt"), ("test", "fold01test.txt")):
        for name in sorted(
            line.zfill(8) for line in formats.read_list(formats.require_file(fold, annotations, src, layout=LAYOUT))
        ):
            per_image = partial(read_image_file, annotations / f"{name}.txt")
            labels = {formats.SHARED: per_image if rows is None else partial(boxes_of_combined, rows.get(name))}
            pairs.append(Pair(split, name, images / f"{name}_co.png", images / f"{name}_ir.png", labels))
    split_note = f"split: fold 1 of 10, as published; its test part validates; images of {size} pixels"
    return Listing(pairs, tuple(NAMES.values()), [split_note])


VEDAI = Format(
    "vedai", "VEDAI (Razakarivony and Jurie, 2016), downloads.greyc.fr/vedai", read_vedai, outlines="oriented"
)
