"""The tables of docs/experiments.md, from the runs of `accuracy.py`: as is, one camera spoilt, off or shifted.

Only rows that have all folds and seeds that the default has are compared, so that each difference is of the same pairs.

    python benchmarks/trained.py --runs runs/accuracy
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from results import RESULTS, save

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.folds import blocks_of
from metafusion_yolo.compare.runs import read_arrays
from metafusion_yolo.data.description import describe
from metafusion_yolo.evaluation.corruptions import KINDS
from metafusion_yolo.evaluation.precision import Image, average_precision, interval, resampled
from metafusion_yolo.evaluation.trust import view

DEFAULT = "default"
ROWS = {  # title in the table, and in a difference
    "visible": ("the visible camera", "visible"),
    "infrared": ("the infrared camera", "infrared"),
    "average": ("the average image", "plain average"),
    "maximum": ("the maximum image", "maximum"),
    "false-colour": ("false colour: luminance, mean, infrared", "false colour"),
    "average-spoilt": ("the average image, pairs spoilt alike", "average"),
    "meet-image": ("the fused image (`meet: image`)", "image"),
    DEFAULT: ("**`meet: P3`**", "P3"),
    "meet-P2": ("`meet: P2`", "P2"),
    "meet-P4": ("`meet: P4`", "P4"),
    "meet-P5": ("`meet: P5`", "P5"),
    "mid-spoilt": ("two backbones, pairs spoilt alike", "two backbones"),
}
AS_IS, SPOILT = "as is", "mean of the eight"
OFF = {"visible": "visible alone", "infrared": "infrared alone"}
OFF |= {f"shift-{pixels}": f"shifted by {pixels} px" for pixels in (2, 4, 8, 16)}

Views = dict[str, dict[str, list[Image]]]  # evaluations, one a seed, by view and image
Draws = dict[str, np.ndarray]  # mAP50 by column, of all pairs first and then of each resample


def main() -> None:
    """Write the file, and one with a camera off beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/accuracy"), help="folder of the results of accuracy.py")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--single", action="store_true", help="every pair is a scene of its own, as synthetic ones are")
    parser.add_argument("--commit", help="of the code that trained the runs, if it is not that of today")
    parser.add_argument("--json", type=Path, default=RESULTS / "joint.json")
    args = parser.parse_args()
    setting = Setting(**json.loads((args.runs / "setting.json").read_text()))
    names = {c: name for c, name in describe(setting.data)["names"].items() if c in setting.classes}
    views = {row: read_arrays(args.runs, row) for row in ROWS}
    views = {row: found for row, found in views.items() if found and counted(found) == counted(views[DEFAULT])}
    columns = {"both": AS_IS, **{view(kind, 2): kind for kind in KINDS}}
    draws = {row: draw(found, columns, names, args.resamples, args.single) for row, found in views.items()}
    for cells in draws.values():
        cells[SPOILT] = np.mean([cells[kind] for kind in KINDS], 0)
    rows = {
        ROWS[row][0]: {c: estimate(v) if c in (AS_IS, SPOILT) else float(v[0]) for c, v in cells.items()}
        for row, cells in draws.items()
    }
    more = {
        f"P3 minus {ROWS[row][1]}": {c: estimate(draws[DEFAULT][c] - cells[c]) for c in (AS_IS, SPOILT)}
        for row, cells in draws.items()
        if row != DEFAULT
    }
    images, seeds = len(counted(views[DEFAULT])), max(counted(views[DEFAULT]).values())
    spread = (
        f"{images} pairs, {seeds} trainings of each; "
        f"95 % intervals by bootstrap over {'pairs' if args.single else 'blocks of neighbouring frames'}, which leaves "
        "out the chance of training"
    )
    about = {"commit": args.commit} if args.commit else {}
    save(args.json, rows, spread, **about, first="trained", highest=[AS_IS, SPOILT], more=more)
    off = draw(views[DEFAULT], {"both": AS_IS, **OFF}, names, args.resamples, args.single)
    table = {ROWS[DEFAULT][0]: {column: estimate(values) for column, values in off.items()}}
    file = args.json.with_name(f"{args.json.stem}-off.json")
    save(file, table, spread, **about, first="trained", plain=[title for title in OFF.values() if "shifted" in title])
    print(f"{args.json.name}: {', '.join(views)}; left out: {', '.join(set(ROWS) - set(views)) or 'none'}")


def counted(found: Views) -> dict[str, int]:
    """Return how many evaluations there are of each image."""
    return {name: len(seeds) for name, seeds in found.get("both", {}).items()}


def draw(found: Views, columns: dict[str, str], names: dict[int, str], resamples: int, single: bool = False) -> Draws:
    """Return the mAP50 of the views that there are, by the title of their column; `single` images are no blocks."""
    images = sorted(map(Path, next(iter(found.values()))))
    blocks = [[str(i) for i in block] for block in ([[image] for image in images] if single else blocks_of(images))]
    drawn = {}
    for seen, title in columns.items():
        if seen in found:
            images = [[one for name in block for one in found[seen][name]] for block in blocks]
            point = average_precision([one for block in images for one in block], names)["mAP50"]
            drawn[title] = np.array([point, *resampled(images, names, resamples)["mAP50"]])
    return drawn


def estimate(values: np.ndarray) -> dict[str, Any]:
    """Return the value of all pairs, and the interval of the resamples."""
    return {"value": float(values[0]), "interval": interval(values[1:])}


if __name__ == "__main__":
    main()
