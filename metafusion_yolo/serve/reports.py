"""The reports below a folder, of `train`, `val`, `compare` and `data check`, as one index, over HTTP."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, Field

from metafusion_yolo.serve.kinds import HIGH, KINDS, Column, read_epochs
from metafusion_yolo.support import pages
from metafusion_yolo.support.pages.plots import intervals, lines

EVALUATION = Path(pages.__file__).parents[2] / "evaluation"  # where the tables of a validation are
MOST, DEEPEST = 5000, 8  # folders that are looked into, and how far below the opened one
SHOWN = re.compile(r"[\w-][\w.-]*\.(png|jpg|html)")  # files of a report that are given
PLOTS = ("PR_curve", "confusion_matrix", "F1_curve", "weights", "corruptions", "spoilt")
AXES = {"missing": "share of pairs without a camera", "shift": "infrared shifted by, pixels"}
ALONE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}


class Row(BaseModel):
    """A report, or a row of one."""

    id: str = Field(description="of its report")
    run: str = Field(description="its folder, below the opened one")
    cells: list[float | str | None] = Field(description="a value for each column")


class Table(BaseModel):
    """The reports of a kind, best first."""

    kind: str
    columns: list[Column]
    rows: list[Row]


class Index(BaseModel):
    """All reports."""

    folder: str
    tables: list[Table]


MISTAKES = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)  # of a file that is none of ours


def _number(cell: float | str | None) -> float | str | None:
    """Return a cell; NaN and infinity become None."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


class Reports:
    """The reports below a folder; links in it are not followed.

    Args:
        folder: The opened folder, which need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._known: dict[Path, tuple[float, list[list[float | str | None]]]] = {}
        self._files: dict[str, tuple[str, Path]] = {}

    def index(self) -> Index:
        """Return all reports as they are now, best first."""
        tables = {kind: Table(kind=kind, columns=[*KINDS[kind].columns, _WHEN], rows=[]) for kind in KINDS}
        for kind, file in self._find():
            run = file.parent.relative_to(self.folder).as_posix()
            key = hashlib.blake2b(f"{kind}/{run}".encode(), digest_size=8).hexdigest()
            try:
                changed = file.stat().st_mtime
                if self._known.get(file, (0.0, []))[0] != changed:
                    self._known[file] = changed, KINDS[kind].read(file)
                when = datetime.fromtimestamp(changed).astimezone().strftime("%Y-%m-%d %H:%M")
                rows = [Row(id=key, run=run, cells=[*map(_number, cells), when]) for cells in self._known[file][1]]
            except MISTAKES:
                continue  # being written, or of another program
            self._files[key] = kind, file
            tables[kind].rows += rows
        for table in tables.values():
            first = next(i for i, column in enumerate(table.columns) if column.best)
            sign = -1 if table.columns[first].best == HIGH else 1
            table.rows.sort(key=lambda row, i=first, sign=sign: (row.cells[i] is None, sign * (row.cells[i] or 0)))  # type: ignore[misc]
        return Index(folder=str(self.folder), tables=[table for table in tables.values() if table.rows])

    def _find(self) -> Iterator[tuple[str, Path]]:
        for i, (folder, below, files) in enumerate(os.walk(self.folder)):
            depth = len(Path(folder).relative_to(self.folder).parts)
            below[:] = sorted(name for name in below if not name.startswith(".")) if depth < DEEPEST else []
            if i >= MOST:
                return
            for kind, known in KINDS.items():
                file = Path(folder, known.file)
                if file.name in files and not file.is_symlink():
                    yield kind, file

    def find(self, key: str) -> tuple[str, Path]:
        """Return kind and file of a report.

        Raises:
            HTTPException: If there is none.
        """
        if key not in self._files:
            self.index()
        if key not in self._files or not self._files[key][1].is_file():
            raise HTTPException(404, "there is no such report")
        return self._files[key]

    def part(self, key: str, name: str) -> Path:
        """Return a picture or page beside a report.

        Raises:
            HTTPException: If there is none.
        """
        file = self.find(key)[1].with_name(name) if SHOWN.fullmatch(name) else None
        if file is None or file.is_symlink() or not file.is_file():
            raise HTTPException(404, "there is no such file")
        return file

    def details(self, key: str) -> str:
        """Return tables, charts and pictures of a report as HTML; `data-file` names the pictures."""
        kind, file = self.find(key)
        beside = sorted(one.name for one in file.parent.iterdir() if SHOWN.fullmatch(one.name))
        report, curves = None, {}
        try:
            if kind == "validations":
                report = json.loads(file.read_text(encoding="utf-8"))
                curves = (
                    {f"mAP50: {x}": _curves(series, x) for x, series in report["curves"].items()}
                    if report["curves"]
                    else {}
                )
            elif kind == "trainings":
                curves = _learning(read_epochs(file))
            elif kind == "comparisons":
                curves = {"mAP50 with its 95 % interval": _intervals(json.loads(file.read_text(encoding="utf-8")))}
        except MISTAKES:
            raise HTTPException(422, "this report cannot be read") from None
        plots = [name for part in PLOTS for name in beside if part in name and name.endswith(".png")]
        wanted = {"validations": "val.html", "comparisons": "report.html", "data checks": "report.html"}.get(kind)
        template = pages.environment(Path(__file__).parent / "page", EVALUATION).get_template("report.html")
        return template.render(
            report=report, curves=curves, plots=plots, page=wanted if wanted in beside else None, kind=kind
        )


_WHEN = Column(name="when")


def _curves(series: Mapping[str, list[list[float]]], x: str) -> str:
    """Draw mAP50 under a disturbance."""
    return lines({name: [(a, b) for a, b in points] for name, points in series.items()}, AXES.get(x, x))


def _learning(epochs: list[dict[str, float]]) -> dict[str, str]:
    """Draw the course of a training: accuracy, and each loss of training and validation."""
    drawn = {}
    accuracy = [key for key in epochs[0] if key.startswith("metrics/mAP")]
    if accuracy:
        series = {key[8:]: [(row["epoch"], row[key]) for row in epochs] for key in accuracy}
        drawn["Accuracy"] = lines(series, "epoch")
    for key in epochs[0]:
        other = key.replace("train/", "val/")
        if key.startswith("train/") and any(row[key] for row in epochs):
            both = [name for name in (key, other) if name in epochs[0]]
            series = {name.partition("/")[0]: [(row["epoch"], row[name]) for row in epochs] for name in both}
            drawn[key[6:].replace("_", " ")] = lines(series, "epoch")
    return drawn


def _intervals(content: Mapping[str, Any]) -> str:
    """Draw the rows of a comparison."""
    estimates = {
        name: SimpleNamespace(
            **measures["mAP50"],
            text=f"{measures['mAP50']['value']:.1f}",
            range=f"{measures['mAP50']['low']:.1f} to {measures['mAP50']['high']:.1f}",
        )
        for name, measures in content["rows"].items()
    }
    return intervals(estimates, "mAP50, %")


def add_reports(app: FastAPI, reports: Reports) -> None:
    """Add the addresses of the reports to a server."""

    @app.get("/reports", response_model=Index, summary="All reports below the opened folder")
    def index() -> Index:
        return reports.index()

    @app.get("/reports/{key}", response_class=HTMLResponse, summary="Tables and charts of a report, HTML")
    def details(key: str) -> HTMLResponse:
        return HTMLResponse(reports.details(key))

    @app.get("/reports/{key}/{name}", response_class=FileResponse, summary="A picture or page of a report")
    def part(key: str, name: str) -> FileResponse:
        """A page runs no script and loads nothing."""
        return FileResponse(reports.part(key, name), headers=ALONE)
