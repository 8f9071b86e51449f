"""The files of a data set: pairs and label files by split, and what is missing or left over."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metafusion_yolo.data.class_folders import in_class_folders
from metafusion_yolo.data.description import check_description, describe_what_is_there
from metafusion_yolo.data.folders import parts
from metafusion_yolo.data.listing import SPLITS
from metafusion_yolo.data.registration import sequence_of
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import Split, split_pairs
from metafusion_yolo.prepare.check.findings import Case, Cases
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.paged import PagedItems
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
        splits: The pairs of each split, as training lists them, until :func:`list_pairs` takes them.
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


def list_pairs(source: Source) -> tuple[Sequence[PairFiles], Cases]:
    """List the pairs, split by split, each file once, and the faults of the listing; the splits are let go of."""
    pairs: PagedItems[PairFiles] = PagedItems(lambda values: PairFiles(*values))
    places: dict[str, int] = {}  # of the pairs, by visible image
    images_of_labels: dict[str, set[str]] = {}  # folders of images by folder of labels
    cases = Cases(
        Case("missing-test" if split == "test" else "missing-split", split, error)
        for split, error in source.missing.items()
    )
    for split in [*source.splits]:
        found = source.splits.pop(split)
        partners = found.partners
        for problem in found.problems:
            shown = ("", problem.file) if problem.kind == "extra-partner" else (problem.file, "")
            detail = str(problem) if " for example " in problem else problem.partition("; ")[0]
            detail = detail.rpartition(f"'{problem.file}': ")[2]  # which it begins with
            cases.extend([Case(problem.kind, problem.file, detail, shown)])
        unlabelled = []
        for file, infrared in partners.items():
            label = str(found.label_of(file))
            images_of_labels.setdefault(parts(label)[0], set()).add(parts(file)[0])
            if not os.path.isfile(label):  # noqa: PTH113 - of a million
                unlabelled.append(file)
            if file in places:
                first = pairs[places[file]]
                cases.extend([Case("split-leak", file, f"in {first.split} and {split}", first.both)])
            else:
                places[file] = len(pairs)
                pairs.append((split, file, infrared, label))
        if len(unlabelled) < len(partners):
            missing = ((file, str(found.label_of(file))) for file in unlabelled)
            cases.extend(Case("label-missing", file, label, (file, partners[file])) for file, label in missing)
        elif split != "test" and not in_class_folders(partners, source.names):
            first_label = str(found.label_of(unlabelled[0])) if unlabelled else ""
            cases.extend([Case("no-labels", split, f"looked for '{first_label}' and others")])
    cases.extend(_unknown_folders(source.rig, {folder for some in images_of_labels.values() for folder in some}))
    cases.extend(_orphans(images_of_labels))
    return pairs, cases


def _unknown_folders(rig: Rig, folders: set[str]) -> Iterator[Case]:
    """Yield a case for each folder that the YAML names as a sequence, and that no image lies in."""
    sequences = rig.registration.sequences if rig.registration else ()
    for key, names in (("thermal: invert", rig.thermal.invert), ("registration: sequences", sequences)):
        for name in () if isinstance(names, (bool, str)) else names:
            if not any(sequence_of(f"{folder}/_", [name]) for folder in folders):
                yield Case("unknown-folder", name, f"under '{key}:'")


def _orphans(images_of_labels: dict[str, set[str]]) -> Iterator[Case]:
    """Yield a case for each label file without an image, whether the image would be listed or not."""
    for labels, folders in images_of_labels.items():
        if labels in folders or not Path(labels).is_dir():  # text files beside images can be anything
            continue
        beside = (file.name for folder in folders if Path(folder).is_dir() for file in os.scandir(folder))
        stems = {"classes", *(parts(name)[1] for name in beside)}
        named = (file.name for file in os.scandir(labels) if file.name.endswith(".txt"))
        for name in sorted(name for name in named if parts(name)[1] not in stems):
            yield Case("label-orphan", str(Path(labels, name)))
