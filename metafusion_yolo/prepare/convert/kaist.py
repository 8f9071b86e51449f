"""KAIST multispectral pedestrians: frames of videos with text or XML labels, original or improved."""

from collections import Counter
from functools import partial
from pathlib import Path

from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.prepare.convert import formats
from metafusion_yolo.prepare.convert.formats import Box, Format, Listing, Pair, Reader
from metafusion_yolo.prepare.convert.voc import read_xml

LAYOUT = "images/setXX/VXXX/{visible,lwir} and annotations/setXX/VXXX, as KAIST is published,"
CLASSES = ("person", "people", "cyclist")
LISTS = {
    "train": ("train-all-02.txt", "train-all-04.txt", "train-all-20.txt"),
    "test": ("test-all-20.txt", "test-all-01.txt"),
}
TRAINED = 6  # sets 00 to 05 are for training, 06 to 11 for testing
# Folders of labels, the best first; each frame uses the first that has a file for it.
FOLDERS = (
    "annotations-xml-new-sanitized",
    "sanitized_annotations",
    "annotations-xml-new",
    "annotations-xml-15",
    "annotations-xml",
    "annotations",
)


def read_text(file: Path) -> list[Box]:
    """Read a text file of Piotr's toolbox, with rows `label x y w h occluded vx vy vw vh ignore angle`."""
    lines = formats.read_list(file)
    if not lines or not lines[0].startswith("% bbGt"):
        raise LabelError("text without the line '% bbGt version=3'")
    boxes = []
    for cells in (line.split() for line in lines[1:]):
        try:
            left, top, width, height = (float(cell) for cell in cells[1:5])
        except ValueError as error:
            raise LabelError("row that is not 'label x y w h ...'") from error
        skip = "object marked to be ignored" if len(cells) > 10 and cells[10] == "1" else ""
        boxes.append(Box(cells[0], (left, top, left + width, top + height), skip))
    return boxes


def read_nothing() -> list[Box]:
    """Raise a LabelError for a frame without labels in any folder."""
    raise LabelError("label file is missing")


def read_kaist(src: Path) -> Listing:
    """List the frames of the published lists, or all frames if there are no lists."""
    images = formats.require_folder(src, "images", layout=LAYOUT)
    folders = [folder for name in FOLDERS if (folder := formats.find_folder(src, name))]
    if not folders:
        formats.require_folder(src, *reversed(FOLDERS), layout=LAYOUT)
    pairs, sources = [], []
    used: Counter[str] = Counter()
    for split in LISTS:
        frames, source = frames_of(src, images, split)
        sources.append(source)
        for frame in frames:
            reader, place = _labels(folders, frame)
            used[place] += 1
            video, _, number = frame.rpartition("/")
            vis, ir = (_image(images / video / camera, number) for camera in ("visible", "lwir"))
            pairs.append(Pair(split, frame, vis, ir, {formats.SHARED: reader}))
    split_note = f"split: as published, {' and '.join(sources)}; the test sets validate"
    labels_note = "labels: " + ", ".join(f"{place} ({count} frames)" for place, count in used.items())
    return Listing(pairs, CLASSES, [split_note, labels_note])


def frames_of(src: Path, images: Path, split: str) -> tuple[list[str], str]:
    """Return the frames of a split, such as "set00/V000/I00001", and the list or sets they come from."""
    if lists := formats.find_folder(src, "imageSets"):
        for file in (lists / name for name in LISTS[split]):
            if file.is_file():
                return sorted({line.removesuffix(".jpg") for line in formats.read_list(file)}), file.name
    sets = [path for path in images.glob("set[0-9][0-9]") if (int(path.name[3:]) < TRAINED) == (split == "train")]
    files = (file for folder in sets for file in folder.glob("V*/*/I*"))
    frames = sorted({f"{file.parts[-4]}/{file.parts[-3]}/{file.stem}" for file in files})
    return frames, f"all frames of sets {'00 to 05' if split == 'train' else '06 to 11'}"


def _labels(folders: list[Path], frame: str) -> tuple[Reader, str]:
    """Return the reader of the labels of a frame, and the name of their folder; some folders are flat."""
    for folder in folders:
        for file in (folder / f"{frame}.xml", folder / f"{frame}.txt", folder / f"{frame.replace('/', '_')}.txt"):
            if file.is_file():
                return partial(read_xml if file.suffix == ".xml" else read_text, file), folder.name
    return read_nothing, "none"


def _image(folder: Path, number: str) -> Path:
    """Return the path of an image, which is a PNG in some packages."""
    png = folder / f"{number}.png"
    return png if png.is_file() else folder / f"{number}.jpg"


KAIST = Format("kaist", "KAIST (Hwang et al., CVPR 2015), soonminhwang.github.io/rgbt-ped-detection", read_kaist)
