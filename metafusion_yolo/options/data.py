"""Arguments of the commands on data sets: `metafusion data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metafusion_yolo.options.fields import REQUIRED, Checked, option

LABELS = ("visible", "infrared", "union")
TASKS = ("detect", "segment", "pose", "obb", "classify")
BOXES = ("upright", "oriented", "segments")


@dataclass(frozen=True)
class Synth(Checked):
    """Synthetic pairs."""

    dst: str = option(REQUIRED, "new or empty folder, or an earlier data set to replace")
    train: int = option(400, "pairs to train with", least=1)
    val: int = option(100, "pairs to validate with", least=1)
    imgsz: int = option(640, "image size in pixels", least=32)
    seed: int = option(0, "random seed for reproducibility", least=0)
    everything_visible: bool = option(False, "show every object to both cameras")
    everything_infrared: bool = option(False, "show every object to the infrared camera")
    hard: bool = option(False, "hard scenes: heat of the hour, sensor noise, look-alikes, small and hidden objects")
    task: str = option("detect", "what to label for: detect, segment, pose, obb, classify", choices=TASKS)


@dataclass(frozen=True)
class Convert(Checked):
    """Conversions of published data sets."""

    format: str = option(REQUIRED, "llvip, m3fd, flir-aligned, kaist, drone-vehicle, vedai, msrs, voc, coco or yolo")
    src: str = option(REQUIRED, "root folder of the data set as published")
    dst: str = option(REQUIRED, "new or empty folder, or an earlier data set to replace")
    labels: str | None = option(
        None,
        "visible, infrared or union, where the cameras are labelled separately; left out: the usual choice",
        choices=LABELS,
    )
    copy: bool = option(False, "copy the images instead of linking them")
    boxes: str = option(
        "upright", "upright, oriented (drone-vehicle, vedai, voc), segments (msrs, yolo)", choices=BOXES
    )


@dataclass(frozen=True)
class Check(Checked):
    """Checks of data sets."""

    data: str | None = option(None, "data-set YAML: path, train, val, names, infrared, ...")
    project: str = option("runs/data", "project name for results root")
    name: str = option("check", "name of this run")
    exist_ok: bool = option(False, "overwrite existing 'project/name' if True")
    report: str | None = option(
        None, "HTML file to write instead of one in project/name", shown="project/name/report.html"
    )
    visible: str | None = option(None, "instead of data=: folder of the visible images ...")
    infrared: str | None = option(None, "... and of the infrared images; as for data init")


@dataclass(frozen=True)
class Label(Checked):
    """Labels by a detector, and their correction by people."""

    data: str | None = option(None, "data-set YAML: path, train, val, names, infrared, ...")
    visible: str | None = option(None, "instead of data=: folder of visible images, paired as by data init")
    infrared: str | None = option(None, "folder of the infrared images")
    model: str | None = option(None, "checkpoint of the detector that labels, stock or fused")
    corrected: str | None = option(
        None, "instead of model=: export of CVAT, Label Studio, FiftyOne or COCO to read back"
    )
    split: str | None = option(
        None, "train, val, test or unlabelled; left out: all of them", choices=("train", "val", "test", "unlabelled")
    )
    classes: str | None = option(None, "comma-separated names of the classes to label", shown="all")
    conf: float = option(0.15, "lowest score of a box", least=0, most=1)
    imgsz: int = option(640, "image size in pixels", least=32)
    batch: int = option(4, "pairs at a time, of six views each", least=1)
    device: str | int | None = option(None, "device to run on: 0, cpu, mps")
    tasks: str | None = option("coco", "files for people: coco, cvat, label-studio, fiftyone, comma-separated, or none")
    overwrite: bool = option(False, "also replace labels made by people")
    project: str = option("runs/label", "project name for results root")
    name: str = option("label", "name of this run")
    exist_ok: bool = option(False, "overwrite existing 'project/name' if True")


@dataclass(frozen=True)
class Register(Checked):
    """Registrations."""

    data: str | None = option(None, "data-set YAML: path, train, val, names, infrared, ...")
    pairs: int = option(20, "pairs to estimate from, of the data set or each sequence", least=6)
    per: str = option(
        "dataset", "dataset: one matrix; sequence: one per folder of visible images", choices=("dataset", "sequence")
    )
    matrix: list[Any] | tuple[Any, ...] | None = option(
        None, "3 x 3 matrix by hand, from infrared to visible pixels; left out: estimated"
    )
    project: str = option("runs/register", "project name for results root")
    name: str = option("register", "name of this run")
    exist_ok: bool = option(False, "overwrite existing 'project/name' if True")
    dry_run: bool = option(False, "leave the YAML as it is")
    visible: str | None = option(
        None, "folder of the visible images, instead of data=; or a live camera ...", also=(int,)
    )
    infrared: str | None = option(
        None, "... and of the infrared side; without data= a YAML is written to project/name", also=(int,)
    )
    board: str | None = option(None, "the pairs show a chessboard of this many inner corners, such as 9x6")
    square: float | None = option(
        None, "side of its squares, metres, to measure the parallax of the lenses too", least=0
    )
    at: float | None = option(None, "distance of what the pairs show, metres; a second one gives the parallax", least=0)
    every: float = option(1.0, "seconds between pairs of live cameras", least=0)
