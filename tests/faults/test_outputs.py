"""Places to write to that are full, in the way, read-only, or taken."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import written

PREDICT = "predict model=best.pt source=images/train"
FILE = "project=$PWD/data.yaml"  # a file where a folder is to be


def mounted(name: str, options: str) -> Callable[[Path], Callable[[], object]]:
    """Mount a file system of its own for a folder, where one may."""

    def spoil(root: Path) -> Callable[[], object]:
        place = root / name
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=False, capture_output=True)
        if done.returncode:
            pytest.skip("only root may mount a small file system, and not in every container")
        return lambda: subprocess.run(["umount", "-l", place], check=True)

    return spoil


full, frozen = mounted("small", "size=4k"), mounted("small", "ro")


def convertible(root: Path) -> Callable[[], object]:
    """Make a data set that can be converted, and a place where it cannot be written."""
    for part, source in (("visible", "images"), ("infrared", "infrared"), ("labels", "labels")):
        shutil.copytree(root / source, root / "theirs" / part)
    (root / "theirs" / "classes.txt").write_text("person\ncar\n")
    return frozen(root)


AREA = Area(
    "Outputs",
    "Whatever is in the way is reported before the work and left as it is, unless `exist_ok=True`.",
    [
        Fault(
            "file where the folder of the runs goes, training",
            f"train data=data.yaml {FILE}",
            "Not a directory: 'data.yaml/train/weights'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, validation",
            f"val model=best.pt data=data.yaml {FILE}",
            "Not a directory: 'data.yaml/val'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, prediction",
            f"{PREDICT} save_json=True {FILE}",
            "Not a directory: 'data.yaml/predict'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, fusion",
            f"fuse model=best.pt source=images/train {FILE}",
            "Not a directory: 'data.yaml/fuse'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, benchmark",
            f"benchmark model=best.pt format=pt {FILE}",
            "Not a directory: 'data.yaml/benchmark'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, comparison",
            f"compare data=data.yaml {FILE}",
            "Not a directory: 'data.yaml/compare'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, metrics",
            f"metrics fused=images/train visible=images/train infrared=infrared/train {FILE}",
            "Not a directory: 'data.yaml/metrics'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, check",
            f"data check data=data.yaml {FILE}",
            "Not a directory: 'data.yaml/check'; a file is where a folder should be: name another place",
        ),
        Fault(
            "file where the folder of the runs goes, demo",
            f"demo {FILE}",
            "Not a directory: 'data.yaml/demo'; a file is where a folder should be: name another place",
        ),
        Fault(
            "report that is a folder",
            "data check data=data.yaml report=images",
            "report=images is a folder; name a file in it, such as images/report.html",
        ),
        Fault(
            "file where the server's models go",
            "export model=best.pt triton=data.yaml",
            "triton=data.yaml is a file; name the folder of the model repository",
        ),
        Fault(
            "file where the synthetic data goes",
            "data synth dst=data.yaml",
            "data.yaml holds other files than a synthetic data set; name a new or an empty folder",
        ),
        Fault(
            "folder that holds something else, synthetic data",
            "data synth dst=images",
            "images holds other files than a synthetic data set; name a new or an empty folder",
        ),
        Fault(
            "folder that holds something else, conversion",
            "data convert format=yolo src=images dst=runs",
            "dst=runs holds 'benchmark', which is not from a conversion; name a new or an empty folder",
        ),
        Fault(
            "results of another setting in the folder",
            "compare data=data.yaml",
            "'runs/compare' holds results of another setting (…); name another folder, or remove it",
            written("runs/compare/setting.json", '{"epochs": 1, "imgsz": 640}'),
        ),
        Fault(
            "disk that is full, prediction",
            f"{PREDICT} project=$PWD/small",
            "cannot write 'small/predict/….jpg': No space left on device; the disk is full: free some space, "
            "or write to another place",
            full,
            process=True,
            leaves=["small/*"],
        ),
        Fault(
            "disk that is full, fusion",
            "fuse model=best.pt source=images/train project=$PWD/small",
            "cannot write 'small/fuse/….png': No space left on device; the disk is full: free some space, "
            "or write to another place",
            full,
            leaves=["small/*"],
        ),
        Fault(
            "disk that is full, synthetic data",
            "data synth dst=small/new train=50 val=1 imgsz=64",
            "cannot write 'small/new/images/train/….png': No space left on device; the disk is full: free some space, "
            "or write to another place",
            full,
            leaves=["small/*"],
        ),
        Fault(
            "folder that is read-only, prediction",
            f"{PREDICT} project=$PWD/small",
            "Read-only file system: 'small/predict'; write to another place",
            frozen,
        ),
        Fault(
            "folder that is read-only, training",
            "train data=data.yaml project=$PWD/small",
            "Read-only file system: 'small/train'; write to another place",
            frozen,
        ),
        Fault(
            "folder that is read-only, synthetic data",
            "data synth dst=small/new",
            "Read-only file system: 'small/new'; write to another place",
            frozen,
        ),
        Fault(
            "folder that is read-only, conversion",
            "data convert format=yolo src=theirs dst=small/new",
            "Read-only file system: 'small/.new.partial'; write to another place",
            convertible,
        ),
        Fault("name that an earlier run has", PREDICT, "Results saved to runs/predict-2", code=0),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
