"""Does a second camera help every task and detector? Trains each on synthetic pairs, fused and on either camera.

Of classify the share of right classes (top-1) counts, of the others mAP50.
A third of the objects shows in one camera only, a third in the other. All rows of a task have the same pairs, epochs
and start, and the last checkpoint counts. A run whose file exists is skipped, so the whole can be stopped and started.
Detectors can be trained on a data set of your own too, by folds of neighbouring frames, which are then resampled.

    python benchmarks/tasks.py --weights yolov8n.pt --out runs/tasks
    python benchmarks/tasks.py --data roadscene.yaml --models RT-DETR --lr0 0.0005 --json runs/roadscene.json
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
from trained import draw, estimate

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.rows import BOTH, COMPARED, GUIDED, INFRARED, VISIBLE
from metafusion_yolo.compare.runs import Run, do_missing, read_arrays, remember
from metafusion_yolo.compare.training import evaluate, host_arguments, link_fold, load_last, train_row
from metafusion_yolo.data.description import describe
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.nn.model_yaml import task_named
from metafusion_yolo.prepare.synthetic import NAMES, write_dataset
from metafusion_yolo.support.files import original

MODELS = {  # by the name of a row: as small as two cores can train, from the weights of YOLOv8n where these fit
    "detect": "metafusion-yolov8n.yaml",
    "segment": "metafusion-yolov8n-seg.yaml",
    "pose": "metafusion-yolov8n-pose.yaml",
    "obb": "metafusion-yolov8n-obb.yaml",
    "classify": "metafusion-yolov8n-cls.yaml",
    "RT-DETR": str(Path(__file__).with_name("models") / "rtdetr.yaml"),
    "Faster R-CNN": str(Path(__file__).with_name("models") / "fasterrcnn.yaml"),
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
    parser.add_argument("--data", help="paired data set with boxes; default: synthetic pairs")
    parser.add_argument("--folds", type=int, default=4, help="of --data")
    parser.add_argument("--classes", type=int, nargs="+", default=[0, 2], help="of --data, that count")
    parser.add_argument("--pairs", type=int, default=64, help="to train with, and as many to test with")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr0", type=float, help="learning rate of AdamW; default: what the host chooses")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    parser.add_argument("--json", type=Path, default=RESULTS / "tasks.json")
    args = parser.parse_args()
    out = args.out.resolve()
    folds, classes = (args.folds, args.classes) if args.data else (0, ())
    names = {c: name for c, name in describe(args.data)["names"].items() if c in classes} if args.data else NAMES
    for name in [] if args.table else args.models:
        task = task_named(MODELS[name])
        data = Path(args.data) if args.data else out / "data" / task / "synthetic.yaml"
        if not data.is_file():
            write_dataset(data.parent, args.pairs, args.pairs, args.imgsz, task=task)
        weights, more = str(Path(args.weights).resolve()), {"model": MODELS[name], "lr0": args.lr0}
        setting = Setting(str(data), weights, args.epochs, args.imgsz, args.batch, folds, classes, **more)
        remember(setting, out / name)
        runs = [Run(row, fold, 0, str(out / name)) for fold in range(max(folds, 1)) for row in ROWS]
        do_missing(setting, [runs], args.jobs, train_and_look, partial(print, flush=True))
    table = {name: summarise(out / name, names, args.resamples, folds) for name in MODELS if (out / name).is_dir()}
    table = {name: cells for name, cells in table.items() if cells}
    for name, cells in table.items():
        print(name, *(f"{title}: {figure(value, 1)}" for title, value in cells.items()), sep="\n  ")
    drawn = "blocks of neighbouring frames" if folds else "the test images"
    save(
        args.json,
        table,
        f"95 % intervals of {args.resamples:,} draws of {drawn}, one training a row",
        first="task or detector",
        plain=[title for title in COLUMNS.values() if title != COLUMNS[GUIDED]],
    )


def train_and_look(setting: Setting, run: Run) -> dict[str, Any]:
    """Train a row of a task and return what was found in each image; if it is fused, with a camera off too."""
    task, files = task_named(setting.model), run.folder / "data"
    run.folder.mkdir(parents=True, exist_ok=True)
    data = link_fold(setting, run.fold, files) if setting.folds else Path(setting.data)
    look = name_classes if task == "classify" else find_objects
    checkpoint = train_row(setting, COMPARED[run.row], run.seed, run.folder, data, TASKS[task]["trainer"])
    model, host = load_last(checkpoint), host_arguments(setting, run.folder, data)
    views = (BOTH, VISIBLE, INFRARED) if run.row == GUIDED else (BOTH,)
    found = {view: look(model, host, view) for view in views}
    if not setting.folds:
        return found
    return {view: {original(files, image): one for image, one in images.items()} for view, images in found.items()}


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


def summarise(out: Path, names: dict[int, str], resamples: int, folds: int) -> dict[str, Any]:
    """Return the cells of a task: what each row finds, and the fused one above the better camera, in percent.

    Only images that every row was tested on count; without any there are no cells.
    """
    views = {row: read_arrays(out, row) for row in ROWS}
    if not all(views.values()):
        return {}
    if out.name == "classify":
        return count_right(views, resamples)
    looks = {row: views[row][BOTH] for row in ROWS}
    looks |= {f"{GUIDED}, {camera}": views[GUIDED][camera] for camera in (VISIBLE, INFRARED)}
    common = set.intersection(*map(set, looks.values()))
    looks = {row: {image: found[image] for image in common} for row, found in looks.items()}
    draws = draw(looks, {row: row for row in looks}, names, resamples, single=not folds)
    better = max((VISIBLE, INFRARED), key=lambda row: draws[row][0])
    cells = {title: estimate(draws[row]) for row, title in COLUMNS.items()}
    return {**cells, "fused minus the better camera": estimate(draws[GUIDED] - draws[better])}


def count_right(views: dict[str, Any], resamples: int) -> dict[str, Any]:
    """Return the cells of the task classify: how many images are given their class, in percent."""
    looks = {row: views[row][BOTH] for row in ROWS}
    looks |= {f"{GUIDED}, {camera}": views[GUIDED][camera] for camera in (VISIBLE, INFRARED)}
    right = {row: np.array([image[0]["tp"].all() for image in found.values()], float) for row, found in looks.items()}
    better = max((VISIBLE, INFRARED), key=lambda row: right[row].mean())
    draws = np.random.default_rng(0).integers(0, len(right[better]), (resamples, len(right[better])))

    def share(values: np.ndarray) -> dict[str, Any]:
        low, high = np.percentile(100 * values[draws].mean(1), (2.5, 97.5))
        return {"value": float(100 * values.mean()), "interval": (float(low), float(high))}

    cells = {title: share(right[row]) for row, title in COLUMNS.items()}
    return {**cells, "fused minus the better camera": share(right[GUIDED] - right[better])}


if __name__ == "__main__":
    main()
