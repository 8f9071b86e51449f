"""The files of a data set: pairs and label files by split, and what is missing or left over."""

from dataclasses import dataclass
from pathlib import Path

from ultralytics.data.utils import img2label_paths

from metafusion_yolo.data.description import describe
from metafusion_yolo.data.listing import SPLITS, split_images
from metafusion_yolo.data.pairs import expected_by_rule, find_partners
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.resources import find_data_yaml


@dataclass(frozen=True)
class PairFiles:
    """The files of a pair.

    Attributes:
        split: "train", "val" or "test".
        visible: Path of the visible image.
        infrared: Path of the infrared image; empty if there is none.
        label: Path of the label file; it may not exist.
    """

    split: str
    visible: str
    infrared: str
    label: str

    @property
    def both(self) -> tuple[str, str]:
        """Visible and infrared path."""
        return self.visible, self.infrared


@dataclass(frozen=True)
class Source:
    """A data set as its YAML describes it.

    Attributes:
        yaml: The YAML.
        path: Folder of the data set.
        names: Class names by index.
        rig: Pairing, thermal range and registration of the two cameras.
        images: Visible images by split, as training lists them, each once.
        folders: Splits that are given as folders only, so that every file in them belongs to the split.
    """

    yaml: str
    path: Path
    names: dict[int, str]
    rig: Rig
    images: dict[str, list[str]]
    folders: frozenset[str]


def read_source(data: str | Path) -> Source:
    """Read a data-set YAML as training does; see :func:`~metafusion_yolo.prepare.check.check_dataset` for errors."""
    file = find_data_yaml(data)
    if Path(file).is_dir():
        raise UserValueError(f"data={data} is a folder; name the data-set YAML, such as {Path(file) / 'data.yaml'}")
    content = describe(file)
    images, folders = {}, set()
    for split in filter(content.get, SPLITS):
        images[split] = [*dict.fromkeys(split_images(content, split, lost=True))]
        entries = content[split] if isinstance(content[split], list) else [content[split]]
        folders |= {split} if all(Path(entry).is_dir() for entry in entries) else set()
    rig = Rig.from_yaml(content, file)
    return Source(file, Path(content["path"]).resolve(), content["names"], rig, images, frozenset(folders))


def list_pairs(source: Source) -> tuple[list[PairFiles], list[Case]]:
    """List the pairs of all splits, each file once, and the faults of the listing."""
    pairs: dict[str, PairFiles] = {}
    images_of_labels: dict[Path, set[Path]] = {}  # folders of images by folder of labels
    cases: list[Case] = []
    for split, files in source.images.items():
        partners, problems = find_partners(files, expected_by_rule(source.rig.pairing), split in source.folders)
        for problem in problems:
            shown = ("", problem.file) if problem.kind == "extra-partner" else (problem.file, "")
            cases.append(Case(problem.kind, problem.file, pair=shown))
        labels = dict(zip(partners, img2label_paths([*partners]), strict=True))
        labelled = {file for file in partners if Path(labels[file]).is_file()}
        if labelled:
            unlabelled = [file for file in partners if file not in labelled]
            cases += [Case("label-missing", file, labels[file], (file, partners[file])) for file in unlabelled]
        elif split != "test":
            cases.append(Case("no-labels", split, f"looked for '{next(iter(labels.values()), '')}' and others"))
        for file, label in labels.items():
            images_of_labels.setdefault(Path(label).parent, set()).add(Path(file).parent)
        for file, infrared in partners.items():
            if file in pairs:
                cases.append(Case("split-leak", file, f"in {pairs[file].split} and {split}", pairs[file].both))
            else:
                pairs[file] = PairFiles(split, file, infrared, labels[file])
    return [*pairs.values()], cases + _orphans(images_of_labels)


def _orphans(images_of_labels: dict[Path, set[Path]]) -> list[Case]:
    """Return a case for each label file without an image, whether the image would be listed or not."""
    cases = []
    for labels, folders in images_of_labels.items():
        if labels in folders or not labels.is_dir():  # text files beside images can be anything
            continue
        stems = {file.stem for folder in folders for file in folder.iterdir()}
        files = sorted(file for file in labels.glob("*.txt") if file.stem not in stems and file.stem != "classes")
        cases += [Case("label-orphan", str(file)) for file in files]
    return cases
