"""Write a paired YOLO data set, all of it or nothing."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from ultralytics.utils import NUM_THREADS, patches
from ultralytics.utils.tqdm import TQDM

from metafusion_yolo.data.labels import LabelError, label_rows, outline_rows
from metafusion_yolo.data.listing import SPLITS
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import image_size
from metafusion_yolo.prepare.convert.boxes import to_labels, to_outlines, union
from metafusion_yolo.prepare.convert.formats import CAMERAS, UNLISTED, Format, Listing, Pair
from metafusion_yolo.prepare.convert.report import ConversionReport
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.words import spelling

RECORD = "conversion.json"  # marks the folder of a conversion and says what it was made of
FOLDERS = ("images", "infrared", "labels")
CACHES = (".cache", ".pair.npy")  # suffixes of the files that a training adds to a data set
QUALITY = 95  # of cropped JPEG files
LONG = 500  # pairs from which a progress bar is shown


@dataclass(frozen=True)
class Written:
    """A pair, the class numbers of its labels, None if it was skipped, and the remarks on it."""

    pair: Pair
    classes: list[int] | None
    remarks: list[str]


def write_pairs(
    root: Path, layout: Format, listing: Listing, labels: str, boxes: str, copy: bool, final: Path
) -> ConversionReport:
    """Write images, labels and YAML of a listing whose pairs all have a split.

    Args:
        root: Empty folder to write into.
        layout: Format of the listing.
        listing: The pairs.
        labels: Camera whose labels are taken, "union", or "both" if they are shared.
        boxes: What is written of an object: its "upright" or "oriented" box, or its outline, "segments".
        copy: Whether to copy the images instead of linking them.
        final: Folder to which root will be moved, for the YAML.

    Raises:
        ValueError: If no pair is left for training or validation.
    """
    numbers = {spelling(name): i for i, name in enumerate(listing.classes)}
    numbers |= {spelling(alias): numbers[spelling(name)] for alias, name in layout.aliases.items()}
    files = "written, cut to the view" if layout.border else "copied" if copy else "linked"
    report = ConversionReport(layout.title, final / f"{layout.name}.yaml", files, list(listing.notes), {}, {})
    report.boxes = {name: {} for name in listing.classes}
    work = partial(_write_pair, root, layout.border, numbers, labels, boxes, copy)
    pool = ThreadPoolExecutor(NUM_THREADS)
    try:
        count, results = len(listing.pairs), pool.map(work, listing.pairs)
        for done in TQDM(results, total=count, desc="Converting", disable=count < LONG or None):
            for reason in done.remarks:
                report.remarks.add(reason, str(done.pair.visible))
            if done.classes is not None:
                split = done.pair.split
                report.pairs[split] = report.pairs.get(split, 0) + 1
                for number in done.classes:
                    by_split = report.boxes[listing.classes[number]]
                    by_split[split] = by_split.get(split, 0) + 1
    finally:
        pool.shutdown(cancel_futures=True)  # waits for files that are being written
    report.pairs = {split: report.pairs[split] for split in SPLITS if split in report.pairs}
    check_splits(report.pairs)
    _write_yaml(root / report.yaml.name, report, final)
    return report


def check_splits(splits: Collection[str]) -> None:
    """Raise a UserValueError if there is no split to train or to validate with."""
    if "train" not in splits or not {"val", "test"} & set(splits):
        found = ", ".join(splits) or "none"
        raise UserValueError(f"expected pairs to train and to validate with, found splits: {found}; is src= complete?")


def _write_pair(
    root: Path,
    border: tuple[int, int, int] | None,
    numbers: dict[str, int],
    labels: str,
    form: str,
    copy: bool,
    pair: Pair,
) -> Written:
    """Write the two images and the labels of a pair, or none of them."""
    files = dict(zip(CAMERAS, (pair.visible, pair.infrared), strict=True))
    remarks: list[str] = []
    if reason := _reason_to_skip(pair, files):
        return Written(pair, None, [reason])
    try:
        sizes = {camera: image_size(file) for camera, file in files.items()}
        if border and set(sizes.values()) != {border[:2]}:
            return Written(pair, None, [f"pair whose images are not {border[0]}x{border[1]} pixels"])
        edge = border[2] if border else 0
        cut = {camera: cut_image(file, edge) for camera, file in files.items()} if edge else {}
        found: list[Any] = []
        for camera in CAMERAS if labels == "union" else (labels,):
            width, height = sizes.get(camera, sizes["visible"])
            place_of = numbers, (width - 2 * edge, height - 2 * edge), edge, remarks.append
            boxes = pair.labels[camera]()
            if form == "upright":
                found.append(to_labels(boxes, *place_of))
            else:
                found.append(to_outlines(boxes, *place_of, corners=4 if form == "oriented" else None))
    except PairError:
        return Written(pair, None, ["pair with an image that cannot be read"])
    except LabelError as error:
        return Written(pair, None, [f"pair without labels: {error}"])
    if form == "upright":
        merged = union(*found) if labels == "union" else found[0]
        classes, text = merged[:, 0].astype(int).tolist(), label_rows(merged[:, 0], merged[:, 1:])
    else:
        classes, text = [number for number, _ in found[0]], outline_rows(found[0])
    for folder, (camera, file) in zip(("images", "infrared"), files.items(), strict=True):
        target = _target(root, folder, pair, file.suffix)
        if not edge:
            place(file, target, copy)
        else:
            write_image(target, cut[camera], cv2.IMWRITE_JPEG_QUALITY, QUALITY)
    _target(root, "labels", pair, ".txt").write_text(text, encoding="utf-8")
    return Written(pair, classes, remarks)


def _reason_to_skip(pair: Pair, files: dict[str, Path]) -> str:
    """Return why a pair cannot be written, judged by its paths; empty if it can."""
    if Path(pair.name).is_absolute() or ".." in Path(pair.name).parts:  # from a list that anyone may have written
        return "pair whose name leads out of the data set"
    if pair.split == UNLISTED:
        return "pair that no list gives to a split"
    missing = [camera for camera, file in files.items() if not file.is_file()]
    return f"pair without its {missing[0]} image" if missing else ""


def _target(root: Path, folder: str, pair: Pair, suffix: str) -> Path:
    """Return the path of a file to write, after creating its folder."""
    target = root / folder / pair.split / f"{pair.name}{suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def cut_image(file: Path, edge: int) -> np.ndarray:
    """Read an image in its own depth without its outermost pixels; a PairError says if it cannot be read."""
    image = patches.imread(str(file), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise PairError(f"'{file}' cannot be read as an image; restore the file")
    return image[edge:-edge, edge:-edge]


def place(file: Path, target: Path, copy: bool) -> None:
    """Create a symbolic link to a file, a hard link if that is refused, or a copy."""
    if not copy:
        for link in (os.symlink, os.link):
            try:
                return link(file.resolve(), target)
            except OSError:
                continue
    shutil.copy2(file, target)
    return None


def _write_yaml(file: Path, report: ConversionReport, final: Path) -> None:
    """Write the data-set YAML, with title and notes as a comment."""
    data: dict[str, Any] = {"path": str(final), "train": "images/train"}
    data["val"] = f"images/{'val' if 'val' in report.pairs else 'test'}"
    data |= {"test": "images/test"} if "test" in report.pairs else {}
    data |= {"infrared": "infrared", "names": dict(enumerate(report.boxes))}
    comment = "".join(f"# {line}\n" for line in (report.title, *report.notes))
    file.write_text(comment + yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


# The folder as a whole -----------------------------------------------------------------------------------------------
def earlier_record(dst: Path) -> dict[str, Any] | None:
    """Return the record of an earlier conversion in a folder; None for a new or an empty one.

    Raises:
        ValueError: If the folder holds other files, or was changed since, such as by a corrected label.
    """
    if dst.is_file():
        raise UserValueError(f"dst={dst} is a file; name a new or an empty folder")
    entries = sorted(path.name for path in dst.iterdir()) if dst.is_dir() else []
    if not entries:
        return None
    record = json.loads((dst / RECORD).read_text(encoding="utf-8")) if RECORD in entries else {}
    others = [name for name in entries if name not in (*FOLDERS, RECORD, record.get("yaml"))]
    if others or not record:
        first = (others or entries)[0]
        raise UserValueError(
            f"dst={dst} holds '{first}', which is not from a conversion; name a new or an empty folder"
        )
    if record.get("digest") != digest(dst):
        raise UserValueError(f"dst={dst} was changed since its conversion; delete it or name another folder")
    return record


def digest(root: Path, follow: bool = False) -> str:
    """Return a hash of names, sizes and times of all files below a folder except caches; links may be followed."""
    rows = []
    for folder, _, names in os.walk(root, followlinks=follow):
        for path in (Path(folder, name) for name in names if not name.endswith(CACHES) and name != RECORD):
            status = path.stat() if follow and path.exists() else path.lstat()
            rows.append(f"{path.relative_to(root).as_posix()} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def replace_folder(new: Path, dst: Path) -> None:
    """Replace an empty or earlier folder by a complete one."""
    old = dst.with_name(f".{dst.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if dst.exists():
        dst.rename(old)
    try:
        new.rename(dst)
    except BaseException:
        if old.exists():
            old.rename(dst)
        raise
    shutil.rmtree(old, ignore_errors=True)
