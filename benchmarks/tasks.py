"""Does a second camera help every task and detector? Trains each on synthetic pairs, fused and on either camera.

Of classify the share of right classes (top-1) counts, of the others mAP50.
A third of the objects shows in one camera only, a third in the other. All rows of a task have the same pairs, epochs
and start, and the last checkpoint counts. A run whose file exists is skipped, so the whole can be stopped and started.

    python benchmarks/tasks.py --weights yolov8n.pt --out runs/tasks
    python benchmarks/tasks.py --out runs/tasks --table  # train nothing, show what there is
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from results import RESULTS, figure, save

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.rows import BOTH, COMPARED, GUIDED, INFRARED, VISIBLE
from metafusion_yolo.compare.runs import Run, do_missing, read_arrays, remember
from metafusion_yolo.compare.training import evaluate, host_arguments, load_last, train_row
from metafusion_yolo.compare.verdict import Estimate, tabulate
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.nn.model_yaml import task_named
from metafusion_yolo.prepare.synthetic import NAMES, write_dataset

MODELS = {  # by the name of a row: as small as two cores can train, from the weights of YOLOv8n where these fit
    "detect": "metafusion-yolov8n.yaml",
    "segment": "metafusion-yolov8n-seg.yaml",
    "pose": "metafusion-yolov8n-pose.yaml",
    "obb": "metafusion-yolov8n-obb.yaml",
    "classify": "metafusion-yolov8n-cls.yaml",
    "RT-DETR": "metafusion-yolov8n-rtdetr.yaml",
    "Faster R-CNN": "metafusion-fasterrcnn_mobilenet_v3_large_320_fpn.yaml",
}
ROWS = VISIBLE, INFRARED, GUIDED
COLUMNS = {
    "visible": "the visible camera",
    "infrared": "the infrared camera",
    "guided": "both, fused",
    "guided, visible": "infrared camera off",
    "guided, infrared": "visible camera off",
}


def main() -> None:
    """Train what is missing, then write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="yolov8n.pt", help="stock YOLOv8n, of which every row takes what fits")
    parser.add_argument("--out", type=Path, default=Path("runs/tasks"), help="folder of the results")
    parser.add_argument("--models", nargs="+", default=["detect", "segment", "pose", "obb", "classify"], choices=MODELS)
    parser.add_argument("--pairs", type=int, default=64, help="to train with, and as many to test with")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    parser.add_argument("--json", type=Path, default=RESULTS / "tasks.json")
    args = parser.parse_args()
    out = args.out.resolve()
    for name in [] if args.table else args.models:
        task = task_named(MODELS[name])
        data = out / "data" / task / "synthetic.yaml"
        if not data.is_file():
            write_dataset(data.parent, args.pairs, args.pairs, args.imgsz, task=task)
        setting = Setting(
            str(data), str(Path(args.weights).resolve()), args.epochs, args.imgsz, args.batch, 0, model=MODELS[name]
        )
        remember(setting, out / name)
        runs = [Run(row, 0, 0, str(out / name)) for row in ROWS]
        do_missing(setting, [runs], args.jobs, train_and_look, partial(print, flush=True))
    table = {name: summarise(out / name, args.resamples) for name in MODELS if is_complete(out / name)}
    for name, cells in table.items():
        print(name, *(f"{title}: {figure(value, 1)}" for title, value in cells.items()), sep="\n  ")
    about = {"first": "task or detector"}
    save(args.json, table, "95 % intervals of 1,000 draws of the test images, one training a row", **about)


def train_and_look(setting: Setting, run: Run) -> dict[str, Any]:
    """Train a row of a task and return what was found in each image; if it is fused, with a camera off too."""
    task = task_named(setting.model)
    data = Path(setting.data)
    look = name_classes if task == "classify" else find_objects
    run.folder.mkdir(parents=True, exist_ok=True)
    checkpoint = train_row(setting, COMPARED[run.row], run.seed, run.folder, data, TASKS[task]["trainer"])
    model, host = load_last(checkpoint), host_arguments(setting, run.folder, data)
    views = (BOTH, VISIBLE, INFRARED) if run.row == GUIDED else (BOTH,)
    return {view: look(model, host, view) for view in views}


def find_objects(model: Any, host: dict[str, Any], view: str) -> dict[str, Any]:
    """Return what was found in each image."""
    return evaluate(model, host, view).recorded


def name_classes(model: Any, host: dict[str, Any], view: str) -> dict[str, Any]:
    """Return which class each image was given, in the form of what is found, with one object an image."""
    validator = TASKS["classify"]["validator"](
        args={**host, "name": "val", "mode": "val", "task": "classify"}, modalities=view
    )
    validator(model=model)
    rows = zip(torch.cat(validator.pred)[:, 0].tolist(), torch.cat(validator.targets).tolist(), strict=True)
    return {
        str(i): {"tp": [[given == true] * 10], "conf": [1.0], "pred_cls": [given], "target_cls": [true]}
        for i, (given, true) in enumerate(rows)
    }


def is_complete(out: Path) -> bool:
    """Return whether all rows of a task have been trained."""
    return all(Run(row, 0, 0, str(out)).file.is_file() for row in ROWS)


def summarise(out: Path, resamples: int) -> dict[str, Any]:
    """Return the cells of a task: what each row finds, and the fused one above the better camera, in percent."""
    views = {row: read_arrays(out, row) for row in ROWS}
    if out.name == "classify":
        return count_right(views, resamples)
    off = {f"{GUIDED}, {camera}": {BOTH: views[GUIDED].pop(camera)} for camera in (VISIBLE, INFRARED)}
    table = tabulate({**views, **off}, NAMES, resamples)
    cells = {title: cell(table.measures[row]["mAP50"]) for row, title in COLUMNS.items()}
    return {**cells, "fused minus the better camera": cell(table.between[GUIDED, table.single])}


def count_right(views: dict[str, Any], resamples: int) -> dict[str, Any]:
    """Return the cells of the task classify: how many images are given their class, in percent."""
    looks = {row: views[row][BOTH] for row in ROWS}
    looks |= {f"{GUIDED}, {camera}": views[GUIDED][camera] for camera in (VISIBLE, INFRARED)}
    right = {row: np.array([image[0]["tp"].all() for image in found.values()], float) for row, found in looks.items()}
    better = max((VISIBLE, INFRARED), key=lambda row: right[row].mean())
    draws = np.random.default_rng(0).integers(0, len(right[better]), (resamples, len(right[better])))

    def estimate(values: np.ndarray) -> dict[str, Any]:
        low, high = np.percentile(100 * values[draws].mean(1), (2.5, 97.5))
        return {"value": float(100 * values.mean()), "interval": (float(low), float(high))}

    cells = {title: estimate(right[row]) for row, title in COLUMNS.items()}
    return {**cells, "fused minus the better camera": estimate(right[GUIDED] - right[better])}


def cell(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as a cell of a table."""
    return {"value": estimate.value, "interval": (estimate.low, estimate.high)}


if __name__ == "__main__":
    main()
