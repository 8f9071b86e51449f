"""The files of a data set: pairs and label files by split, and what is missing or left over."""

from dataclasses import dataclass
from pathlib import Path

from metafusion_yolo.data.class_folders import in_class_folders
from metafusion_yolo.data.description import check_description, describe_what_is_there
from metafusion_yolo.data.listing import SPLITS
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import Split, split_pairs
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.resources import find_data_yaml


@dataclass(frozen=True, slots=True)
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
        splits: The pairs of each split, as training lists them.
        missing: Why a split that the YAML names cannot be listed, by split.
        kpt_shape: Number of keypoints of an object, and of values each; None for none.
    """

    yaml: str
    path: Path
    names: dict[int, str]
    rig: Rig
    splits: dict[str, Split]
    missing: dict[str, str]
    kpt_shape: list[int] | None = None


def read_source(data: str | Path) -> Source:
    """Read a data-set YAML as training does; see :func:`~metafusion_yolo.prepare.check.check_dataset` for errors."""
    file = find_data_yaml(data)
    if Path(file).is_dir():
        raise UserValueError(f"data={data} is a folder; name the data-set YAML, such as {Path(file) / 'data.yaml'}")
    content = describe_what_is_there(file)
    if content.get("kpt_shape"):
        check_description(file, "pose")
    rig = Rig.from_yaml(content, file)
    splits, missing = {}, {}
    for split in filter(content.get, SPLITS):
        try:
            splits[split] = split_pairs(content, split, rig, lost=True)
        except MissingFileError as error:
            missing[split] = str(error)
    if not splits:
        raise MissingFileError(next(iter(missing.values())))
    return Source(
        file, Path(content["path"]).resolve(), content["names"], rig, splits, missing, content.get("kpt_shape")
    )


def list_pairs(source: Source) -> tuple[list[PairFiles], list[Case]]:
    """List the pairs, split by split, each file once, and the faults of the listing."""
    pairs: dict[str, PairFiles] = {}
    images_of_labels: dict[Path, set[Path]] = {}  # folders of images by folder of labels
    cases = [
        Case("missing-test" if split == "test" else "missing-split", split, error)
        for split, error in source.missing.items()
    ]
    for split, found in source.splits.items():
        partners = found.partners
        for problem in found.problems:
            shown = ("", problem.file) if problem.kind == "extra-partner" else (problem.file, "")
            detail = str(problem) if " for example " in problem else ""
            cases.append(Case(problem.kind, problem.file, detail, shown))
        labels = {file: str(found.label_of(file)) for file in partners}
        labelled = {file for file in partners if Path(labels[file]).is_file()}
        if labelled:
            unlabelled = [file for file in partners if file not in labelled]
            cases += [Case("label-missing", file, labels[file], (file, partners[file])) for file in unlabelled]
        elif split != "test" and not in_class_folders(partners, source.names):
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
