"""The report of a comparison as one HTML file: recommendation, table, intervals, example pairs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metafusion_yolo import __version__
from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.pictures import Tile, most_telling, picture_pair
from metafusion_yolo.compare.rows import BOTH, COMPARED
from metafusion_yolo.compare.runs import Run, read_results
from metafusion_yolo.compare.training import all_pairs
from metafusion_yolo.compare.verdict import Table, Verdict
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.evaluation.corruptions import KINDS
from metafusion_yolo.nn.model_yaml import task_named
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.pages import write_html
from metafusion_yolo.support.pages.plots import intervals

TEMPLATE = Path(__file__).with_name("report.html.j2")
EXAMPLES = 4
JUDGED = {"detect": "boxes", "segment": "masks", "pose": "keypoints", "obb": "oriented boxes"}  # what counts, by task


def write_report(
    out: Path, table: Table, verdict: Verdict, setting: Setting, budget: str, names: dict[int, str], seconds: float
) -> Path:
    """Write report.html into the folder of a comparison.

    Args:
        out: The folder, with the results of all runs.
        table: Results of the rows.
        verdict: The recommendation.
        setting: The setting that all rows share.
        budget: Name of the budget.
        names: Class names.
        seconds: Duration of this call, seconds.

    Returns:
        The path of the report.
    """
    results = {run.stem: json.loads(run.read_text(encoding="utf-8")) for run in out.glob("*-fold*-seed*.json")}
    trained = sum(result["seconds"] for result in results.values())
    gaps = {row: table.between[row, table.single] for row in table.ranked if row != table.single}
    classes = [m for m in next(iter(table.measures.values())) if m not in ("mAP50", "mAP50-95")]
    minutes = {
        row: sum(result["seconds"] for stem, result in results.items() if stem.startswith(f"{row}-fold")) / 60
        for row in table.ranked
    }
    return write_html(
        TEMPLATE,
        out / "report.html",
        version=__version__,
        rows={row: COMPARED[row] for row in table.ranked},
        table=table,
        classes=classes,
        verdict=verdict,
        gaps=gaps,
        minutes=minutes,
        kinds=[f"{camera} {kind}" for kind, (camera, _) in KINDS.items()],
        setting=setting,
        judged=JUDGED[task_named(setting.model)],
        budget=budget,
        names=names,
        trained=trained / 60,
        seconds=seconds,
        plots=[
            ("mAP50, percent", intervals({row: table.measures[row]["mAP50"] for row in table.ranked}, "mAP50, %")),
            (
                f"mAP50 above {COMPARED[table.single].title}",
                intervals(gaps, "points; an interval that holds 0 is not resolved", zero=True),
            ),
        ],
        examples=_examples(out, setting, table.ranked),
    )


def _examples(out: Path, setting: Setting, rows: Sequence[str]) -> list[tuple[str, list[Tile]]]:
    """Return name and pictures of the pairs on which the rows differ most, from the first seed."""
    found: dict[str, dict[str, Any]] = {
        row: {image: entries[0] for image, entries in read_results(out, row)[BOTH].items()} for row in rows
    }
    data = describe(setting.data)
    rig = Rig.from_yaml(data, setting.data)
    pairs = all_pairs(data, rig)
    chosen = []
    for image in most_telling(found, EXAMPLES):
        fold = _fold_of(out, setting, image)
        checkpoints = {row: Run(row, fold, 0, str(out)).folder / "train" / "weights" / "last.pt" for row in rows}
        here = {row: found[row][image] for row in rows}
        tiles = picture_pair(image, pairs, rig, here, checkpoints, setting.imgsz, data.get("kpt_shape"))
        chosen.append((Path(image).name, tiles))
    return chosen


def _fold_of(out: Path, setting: Setting, image: str) -> int:
    """Return the fold on which an image was tested."""
    row = next(iter(COMPARED))
    for fold in range(max(1, setting.folds)):
        if image in json.loads(Run(row, fold, 0, str(out)).file.read_text(encoding="utf-8"))["views"][BOTH]:
            return fold
    raise UserValueError(f"'{image}' was not tested in '{out}'")
