"""The layout of your own pairs: two folders of images and one of labels, with or without folders per split."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from metafusion_yolo.prepare.convert import formats
from metafusion_yolo.prepare.convert.formats import find_folder, read_list, require_folder
from metafusion_yolo.support.errors import UserValueError

VISIBLE = ("visible", "vis", "vi", "rgb", "images", "JPEGImages")
INFRARED = ("infrared", "ir", "thermal", "lwir")
LABELS = ("labels", "annotations", "annotation")
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
LAYOUT = "folders visible, infrared and labels, each with or without train, val and test in it,"


@dataclass(frozen=True)
class Part:
    """The folders of a split, or of all pairs if the split is empty.

    Attributes:
        split: "train", "val", "test" or empty.
        visible: Folder of the visible images.
        infrared: Folder of the infrared images, with the same names.
        labels: Folders of labels by camera, or the one of both.
    """

    split: str
    visible: Path
    infrared: Path
    labels: dict[str, Path]

    def label_files(self, name: str, suffix: str) -> dict[str, Path]:
        """Return the path of the label file of a pair, by camera."""
        return {camera: folder / f"{name}{suffix}" for camera, folder in self.labels.items()}


def parts(src: Path) -> list[Part]:
    """Find the folders: visible/train, infrared/train, labels/train; or train/visible, train/infrared, train/labels.

    If the cameras are labelled separately, labels/visible and labels/infrared take the place of labels. A missing
    folder of images raises FileNotFoundError.
    """
    tops = {split: find_folder(src, *names) for split, names in SPLITS.items()}
    inner = {split: top for split, top in tops.items() if top and find_folder(top, *VISIBLE)}
    if inner:
        return [Part(split, *_cameras(top), _labels(top)) for split, top in inner.items()]
    visible, infrared = _cameras(src)
    labels = _labels(src)
    found = []
    for split, names in SPLITS.items():
        if folder := find_folder(visible, *names):
            by_camera = {camera: find_folder(path, *names) or path for camera, path in labels.items()}
            found.append(Part(split, folder, require_folder(infrared, *names, layout=LAYOUT), by_camera))
    return found or [Part("", visible, infrared, labels)]


def pairs_of(src: Path, part: Part) -> Iterator[tuple[str, str, Path, Path]]:
    """Yield split, name, visible and infrared file of each pair; without folders per split, lists give the split.

    Lists are ImageSets/Main/train.txt and the like, or train.txt beside the folders. A pair on no list is "unlisted".
    """
    lists = {} if part.split else split_lists(src)
    for name, visible, infrared in formats.side_by_side(part.visible, part.infrared):
        yield lists.get(name, formats.UNLISTED) if lists else part.split, name, visible, infrared


def split_lists(src: Path) -> dict[str, str]:
    """Return the split of each path and name on the lists of a folder; empty without a list."""
    folder = find_folder(src / "ImageSets", "Main") or find_folder(src, "ImageSets") or src
    found: dict[str, str] = {}
    for split, names in SPLITS.items():
        for file in (folder / f"{name}.txt" for name in names):
            for line in read_list(file) if file.is_file() else []:
                for path in (Path(part.replace("\\", "/")) for part in (line.split()[0], line)):
                    found |= {path.as_posix(): split, path.stem: split}
    return found


def read_classes(src: Path) -> list[str]:
    """Return the class names of a `classes.txt`, or of `names` in a YAML, in a folder; empty if there is neither."""
    if (file := src / "classes.txt").is_file():
        return read_list(file)
    for file in sorted((*src.glob("*.yaml"), *src.glob("*.yml"))):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            advice = "correct it, or put the class names in classes.txt"
            raise UserValueError(f"'{file}' cannot be read as YAML; {advice}") from error
        if names := content.get("names") if isinstance(content, dict) else None:
            return [str(names[key]) for key in sorted(names)] if isinstance(names, dict) else list(map(str, names))
    return []


def _cameras(folder: Path) -> tuple[Path, Path]:
    """Return the folders of the visible and of the infrared images."""
    return require_folder(folder, *VISIBLE, layout=LAYOUT), require_folder(folder, *INFRARED, layout=LAYOUT)


def _labels(folder: Path) -> dict[str, Path]:
    """Return the folder of labels, or one per camera if there are both."""
    labels = find_folder(folder, *LABELS) or folder / LABELS[0]
    separate = {
        camera: find_folder(labels, *names) for camera, names in zip(formats.CAMERAS, (VISIBLE, INFRARED), strict=True)
    }
    found = {camera: path for camera, path in separate.items() if path}
    return found if len(found) == 2 else {formats.SHARED: labels}
