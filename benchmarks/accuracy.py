"""Does fusion help detection, and which part of it? Trains and evaluates every row of a table on the same folds.

Each run (row, fold, seed) trains in a process of its own and leaves one JSON file; a run whose file exists is skipped,
so the whole can be stopped and started at any time. The last checkpoint counts, not the best one, which would be chosen
on the images it is judged by.

    python benchmarks/accuracy.py --data roadscene.yaml --out runs/accuracy --jobs 2
    python benchmarks/accuracy.py --data roadscene.yaml --out runs/accuracy --table
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from precision import average_precision, interval, resampled, with_missing
from rows import BEST_OF, ROWS
from ultralytics.data.utils import check_det_dataset

from metafusion_yolo.resources import find_data_yaml


@dataclass(frozen=True)
class Setting:
    """What all rows share."""

    data: str
    pretrained: str
    epochs: int
    imgsz: int
    batch: int
    nbs: int
    lr0: float | None
    folds: int
    classes: tuple[int, ...]
    device: str | None
    bfloat16: bool


@dataclass(frozen=True)
class Run:
    """One training."""

    row: str
    fold: int
    seed: int
    out: str

    @property
    def file(self) -> Path:
        """Its result."""
        return Path(self.out) / f"{self.row}-fold{self.fold}-seed{self.seed}.json"


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="roadscene.yaml", help="paired data set")
    parser.add_argument("--pretrained", default="yolov8n.pt", help="detector checkpoint that every row starts from")
    parser.add_argument("--out", default="runs/accuracy", help="folder of the results")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    parser.add_argument(
        "--folds", type=int, default=4, help="of blocks of neighbouring frames; 0: the data set's split"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[0, 2], help="classes that count")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--imgsz", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--nbs", type=int, default=8, help="nominal batch of an optimizer step, the host's argument")
    parser.add_argument("--lr0", type=float, help="learning rate of AdamW; default: what the host chooses")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--device", help="as for the host; default: a GPU if there is one")
    parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16 on a CPU, for those that gain by it")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--table", action="store_true", help="train nothing, show what there is")
    args = parser.parse_args()
    setting = Setting(
        **{name: getattr(args, name) for name in Setting.__annotations__ if name != "classes"},
        classes=tuple(args.classes),
    )
    out = Path(args.out)
    remember(setting, out)
    if not args.table:
        train_missing(
            setting,
            [
                Run(row, f, s, str(out.resolve()))
                for s in args.seeds
                for f in range(max(args.folds, 1))
                for row in args.rows
            ],
            args.jobs,
        )
    table = summarise(setting, out, args.resamples)
    (out / "accuracy.json").write_text(json.dumps(table, indent=1))
    show(table)


def remember(setting: Setting, out: Path) -> None:
    """Write the setting beside the results, and refuse to mix two settings in one folder."""
    out.mkdir(parents=True, exist_ok=True)
    file, now = out / "setting.json", json.loads(json.dumps(asdict(setting)))
    if file.exists() and (before := json.loads(file.read_text())) != now:
        changed = ", ".join(f"{k} {before.get(k)} -> {v}" for k, v in now.items() if before.get(k) != v)
        raise SystemExit(f"'{out}' holds results of another setting ({changed}); give another --out")
    file.write_text(json.dumps(now))


def train_missing(setting: Setting, runs: list[Run], jobs: int) -> None:
    """Do every run that has no result yet, and say after each how long the rest will take."""
    todo = [run for run in runs if not run.file.exists()]
    waiting = [run for run in todo if ROWS[run.row].needs]
    start, done = time.monotonic(), 0
    for batch in ([run for run in todo if run not in waiting], waiting):
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            futures = {pool.submit(run_logged, setting, run): run for run in batch}
            for future in as_completed(futures):
                done += 1
                left = (time.monotonic() - start) / done * (len(todo) - done)
                run, error = futures[future], future.exception()
                outcome = (
                    f"failed: {error}, see {run.file.with_suffix('.log')}" if error else f"mAP50 {future.result():.1f}"
                )
                print(f"[{done}/{len(todo)}] {run.file.stem}: {outcome}; {left / 60:.0f} min left", flush=True)


def run_logged(setting: Setting, run: Run) -> float:
    """Do a run with its output in a log file; return its mAP50 in percent."""
    log = os.open(run.file.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from training import train_and_evaluate

    begin = time.monotonic()
    views = train_and_evaluate(setting, run)
    part = run.file.with_suffix(".part")
    part.write_text(json.dumps({"seconds": round(time.monotonic() - begin, 1), "views": views}))
    part.replace(run.file)
    names = {c: str(c) for c in setting.classes}
    return average_precision([as_arrays(image) for image in views["both"].values()], names)["mAP50"]


def as_arrays(image: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the evaluation of one image as it was before it was written."""
    tp = np.array(image["tp"], bool).reshape(-1, 10)
    return {**{key: np.array(image[key], float) for key in ("conf", "pred_cls", "target_cls")}, "tp": tp}


def summarise(setting: Setting, out: Path, resamples: int) -> dict[str, Any]:
    """Return for every row and view the pooled values with intervals, and the differences that matter."""
    results: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for row in ROWS:
        for file in sorted(out.glob(f"{row}-fold*-seed*.json")):
            for view, images in json.loads(file.read_text())["views"].items():
                by_name = results.setdefault(row if view == "both" else f"{row}, {view}", {})
                for name, image in images.items():
                    by_name.setdefault(name, []).append(as_arrays(image))
    full = max((len(v) for v in results.values()), default=0)
    for share in (0.25, 0.5, 0.75, 1.0):
        views = [results.get(key) for key in ("default", "default, visible", "default, infrared")]
        if all(view is not None and len(view) == full for view in views):
            names = sorted(views[0])
            by_seed = [
                with_missing(*([v[n][k] for n in names] for v in views), share) for k in range(len(views[0][names[0]]))
            ]
            results[f"default, {share:.0%} missing"] = {n: [s[i] for s in by_seed] for i, n in enumerate(names)}
    known = check_det_dataset(find_data_yaml(setting.data), autodownload=False)["names"]
    names = {c: known[c] for c in setting.classes}
    table, draws = {}, {}
    for key, by_name in results.items():
        images = [by_name[name] for name in sorted(by_name)]
        point = average_precision([e for image in images for e in image], names)
        draws[key] = resampled(images, names, resamples)
        table[key] = {m: {"value": v, "interval": interval(draws[key][m])} for m, v in point.items()}
        table[key]["images"], table[key]["seeds"] = len(images), len(images[0])
    complete = [row for row in BEST_OF if row in table and table[row]["images"] == full]
    best = max(complete, key=lambda row: table[row]["mAP50"]["value"], default=None)
    for key, row in table.items():
        for other in {best, "late"} & set(table) - {key}:
            if row["images"] == table[other]["images"]:
                gap = draws[key]["mAP50"] - draws[other]["mAP50"]
                value = row["mAP50"]["value"] - table[other]["mAP50"]["value"]
                row[f"minus {other}"] = {"value": value, "interval": interval(gap)}
    return {"setting": asdict(setting), "best of single and pixel": best, "rows": table}


def show(summary: dict[str, Any]) -> None:
    """Print the table, mean and 95 % interval, in percent."""
    best, table = summary["best of single and pixel"], summary["rows"]
    if not table:
        print("no results yet")
        return
    measures = [
        m for m in next(iter(table.values())) if isinstance(next(iter(table.values()))[m], dict) and "minus" not in m
    ]
    others = [f"minus {best}", "minus late"]
    print("| row | " + " | ".join([*measures, *others, "pairs x seeds"]) + " |\n|---|" + "---|" * (len(measures) + 3))
    for key, row in table.items():
        cells = [
            f"{row[m]['value']:.1f} ({row[m]['interval'][0]:.1f} to {row[m]['interval'][1]:.1f})" if m in row else ""
            for m in [*measures, *others]
        ]
        print(f"| {key} | " + " | ".join(cells) + f" | {row['images']} x {row['seeds']} |")


if __name__ == "__main__":
    main()
