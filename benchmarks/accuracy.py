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
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rows import BEST_OF, ROWS
from training import train_and_evaluate
from ultralytics.data.utils import check_det_dataset

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.folds import blocks_of
from metafusion_yolo.compare.runs import Run, do_missing, read_arrays, remember
from metafusion_yolo.evaluation.corruptions import KINDS
from metafusion_yolo.evaluation.precision import average_precision, interval, resampled, with_missing
from metafusion_yolo.evaluation.trust import view
from metafusion_yolo.support.resources import find_data_yaml


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
    names = [f.name for f in fields(Setting) if hasattr(args, f.name) and f.name != "classes"]
    setting = Setting(**{name: getattr(args, name) for name in names}, classes=tuple(args.classes))
    out = Path(args.out).resolve()
    try:
        remember(setting, out)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    if not args.table:
        runs = [
            Run(row, fold, seed, str(out))
            for seed in args.seeds
            for fold in range(max(args.folds, 1))
            for row in args.rows
        ]
        waiting = [run for run in runs if ROWS[run.row].needs]
        first = [run for run in runs if run not in waiting]
        do_missing(setting, [first, waiting], args.jobs, train_and_evaluate, partial(print, flush=True))
    table = summarise(setting, out, args.resamples)
    (out / "accuracy.json").write_text(json.dumps(table, indent=1))
    show(table)


def summarise(setting: Setting, out: Path, resamples: int) -> dict[str, Any]:
    """Return for every row and view the pooled values with intervals, and the differences that matter."""
    results: dict[str, dict[str, dict[str, list[Any]]]] = {}
    for row in ROWS:
        for seen, images in read_arrays(out, row).items():
            results[row if seen == "both" else f"{row}, {seen}"] = images
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
        blocks = [[e for image in block for e in by_name[str(image)]] for block in blocks_of([*map(Path, by_name)])]
        point = average_precision([e for block in blocks for e in block], names)
        draws[key] = resampled(blocks, names, resamples)
        table[key] = {m: {"value": v, "interval": interval(draws[key][m])} for m, v in point.items()}
        table[key]["images"], table[key]["seeds"] = len(by_name), len(next(iter(by_name.values())))
    for row in [row for row in ROWS if f"{row}, {view('night', 2)}" in table]:
        kinds, key = [f"{row}, {view(kind, 2)}" for kind in KINDS], f"{row}, one camera spoilt"
        draws[key] = {m: np.mean([draws[kind][m] for kind in kinds], 0) for m in draws[row]}
        means = {m: float(np.mean([table[kind][m]["value"] for kind in kinds])) for m in draws[row]}
        table[key] = {m: {"value": v, "interval": interval(draws[key][m])} for m, v in means.items()}
        table[key] |= {name: table[row][name] for name in ("images", "seeds")}
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
