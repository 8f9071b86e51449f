"""Places to write to that are full, in the way, read-only, or taken."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import written

PREDICT = "predict model=best.pt source=images/train"
FILE = "project=data.yaml"  # a file where a folder is to be


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


full, frozen = mounted("small", "size=16k"), mounted("small", "ro")

AREA = Area(
    "Outputs",
    "An output is never written over an earlier one unless `exist_ok=True` says so: `predict` becomes `predict-2`. What "
    "stands in the way is told before the work, and left as it is.",
    [
        Fault("file where the folder of the runs goes, training", f"train data=data.yaml {FILE}", "?"),
        Fault("file where the folder of the runs goes, validation", f"val model=best.pt data=data.yaml {FILE}", "?"),
        Fault("file where the folder of the runs goes, prediction", f"{PREDICT} save_json=True {FILE}", "?"),
        Fault("file where the folder of the runs goes, fusion", f"fuse model=best.pt source=images/train {FILE}", "?"),
        Fault("file where the folder of the runs goes, benchmark", f"benchmark model=best.pt format=pt {FILE}", "?"),
        Fault("file where the folder of the runs goes, comparison", f"compare data=data.yaml {FILE}", "?"),
        Fault("file where the folder of the runs goes, metrics", f"metrics fused=infrared/train visible=images/train infrared=infrared/train {FILE}", "?"),
        Fault("file where the folder of the runs goes, check", f"data check data=data.yaml {FILE}", "?"),
        Fault("file where the folder of the runs goes, demo", f"demo {FILE}", "?"),
        Fault("report that is a folder", "data check data=data.yaml report=images", "?"),
        Fault("file where the server's models go", "export model=best.pt triton=data.yaml", "?"),
        Fault("file where the synthetic data goes", "data synth dst=data.yaml", "?"),
        Fault("folder that holds something else, synthetic data", "data synth dst=images", "?"),
        Fault("folder that holds something else, conversion", "data convert format=yolo src=images dst=runs", "?"),
        Fault("results of another setting in the folder", "compare data=data.yaml", "?", written("runs/compare/setting.json", "{}")),
        Fault("disk that is full, prediction", f"{PREDICT} project=small", "?", full, process=True, leaves=["small/**"]),
        Fault("disk that is full, fusion", "fuse model=best.pt source=images/train project=small", "?", full, leaves=["small/**"]),
        Fault("disk that is full, synthetic data", "data synth dst=small/new train=50 val=1 imgsz=64", "?", full, leaves=["small/**"]),
        Fault("folder that is read-only, prediction", f"{PREDICT} project=small", "?", frozen),
        Fault("folder that is read-only, training", "train data=data.yaml project=small", "?", frozen),
        Fault("folder that is read-only, synthetic data", "data synth dst=small/new", "?", frozen),
        Fault("folder that is read-only, conversion", "data convert format=yolo src=images dst=small/new", "?", frozen),
        Fault("name that an earlier run has", PREDICT, "?", code=0),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
