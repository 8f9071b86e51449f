"""The whole comparison on tiny pairs, from the command line."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from metafusion_yolo import MetaFusionYOLO, cli
from metafusion_yolo.compare import _can_be_tested, _start
from metafusion_yolo.compare.rows import COMPARED, UNTRAINED
from metafusion_yolo.compare.verdict import Estimate
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.pages.plots import intervals
from tests.conftest import TINY, write_stock


@pytest.mark.slow
def test_every_row_is_trained_and_reported(pair_folder, tmp_path, capfd) -> None:
    words = f"compare data={pair_folder.yaml} model={TINY} epochs=1 imgsz=64 batch=4 jobs=1 project={tmp_path}".split()
    assert cli.main(words) == 0
    out = tmp_path / "compare"
    rows = [row for row in COMPARED if row != UNTRAINED]  # there is no checkpoint to start from
    results = {row: out / f"{row}-fold0-seed0.json" for row in rows}
    assert all(file.is_file() for file in results.values())
    summary = json.loads((out / "compare.json").read_text())
    assert summary["images"] == 4
    assert [*summary["rows"]] == sorted(rows, key=lambda row: -summary["rows"][row]["mAP50"]["value"])
    for row in rows:
        estimate = summary["rows"][row]["mAP50"]
        assert 0 <= estimate["low"] <= estimate["high"] <= 100
    page = (out / "report.html").read_text()
    assert summary["recommendation"]["sentence"] in page.replace("&#39;", "'")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) > 4 * len(rows) and all(source.startswith("data:") for source in sources)  # self-contained


@pytest.mark.parametrize(
    ("task", "name", "expected"), [("segment", "car", True), ("detect", "car", False), ("segment", "ship", False)]
)
def test_a_start_is_tested_untrained_if_it_does_the_task_and_knows_a_class(task, name, expected, caplog) -> None:
    caplog.set_level("INFO", logger="ultralytics")
    start = SimpleNamespace(task=task, names={0: name})
    assert _can_be_tested(start, "segment", {0: "person", 1: "car"}) is expected
    assert ("No row 'untrained'" in caplog.text) is not expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data={yaml} budget=quik", "'budget=quik' is invalid, did you mean 'quick'?"),
        ("data={yaml} epochs=0", "'epochs=0' is invalid, expected at least 1"),
        ("data={yaml} folds=1", "folds=1 leaves nothing to train with"),
        ("data={yaml} pretrained=nowhere.pt", "no checkpoint 'nowhere.pt'"),
        ("data=nowhere.yaml", "data set 'nowhere.yaml': the file does not exist"),
        ("data={yaml} model=metafusion-yolov9n.yaml", "no model YAML 'metafusion-yolov9n.yaml'"),
        ("data={yaml} model=nowhere.pt", "no checkpoint 'nowhere.pt'"),
        (
            "data={yaml} model=nowhere.pt pretrained=other.pt",
            "'model=nowhere.pt' is already a checkpoint to start from",
        ),
        (
            "data={yaml} model=metafusion-yolov8n-pose.yaml",
            "'kpt_shape: None' must be the number of keypoints",
        ),
    ],
)
def test_a_mistake_costs_one_line(pair_folder, tmp_path, capsys, words, message) -> None:
    arguments = words.format(yaml=pair_folder.yaml).split()
    assert cli.main(["compare", *arguments, f"project={tmp_path / 'runs'}"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_checkpoint_brings_its_model(tmp_path, yolov8n) -> None:
    assert _start(str(yolov8n), False) == ("metafusion-yolov8n.yaml", str(yolov8n))
    MetaFusionYOLO(yolov8n).save(tmp_path / "fused.pt")
    assert _start(str(tmp_path / "fused.pt"), False)[0] == "metafusion-yolov8n.yaml"
    with pytest.raises(UserValueError, match="does not say which model YAML it was made from"):
        _start(str(write_stock(tmp_path / "own.pt")), False)


def test_pairs_without_labels_are_refused_before_anything_is_trained(pair_folder, tmp_path, capsys) -> None:
    for label in (pair_folder.root / "labels" / "train").iterdir():
        label.unlink()
    assert cli.main(["compare", f"data={pair_folder.yaml}", f"project={tmp_path / 'runs'}"]) == 2
    assert "a comparison of detectors needs labelled pairs" in capsys.readouterr().err


def test_intervals_lie_on_one_scale() -> None:
    drawing = intervals({"a": Estimate(10, 5, 15), "b": Estimate(30, 20, 40)}, "mAP50, %", zero=True)
    starts = [float(x) for x in re.findall(r'<g class="estimate">.*?<path d="M([\d.]+)', drawing)]
    zero = float(re.search(r'class="limit" d="M([\d.]+)', drawing)[1])
    assert zero < starts[0] < starts[1]
    assert "a: 10.0 (5.0 to 15.0)" in drawing
