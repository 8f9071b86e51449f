"""A data-set YAML for images as they lie on the disk: pairs in CSV lists, with their labels, by split."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from metafusion_yolo.data.labels import LabelError, label_file, read_labels
from metafusion_yolo.data.listing import is_pair_list, list_images, read_pair_rows
from metafusion_yolo.data.naming import match_names
from metafusion_yolo.data.pairs import parse_rule
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.shown_in import INDEX, ShownIn
from metafusion_yolo.options import Init
from metafusion_yolo.prepare.convert.folders import SPLITS, read_classes
from metafusion_yolo.prepare.convert.scenes import SHARE, scenes_of, share_out
from metafusion_yolo.prepare.pairing import Pairing, both_sides, propose
from metafusion_yolo.support.errors import MissingFileError, UserValueError

NOT_LABELS = {"classes", "notes", "readme", "readme.roboflow", "readme.dataset", "train", "val", "valid", "test"}
NO_LABELS = "no labels: give labels=, let a detector label (metafusion data label), or train with fusion_only=True"


@dataclass(frozen=True)
class Draft:
    """A data set that was described.

    Attributes:
        yaml: The data-set YAML.
        pairing: How the images were paired.
        splits: Number of pairs by split.
        notes: What else there is to know, a line each.
        labelled: Whether there are labels.
    """

    yaml: Path
    pairing: Pairing
    splits: dict[str, int]
    notes: list[str]
    labelled: bool

    def summary(self) -> str:
        """Return what was found, one line each."""
        sizes = ", ".join(f"{split} {count}" for split, count in self.splits.items())
        return "\n".join([self.pairing.summary(), f"splits: {sizes}", *self.notes])


def draft(folder: Path, asked: Init) -> Draft:
    """Describe images in a data-set YAML, beside CSV lists of their pairs; the images are left where they are.

    Args:
        folder: New or empty folder for the YAML and the lists.
        asked: The images, their labels and names, and what to pair by; `dst` and `exist_ok` have no effect.

    Raises:
        PairError: If the images do not pair up clearly; nothing is written.
        FileNotFoundError: If there are no images, or no labels where they should be.
        ValueError: If a list or a label file cannot be read.
    """
    visible, layout, camera = str(asked.visible), asked.layout, asked.camera
    infrared, labels = (None if one is None else str(one) for one in (asked.infrared, asked.labels))
    pairing, listed = _paired(visible, infrared, asked.by, layout)
    if listed:
        lost = sum(not Path(listed.get(file) or label_file(file)).is_file() for file in pairing.pairs)
        found, notes = listed, _without(lost)
    else:
        found, notes = _labelled(pairing.pairs, labels)
    rig = Rig(parse_rule(pairing.rule or None), layout=layout)
    splits, note = _split([*pairing.pairs.items()], PairReader(rig))
    files = [found.get(file) or str(label_file(file)) for file in pairing.pairs]
    classes = _class_names(asked.names, labels, visible, files)
    shown_in = ShownIn(folder)
    said = shown_in.take([Path(file) for file in files])
    folder.mkdir(parents=True, exist_ok=True)
    shown_in.write()
    for split, rows in splits.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["visible", "infrared", "labels"])
            writer.writerows([_place(folder, f) for f in (*row, found.get(row[0], ""))] for row in rows)
    content: dict[str, object] = {split: f"{split}.csv" for split in splits}
    content |= {"names": dict(enumerate(classes))}
    content |= {"infrared": pairing.rule} if pairing.rule else {}
    content |= {"layout": layout} if layout else {}
    content |= {"camera": camera} if camera else {}
    head = f"# {len(pairing.pairs)} pairs, by {pairing.by}; written by metafusion data init\n"
    file_text = head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (folder / "pairs.yaml").write_text(file_text, encoding="utf-8")
    notes += [note] if note else []
    notes += [f"{INDEX}: taken along, for {said} label files"] if said else []
    sizes = {split: len(rows) for split, rows in splits.items()}
    return Draft(folder / "pairs.yaml", pairing, sizes, notes, labelled=NO_LABELS not in notes)


def one_way(data: str | Path | None, visible: str | None, infrared: str | None) -> None:
    """Check that a data set is given by its YAML or by its two folders.

    Raises:
        ValueError: If it is given by neither, or by both.
    """
    if sum(one is not None for one in (visible, infrared)) != (2 if data is None else 0):
        raise UserValueError("give data=, a data-set YAML, or the two folders, visible= and infrared=")


def _paired(visible: str, infrared: str | None, by: str, layout: str | None) -> tuple[Pairing, dict[str, str]]:
    """Return the pairs, and the label files that a CSV list names."""
    if layout or is_pair_list(visible):
        if infrared is not None:
            what = f"layout={layout} says that it holds" if layout else "it lists"
            raise UserValueError(f"'{visible}' needs no infrared=, as {what} both cameras; leave infrared= out")
        if layout:
            return Pairing(f"layout {layout}", dict.fromkeys(list_images(visible), ""), "", ([], [])), {}
        rows = read_pair_rows(Path(visible))
        labels = {first: label for first, _, label in rows if label}
        return Pairing("a CSV list", {first: second for first, second, _ in rows}, "", ([], [])), labels
    if infrared is None:
        raise UserValueError(
            f"no infrared= for visible={visible}; give the folder of the infrared images, or layout= if each image "
            f"holds both cameras"
        )
    return propose(*both_sides(visible, infrared), by), {}


def _labelled(pairs: Mapping[str, str], folder: str | None) -> tuple[dict[str, str], list[str]]:
    """Return the label file of each pair where it is not beside its visible image, and notes for the user."""
    if folder is None:
        if own := sum(label_file(file).is_file() for file in pairs):
            return {}, [f"{own} labels, beside the visible images", *_without(len(pairs) - own)]
        beside = {file: str(label_file(heat)) for file, heat in pairs.items() if heat and label_file(heat).is_file()}
        note = f"{len(beside)} labels, beside the infrared images: their boxes are taken as they are"
        return beside, [note, *_without(len(pairs) - len(beside))] if beside else [NO_LABELS]
    if not Path(folder).is_dir():
        raise MissingFileError(f"labels='{folder}' is not a folder; give the folder of the YOLO label files")
    files = sorted(str(f) for f in Path(folder).rglob("*.txt") if f.stem.lower() not in NOT_LABELS)
    if not files:
        others = Counter(f.suffix for f in Path(folder).rglob("*") if f.suffix in (".xml", ".json"))
        how = f"; bring its {others.most_common(1)[0][0]} files over by metafusion data convert" if others else ""
        raise MissingFileError(f"no YOLO label files (.txt) in labels='{folder}'{how}")
    by_camera = {"visible": {file: file for file in pairs}, "infrared": {heat: file for file, heat in pairs.items()}}
    best: tuple[str, dict[str, str]] = "visible", {}
    for camera, images in by_camera.items():
        match = max(match_names([f for f in images if f], files), key=lambda match: len(match.pairs))
        if len(match.pairs) > len(best[1]):
            best = camera, {images[image]: label for image, label in match.pairs.items()}
    camera, found = best
    if not found:
        raise MissingFileError(
            f"none of {len(files)} label files in labels='{folder}' is named like an image, for example "
            f"'{Path(files[0]).name}'; name them alike, or give a CSV list visible,infrared,labels as visible="
        )
    alone = len(files) - len(found)
    return found, [
        f"{len(found)} labels, named like the {camera} images" + (f"; {alone} of no pair" if alone else ""),
        *_without(len(pairs) - len(found)),
    ]


def _without(count: int) -> list[str]:
    """Return what becomes of pairs that have no label file."""
    return [f"without a label, taken for empty: {count}"] if count else []


def _class_names(names: str | Sequence[str] | None, labels: str | None, visible: str, files: list[str]) -> list[str]:
    """Return the class names as given, as a list or YAML near the labels says, or numbered."""
    if names:
        return [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    near = [Path(labels), Path(labels).parent] if labels else [Path(visible), Path(visible).parent]
    for folder in near:
        if folder.is_dir() and (found := read_classes(folder)):
            return [*found]
    try:
        highest = max((int(read_labels(f, mixed=True).classes.max(initial=-1)) for f in files), default=-1)
    except LabelError:
        highest = 0  # training and the check name the line
    return [f"class{i}" for i in range(highest + 1)] or ["object"]


def _split(pairs: list[tuple[str, str]], reader: PairReader) -> tuple[dict[str, list[tuple[str, str]]], str]:
    """Return the pairs by split, and how they were split, where their folders do not say."""
    names = {name: split for split, words in SPLITS.items() for name in (split, *words)}
    of_pair = [
        next((names[p.lower()] for p in reversed(Path(v).parts[:-1]) if p.lower() in names), "") for v, _ in pairs
    ]
    note = ""
    if not {"train", "val"} <= {*of_pair} or "" in of_pair:
        scenes = scenes_of(pairs, lambda pair: reader.parts(*pair))
        sides = share_out([len(scene) for scene in scenes])
        of_pair = [""] * len(pairs)
        for scene, side in zip(scenes, sides, strict=True):
            for i in scene:
                of_pair[i] = side
        note = f"split by scene: {len(scenes)} scenes, each on one side"
        if "val" not in sides:
            last = max(1, round(SHARE * len(pairs)))
            of_pair = ["train"] * (len(pairs) - last) + ["val"] * last
            note = f"all pairs look like one scene: the last {last} by name validate, which is easier than a new scene"
    splits = {split: [pair for pair, side in zip(pairs, of_pair, strict=True) if side == split] for split in SPLITS}
    if not splits["train"]:  # a single pair
        splits["train"], note = splits["val"], "one pair only, to train and to validate with"
    return {split: rows for split, rows in splits.items() if rows}, note


def _place(folder: Path, file: str) -> str:
    """Return the path of a file as a list in a folder names it: relative if it lies there, else absolute."""
    path = Path(os.path.abspath(file)) if file else Path()  # noqa: PTH100 - links stay links
    inside = path.is_relative_to(folder.absolute())
    return "" if not file else path.relative_to(folder.absolute()).as_posix() if inside else path.as_posix()
