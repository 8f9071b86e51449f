"""YOLO text labels: one's own pairs, in folders or lists, brought to the layout of this project."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from metafusion_yolo.data.reading import image_size
from metafusion_yolo.prepare.convert.folders import pairs_of, parts, read_classes
from metafusion_yolo.prepare.convert.formats import Box, Format, LabelError, Listing, Pair
from metafusion_yolo.support.errors import MissingFileError


def read_rows(file: Path, image: Path, classes: tuple[str, ...]) -> list[Box]:
    """Read a label file: class and box, or class and polygon, normalised; a missing file is an image without objects.

    Args:
        file: The label file.
        image: The image that it labels, for its size.
        classes: Names by class number.

    Raises:
        LabelError: If a row is not in this form.
        PairError: If the image cannot be read.
    """
    if not file.is_file():
        return []
    width, height = image_size(image)
    boxes = []
    for row in file.read_text("utf-8-sig", "replace").splitlines():
        if not row.strip():
            continue
        try:
            number, *values = (float(cell) for cell in row.split())
        except ValueError as error:
            raise LabelError("row that is not made of numbers") from error
        if len(values) == 4:
            x, y, w, h = values
            xs, ys = [x - w / 2, x + w / 2], [y - h / 2, y + h / 2]
        elif len(values) >= 6 and len(values) % 2 == 0:
            xs, ys = values[::2], values[1::2]
        else:
            raise LabelError(f"row of {len(values) + 1} numbers, not 'class x y w h'")
        name = classes[int(number)] if 0 <= number < len(classes) else f"number {number:g}"
        boxes.append(Box(name, (min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height)))
    return boxes


def read_yolo(src: Path) -> Listing:
    """List one's own pairs; the class names are those of a classes.txt or of a YAML.

    Raises:
        FileNotFoundError: If there is neither.
    """
    found = parts(src)
    if not (classes := tuple(read_classes(src))):
        raise MissingFileError(
            f"no class names in '{src}'; expected a YAML with 'names', or classes.txt, a name a line"
        )
    pairs = []
    for part in found:
        for split, name, visible, infrared in pairs_of(src, part):
            labels = {
                camera: partial(read_rows, file, infrared if camera == "infrared" else visible, classes)
                for camera, file in part.label_files(name, ".txt").items()
            }
            pairs.append(Pair(split, name, visible, infrared, labels))
    return Listing(pairs, classes)


YOLO = Format("yolo", "Pairs with YOLO labels", read_yolo)
