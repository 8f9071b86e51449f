"""Comparison of formats: matching of detections, the table, and a run over two formats."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest
import torch
import yaml

from benchmarks.lively import lively as make_lively
from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.export import benchmark
from metafusion_yolo.engine.export.benchmark import COLUMNS, check_format, compare, plot, table
from metafusion_yolo.engine.predict.results import FusionResults
from tests.conftest import TINY

BOXES = [[0, 0, 10, 10], [20, 20, 40, 40], [21, 20, 41, 40]]


def results(boxes=BOXES, conf=(0.9, 0.8, 0.7), cls=(0, 1, 1)) -> list[FusionResults]:
    rows = torch.tensor([[*box, score, c] for box, score, c in zip(boxes, conf, cls, strict=True)]).reshape(-1, 6)
    return [FusionResults(np.zeros((64, 64, 4), np.uint8), path="", names={0: "a", 1: "b"}, boxes=rows)]


def test_equal_detections_match_in_any_order():
    reverse = results(BOXES[::-1], (0.7, 0.8, 0.9), (1, 1, 0))
    assert compare(results(), reverse) == {"boxes": 3, "unmatched": 0, "min_iou": 1.0, "max_score_diff": 0.0}


def test_deviations_are_the_largest():
    moved = [[0, 0, 10, 9], *BOXES[1:]]
    found = compare(results(), results(moved, (0.9, 0.75, 0.7)))
    assert found == {"boxes": 3, "unmatched": 0, "min_iou": 0.9, "max_score_diff": pytest.approx(0.05)}


def test_another_class_or_a_missing_box_has_no_partner():
    assert compare(results(), results(cls=(1, 1, 1)))["unmatched"] == 2
    assert compare(results(), results([], (), ()))["unmatched"] == 3
    assert compare(results([], (), ()), results([], (), ()))["boxes"] == 0


def test_table_leaves_out_what_is_empty():
    rows = [{"format": "onnx", "mAP50": 0.5, "error": ""}, {"format": "pt", "mAP50": "", "error": ""}]
    assert table(rows).splitlines() == ["format  mAP50", "  onnx    0.5", "    pt       "]


@pytest.mark.parametrize(
    ("form", "message"),
    [("onxx", "unknown format 'onxx', did you mean 'onnx'"), ("onnx:4", "precision '4' of 'onnx:4', expected 32, 16")],
)
def test_unknown_formats_are_refused(form, message):
    with pytest.raises(ValueError, match=message):
        check_format(form)


def test_plot_shows_what_ran(tmp_path):
    plot([dict.fromkeys(COLUMNS, "no")], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    row = {**dict.fromkeys(COLUMNS, 1.0), "format": "onnx", "error": ""}
    plot([row, {**row, "format": "mnn", "error": "no"}], tmp_path / "one.png")
    assert cv2.imread(str(tmp_path / "one.png")).std() > 5


def test_run_over_formats(pair_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "TIMED", 0.1)
    make_lively(TINY, -1).save(tmp_path / "tiny.pt")
    data = str(pair_folder.yaml)
    pair_folder.yaml.write_text(yaml.safe_dump({**pair_folder.data, "nc": 80, "names": [f"c{i}" for i in range(80)]}))
    where = {"project": str(tmp_path), "name": "b", "imgsz": 64}
    rows = MetaFusionYOLO(tmp_path / "tiny.pt").benchmark(data, "pt,onnx,onnx:16,imx", **where)
    assert [row["format"] for row in rows] == ["pt", "onnx", "onnx:16", "imx"]
    assert rows[1]["boxes"] == rows[0]["boxes"] > 3 and rows[1]["unmatched"] == 0 and rows[1]["min_iou"] > 0.99
    assert rows[1]["mAP50"] == pytest.approx(rows[0]["mAP50"], abs=1e-3)
    assert rows[2]["size_mb"] < rows[1]["size_mb"]
    assert rows[3]["error"] and not rows[1]["error"]  # a format that cannot be made here stops nothing
    assert all(np.all([row[key] > 0 for key in ("inference", "pairs_s_b1", "pairs_s_b8")]) for row in rows[:3])
    with (tmp_path / "b" / "benchmark.csv").open() as file:
        assert [row["format"] for row in csv.DictReader(file)] == [row["format"] for row in rows]
    assert (tmp_path / "b" / "benchmark.png").is_file()
