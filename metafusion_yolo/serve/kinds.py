"""The kinds of reports that the commands write, and their figures: `train`, `val`, `compare`, `data check`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from metafusion_yolo.support.resources import read_yaml

HIGH, LOW = "high", "low"  # what is best in a column


class Column(BaseModel):
    """A figure of a kind of reports."""

    name: str
    best: str = Field(default="", description="high, low, or empty for what is not ranked")
    digits: int = Field(default=1, description="decimal places of its numbers")


class Kind(NamedTuple):
    """A kind of reports: its file, its columns, and the reader of its rows."""

    file: str
    columns: list[Column]
    read: Callable[[Path], list[list[float | str | None]]]


def _name(path: Any) -> str:
    """Return the last part of a path, or nothing."""
    return Path(str(path)).name if path not in (None, "None") else ""


def _pixels(size: Any) -> str:
    """Return an image size, one number or height and width."""
    return " x ".join(map(str, size)) if isinstance(size, list) else str(size or "")


def _validation(file: Path) -> list[list[float | str | None]]:
    content = json.loads(file.read_text(encoding="utf-8"))
    total = content["rows"][0]
    measured = [total["detection"].get(name) for name in ("mAP50-95", "mAP50", "MR-2")]
    weights = [total["weights"].get(where) for where in ("inside", "outside")]
    counts = [sum(content["speed_ms"].values()), total["images"], total["instances"]]
    what = [
        _name(content["data"]),
        content["split"],
        _name(content["model"]),
        _pixels(content["imgsz"]),
        content["cameras"],
    ]
    return [[*measured, *weights, *counts, *what]]


def read_epochs(file: Path) -> list[dict[str, float]]:
    """Return the rows of a `results.csv`."""
    with file.open(encoding="utf-8", newline="") as stream:
        return [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def _metric(row: Mapping[str, float], name: str) -> float | None:
    """Return a metric of an epoch, of the boxes where a task has several."""
    return next((value for key, value in row.items() if key.startswith(f"metrics/{name}")), None)


def _training(file: Path) -> list[list[float | str | None]]:
    epochs = read_epochs(file)
    given = file.with_name("args.yaml")
    settings = read_yaml(given) if given.is_file() else {}
    best = max(epochs, key=lambda row: _metric(row, "mAP50-95") or 0)
    measured = [_metric(best, name) for name in ("mAP50-95", "mAP50(")]
    what = [_name(settings.get("data")), _name(settings.get("model")), _pixels(settings.get("imgsz"))]
    return [[*measured, best["epoch"], len(epochs), epochs[-1]["time"] / 60, *what]]


def _comparison(file: Path) -> list[list[float | str | None]]:
    content = json.loads(file.read_text(encoding="utf-8"))
    chosen, setting = content["recommendation"]["choice"], content["setting"]
    rows: list[list[float | str | None]] = []
    for name, measures in content["rows"].items():
        mean, whole, spoilt = measures["mAP50"], measures["mAP50-95"], content["mAP50, one camera spoilt"][name]
        interval = f"{mean['low'] / 100:.3f} to {mean['high'] / 100:.3f}"
        told = "recommended" if name == chosen else ""
        figures = [mean["value"] / 100, interval, whole["value"] / 100, spoilt["value"] / 100]
        rows.append([name, *figures, content["images"], _name(setting["data"]), _pixels(setting["imgsz"]), told])
    return rows


def _check(file: Path) -> list[list[float | str | None]]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return [[*(content[name] for name in ("errors", "warnings", "notes", "pairs")), _name(content["data"])]]


def _columns(*ranked: tuple[str, str, int], more: str) -> list[Column]:
    plain = [Column(name=name.strip(), digits=0) for name in more.split(",")]
    return [*(Column(name=name, best=best, digits=digits) for name, best, digits in ranked), *plain]


KINDS = {
    "validations": Kind(
        "val.json",
        _columns(
            ("mAP50-95", HIGH, 3),
            ("mAP50", HIGH, 3),
            ("MR-2", LOW, 3),
            ("IR inside", "", 3),
            ("IR outside", "", 3),
            ("ms per pair", LOW, 1),
            more="pairs, objects, data, split, model, px, cameras",
        ),
        _validation,
    ),
    "comparisons": Kind(
        "compare.json",
        [
            Column(name="row"),
            Column(name="mAP50", best=HIGH, digits=3),
            Column(name="95 % interval"),
            Column(name="mAP50-95", best=HIGH, digits=3),
            Column(name="one camera spoilt", best=HIGH, digits=3),
            *_columns(more="pairs, data, px, verdict"),
        ],
        _comparison,
    ),
    "trainings": Kind(
        "results.csv",
        _columns(
            ("mAP50-95", HIGH, 3),
            ("mAP50", HIGH, 3),
            ("best epoch", "", 0),
            ("epochs", "", 0),
            ("minutes", LOW, 1),
            more="data, model, px",
        ),
        _training,
    ),
    "data checks": Kind(
        "check.json", _columns(("errors", LOW, 0), ("warnings", LOW, 0), ("notes", LOW, 0), more="pairs, data"), _check
    ),
}
