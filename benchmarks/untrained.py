"""What does a stock detector find in pairs without any training, on fused images and on others?

The same weights read the visible image, the infrared image, fixed rules, and the images of the front-end that stock
checkpoints get. Intervals resample whole blocks of neighbouring frames.

    python benchmarks/untrained.py --data roadscene.yaml --splits train val --classes person car
    python benchmarks/untrained.py --data roadscene.yaml --spoilt  # and with one camera spoilt: nine times the cost
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from results import RESULTS, save

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.folds import blocks_of
from metafusion_yolo.compare.runs import as_arrays
from metafusion_yolo.compare.training import evaluate, host_arguments, link_fold
from metafusion_yolo.data.description import describe
from metafusion_yolo.engine.checkpoints import find_checkpoint, load_checkpoint, load_fusion_checkpoint
from metafusion_yolo.evaluation.precision import average_precision, interval, resampled
from metafusion_yolo.nn.rules import PixelRule
from metafusion_yolo.nn.tasks import fused_form
from metafusion_yolo.support.resources import read_yaml

FUSED = "fused"
LABELS = {
    "visible": "the visible image",
    "infrared": "the infrared image",
    "false-colour": "false colour",
    "maximum": "the maximum",
    "average": "the average",
    "two-backbones": "both, by two backbones",
    FUSED: "both cameras, fused",
}
ROWS = tuple(LABELS)


def main() -> None:
    """Evaluate every row on the same pairs, and print the table."""
    parser = parser_of(__doc__, imgsz=640, resamples=1000)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS, metavar="ROW")
    parser.add_argument("--spoilt", action="store_true", help="also with one camera spoilt, in eight ways")
    parser.add_argument("--json", type=Path, default=RESULTS / "untrained.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = link_pairs(args, Path(folder))
        found = {row: look(args, row, data) for row in args.rows}
    names = {c: n for c, n in describe(args.data)["names"].items() if n in args.classes}
    table = summarise(found, names, args.resamples)
    show(table)
    keep(args.json, table)


def keep(file: Path, table: dict[str, dict[str, Any]]) -> None:
    """Write the table, and beside it what both cameras, fused has over the others."""
    estimates = {
        LABELS[row]: {key: value for key, value in values.items() if isinstance(value, dict)}
        for row, values in table.items()
    }
    rows = {
        row: {key: {part: value[part] for part in ("value", "interval")} for key, value in values.items()}
        for row, values in estimates.items()
    }
    gaps = estimates.get(LABELS[FUSED], {})
    more = {
        f"{LABELS[FUSED]} minus {LABELS[row]}": {key: value["minus"][row] for key, value in gaps.items()}
        for row in table
        if gaps and row != FUSED
    }
    about = {"first": "the detector reads", "ours": LABELS[FUSED], "highest": ["mAP50"], "more": more}
    save(file, rows, "95 % interval, bootstrap over blocks of neighbouring frames", **about)


def parser_of(about: str | None, imgsz: int, resamples: int) -> argparse.ArgumentParser:
    """Return a parser of what every benchmark of an untrained detector is given."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="roadscene.yaml", help="paired data set, its cameras registered")
    parser.add_argument(
        "--splits", nargs="+", default=["train", "val"], help="nothing is trained, so all may be tested"
    )
    parser.add_argument("--model", default="yolov8n.pt", help="stock detector")
    parser.add_argument("--classes", nargs="+", default=["person", "car"], help="names of the classes that count")
    parser.add_argument("--imgsz", type=int, default=imgsz)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", help="as for the host; default: a GPU if there is one")
    parser.add_argument("--resamples", type=int, default=resamples, help="of the bootstrap")
    parser.set_defaults(spoilt=False)
    return parser


def setting_of(args: argparse.Namespace) -> Setting:
    """Return what all rows share, as a comparison says it."""
    chosen = {key: getattr(args, key) for key in ("data", "imgsz", "batch", "device")}
    return Setting(**chosen, pretrained=args.model, epochs=0, folds=0)


def link_pairs(args: argparse.Namespace, folder: Path) -> Path:
    """Link the pairs where the host may write its caches, and return a YAML whose `val:` are the wanted splits."""
    file = link_fold(setting_of(args), 0, folder)
    content = read_yaml(file)
    file.write_text(yaml.safe_dump({**content, "val": [content[split] for split in args.splits]}))
    return file


def look(args: argparse.Namespace, row: str, data: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what the detector finds in the images of a row, by view and image."""
    model, _ = load_fusion_checkpoint(args.model)
    if row != FUSED:  # one image for the stock detector, or two backbones whose features are averaged
        meet, rule = ("P5", "average") if row == "two-backbones" else ("image", row)
        model = fused_form(load_checkpoint(find_checkpoint(args.model))[0], meet=meet).eval()
        model.fusion = PixelRule(rule)
    host = host_arguments(setting_of(args), data.parent, data)
    recorder = evaluate(model, host, "both", corruptions=args.spoilt)
    return {"as is": recorder.recorded, **recorder.spoilt}


def summarise(
    found: dict[str, dict[str, dict[str, dict[str, Any]]]], names: dict[int, str], resamples: int
) -> dict[str, dict[str, Any]]:
    """Return for every row its values with intervals, and what it has over the other rows."""
    draws: dict[str, dict[str, np.ndarray]] = {}
    table: dict[str, dict[str, Any]] = {}
    for row, views in found.items():
        points, drawn = {}, {}
        for view, images in views.items():
            blocks = [[as_arrays(images[str(i)]) for i in block] for block in blocks_of([*map(Path, images)])]
            points[view] = average_precision([image for block in blocks for image in block], names)
            drawn[view] = resampled(blocks, names, resamples)
        spoilt = [view for view in views if view != "as is"]
        values = {m: (points["as is"][m], drawn["as is"][m]) for m in (*names.values(), "mAP50")}
        values |= {view: (points[view]["mAP50"], drawn[view]["mAP50"]) for view in spoilt}
        if spoilt:
            mean = np.mean([drawn[view]["mAP50"] for view in spoilt], 0)
            values["one camera spoilt"] = float(np.mean([points[view]["mAP50"] for view in spoilt])), mean
        draws[row] = {measure: draw for measure, (_, draw) in values.items()}
        table[row] = {m: {"value": float(value), "interval": interval(draw)} for m, (value, draw) in values.items()}
        table[row]["images"] = len(views["as is"])
    for row in table:
        for measure in draws[row]:
            over = {other: draws[row][measure] - draws[other][measure] for other in table if other != row}
            table[row][measure]["minus"] = {
                other: {
                    "value": table[row][measure]["value"] - table[other][measure]["value"],
                    "interval": interval(gap),
                }
                for other, gap in over.items()
            }
    return table


def show(table: dict[str, dict[str, Any]]) -> None:
    """Print the values in percent, and what both cameras, fused has over the others in points."""
    measures = [key for key, value in next(iter(table.values())).items() if isinstance(value, dict)]
    print("| image | " + " | ".join(measures) + " |\n|---|" + "---|" * len(measures))
    for row, values in table.items():
        print(f"| {row} | " + " | ".join(figure(values[m]) for m in measures) + " |")
    for measure in [m for m in ("mAP50", "one camera spoilt") if m in measures and FUSED in table]:
        for other, gap in table[FUSED][measure]["minus"].items():
            print(f"{measure}, {FUSED} minus {other}: {figure(gap)}")


def figure(estimate: dict[str, Any]) -> str:
    """Return a value with its interval as text."""
    low, high = estimate["interval"]
    return f"{estimate['value']:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
