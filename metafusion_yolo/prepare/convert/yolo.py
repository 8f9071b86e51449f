"""Your own pairs with YOLO text labels, in folders or lists."""

from functools import partial
from pathlib import Path

from metafusion_yolo.data.labels import LabelError, read_labels
from metafusion_yolo.data.reading import image_size
from metafusion_yolo.prepare.convert.folders import pairs_of, parts, read_classes
from metafusion_yolo.prepare.convert.formats import Box, Format, Listing, Pair
from metafusion_yolo.support.errors import MissingFileError


def read_rows(file: Path, image: Path, classes: tuple[str, ...]) -> list[Box]:
    """Read a label file of normalised boxes or polygons; a missing file means an image without objects.

    Args:
        file: The label file.
        image: The labelled image, for its size.
        classes: Names by class index.

    Raises:
        LabelError: If a row is neither a box nor a polygon.
        PairError: If the image cannot be read.
    """
    try:
        labels = read_labels(file, mixed=True)
    except LabelError as error:  # one text for all files, as reasons are counted
        raise LabelError("row that is neither 'class x y width height' nor a polygon") from error
    names = (classes[c] if 0 <= c < len(classes) else f"number {c}" for c in labels.classes.tolist())
    size = image_size(image) if len(labels.classes) else (1, 1)
    corners, outlines = labels.boxes_xyxyn * (size * 2), [(outline * size).tolist() for outline in labels.outlines]
    rows = zip(names, corners.tolist(), outlines or [None] * len(corners), strict=True)
    return [Box(name, (x0, y0, x1, y1), outline=outline) for name, (x0, y0, x1, y1), outline in rows]


def read_yolo(src: Path) -> Listing:
    """List your own pairs, with the class names of a classes.txt or a YAML, of which one must exist."""
    found = parts(src)
    if not (classes := tuple(read_classes(src))):
        raise MissingFileError(f"no class names in '{src}'; expected a YAML with 'names', or classes.txt")
    pairs = []
    for part in found:
        for split, name, visible, infrared in pairs_of(src, part):
            labels = {
                camera: partial(read_rows, file, infrared if camera == "infrared" else visible, classes)
                for camera, file in part.label_files(name, ".txt").items()
            }
            pairs.append(Pair(split, name, visible, infrared, labels))
    return Listing(pairs, classes)


YOLO = Format("yolo", "Pairs with YOLO labels", read_yolo, outlines="segments")
