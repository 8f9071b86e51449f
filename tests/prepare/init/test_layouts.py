"""Ten ways in which people keep their pairs: each trains an epoch after `data init` and `train` alone."""

from __future__ import annotations

import csv
import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from metafusion_yolo import cli
from tests.conftest import TINY
from tests.prepare.init.conftest import save, scene

COUNT = 6
Made = tuple[str, str]  # what is given to `data init`, and the rule that it must find


def write(root: Path, visible: Callable, infrared: Callable, label: Callable, size=(48, 64)) -> None:
    """Write pairs and labels under the names that three functions of their number give."""
    for i in range(COUNT):
        image, heat, row = scene(i)
        save(root / visible(i), image)
        save(root / infrared(i), cv2.resize(heat, size[::-1]))
        text = root / label(i)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(row)


def hashed(i: int, camera: str) -> str:
    return hashlib.md5(f"{i}{camera}".encode()).hexdigest()


def drone_wide(root: Path) -> Made:
    names = lambda letter: lambda i: f"DCIM/DJI_2024060112{i:02}00_{i:04}_{letter}.JPG"  # noqa: E731
    write(root, names("W"), names("T"), lambda i: f"labels/DJI_2024060112{i:02}00_{i:04}_W.txt")
    return "visible=DCIM infrared=DCIM labels=labels", "*_W -> *_T"


def drone_letters(root: Path) -> Made:
    write(root, lambda i: f"rgb/{i:04}_V.jpg", lambda i: f"thermal/{i:04}_T.png", lambda i: f"txt/{i:04}.txt")
    return "visible=rgb infrared=thermal labels=txt", "rgb/*_V -> thermal/*_T"


def other_suffixes(root: Path) -> Made:
    write(root, lambda i: f"visible/{i}.jpg", lambda i: f"ir/{i}.tiff", lambda i: f"labels/{i}.txt")
    return "visible=visible infrared=ir labels=labels names=person", "visible/* -> ir/*"


def side_by_side(root: Path) -> Made:
    for i in range(COUNT):
        image, heat, row = scene(i)
        save(root / f"both/{i}.png", np.hstack([image, np.dstack([heat] * 3)]))
        (root / f"both/{i}.txt").write_text(row)
    return "visible=both layout=horizontal", ""


def stacked(root: Path) -> Made:
    for i in range(COUNT):
        image, heat, row = scene(i)
        save(root / f"stacks/images/{i}.png", image)
        cv2.imwrite(str(root / f"stacks/images/{i}.png"), np.dstack([image[..., ::-1], heat]))
        (root / "stacks/labels").mkdir(exist_ok=True)
        (root / f"stacks/labels/{i}.txt").write_text(row)
    return "visible=stacks/images layout=stacked", ""


def csv_of_pairs(root: Path) -> Made:
    write(root, lambda i: f"a/p{i}.jpg", lambda i: f"b/q{9 - i}.jpg", lambda i: f"c/r{i}.txt")
    with (root / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([f"a/p{i}.jpg", f"b/q{9 - i}.jpg", f"c/r{i}.txt"] for i in range(COUNT))
    return "visible=list.csv", ""


def labelling_tool(root: Path) -> Made:
    write(
        root,
        lambda i: f"rgb.v1/train/images/frame{i}_jpg.rf.{hashed(i, 'v')}.jpg",
        lambda i: f"ir.v3/train/images/frame{i}_png.rf.{hashed(i, 'i')}.jpg",
        lambda i: f"rgb.v1/train/labels/frame{i}_jpg.rf.{hashed(i, 'v')}.txt",
    )
    (root / "rgb.v1/data.yaml").write_text("names: [person]\n")
    return "visible=rgb.v1 infrared=ir.v3", ""


def nested_dates(root: Path) -> Made:
    day = lambda i: f"2024-05-0{i % 2 + 1}"  # noqa: E731
    write(
        root,
        lambda i: f"{day(i)}/rgb/{i}.jpg",
        lambda i: f"{day(i)}/ir/{i}.jpg",
        lambda i: f"{day(i)}/rgb/{i}.txt",
    )
    return "visible='*/rgb/*.jpg' infrared='*/ir/*.jpg'", "rgb/* -> ir/*"


def a_second_apart(root: Path) -> Made:
    moment = lambda i, late: f"20240601_1200{7 * i + late:02}"  # noqa: E731
    write(
        root,
        lambda i: f"cam/{moment(i, 0)}.jpg",
        lambda i: f"flir/FLIR_{moment(i, 1)}.jpg",
        lambda i: f"cam/{moment(i, 0)}.txt",
    )
    return "visible=cam infrared=flir", ""


def other_sizes(root: Path) -> Made:
    write(
        root,
        lambda i: f"images/{i}.jpg",
        lambda i: f"infrared/{i}.jpg",
        lambda i: f"labels/{i}.txt",
        size=(24, 32),
    )
    return "visible=images infrared=infrared", "images/* -> infrared/*"


LAYOUTS = (
    drone_wide,
    drone_letters,
    other_suffixes,
    side_by_side,
    stacked,
    csv_of_pairs,
    labelling_tool,
    nested_dates,
    a_second_apart,
    other_sizes,
)


@pytest.mark.parametrize("made", LAYOUTS, ids=lambda made: made.__name__)
def test_trained_epoch(made, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    given, rule = made(tmp_path)
    assert cli.main(["data", "init", *shlex.split(given)]) == 0
    description = yaml.safe_load(Path("pairs/pairs.yaml").read_text())
    rows = [row for split in ("train", "val") for row in table(Path(f"pairs/{split}.csv"))]
    assert len(rows) == COUNT
    assert description.get("infrared", "") == rule
    run = f"train data=pairs/pairs.yaml model={TINY} pretrained=False epochs=1 imgsz=64 batch=8 device=cpu"
    run = f"{run} project={tmp_path / 'runs'} plots=False val=False workers=0 amp=False"
    assert cli.main(shlex.split(run)) == 0
    losses = table(tmp_path / "runs/train/results.csv")[0]
    assert float(losses["train/box_loss"]) > 0  # labels were found


def table(file: Path) -> list[dict[str, str]]:
    return [*csv.DictReader(file.read_text().splitlines(), skipinitialspace=True)]
