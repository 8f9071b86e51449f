"""The accuracy table on tiny pairs: every kind of row, resumed, and refused where settings would mix."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY, write_stock

ROWS = ("visible", "infrared", "mid", "late", "distilled", "default")  # "early" is tested with `compare`


@pytest.fixture
def go(pair_folder, tmp_path, monkeypatch):
    """Return the function that runs the script on the pairs; it returns the folder of the results."""
    stock = write_stock(tmp_path / "stock.pt")
    shutil.copy(TINY, tmp_path / "metafusion-yolov8n.yaml")  # found before the shipped one
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "benchmarks"))

    def run(*arguments: str) -> Path:
        import accuracy

        out = tmp_path / "out"
        shared = ["--data", str(pair_folder.yaml), "--pretrained", str(stock), "--out", str(out), "--resamples", "20"]
        tiny = ["--folds", "0", "--classes", "0", "1", "--epochs", "1", "--imgsz", "64", "--batch", "4", "--jobs", "1"]
        monkeypatch.setattr(sys, "argv", ["accuracy.py", *shared, *tiny, *arguments])
        accuracy.main()
        return out

    return run


@pytest.mark.slow
def test_every_kind_of_row_is_trained_once_and_tabled(go, capsys) -> None:
    first = [row for row in ROWS if row != "late"]
    out = go("--rows", *first)
    results = {row: out / f"{row}-fold0-seed0.json" for row in ROWS}
    assert f"[{len(first)}/{len(first)}]" in capsys.readouterr().out
    written = {row: results[row].stat().st_mtime_ns for row in first}
    go("--rows", *ROWS)
    printed = capsys.readouterr().out
    assert "[1/1] late-fold0-seed0: mAP50" in printed
    assert all(results[row].stat().st_mtime_ns == written[row] for row in first)
    table = json.loads((out / "accuracy.json").read_text())["rows"]
    views = [f"default, {view}" for view in ("visible", "infrared", "shift-16", "25% missing", "100% missing")]
    for key in (*ROWS, *views):
        low, high = table[key]["mAP50"]["interval"]
        assert 0 <= low <= high <= 100
        assert table[key]["images"] == 4
        assert f"| {key} |" in printed
    assert "minus late" in table["default"]

    from weights import measure

    weights = measure([out / "runs" / "default-fold0-seed0"], 64)
    assert len(weights["infrared weight, spread within an image"]) == 4
    assert all(-1 <= value <= 1 for values in weights.values() for value in values)


def test_without_results_there_is_no_table(go, capsys) -> None:
    go("--table")
    assert capsys.readouterr().out == "no results yet\n"


def test_two_settings_do_not_share_a_folder(go) -> None:
    go("--table")
    with pytest.raises(
        SystemExit, match=r"results of another setting \(epochs 1 -> 3\); name another folder, or remove it"
    ):
        go("--table", "--epochs", "3")


def test_the_rows_are_model_yamls_that_load() -> None:
    from rows import ROWS

    from metafusion_yolo.compare.training import model_yaml
    from metafusion_yolo.config import FusionConfig

    configs = {
        name: FusionConfig.from_dict(model_yaml(row.model or "metafusion-yolov8n.yaml", row.fusion)["fusion"])
        for name, row in ROWS.items()
    }
    assert {configs[name].method for name in ("visible", "infrared", "average", "maximum")} == {
        "visible",
        "infrared",
        "average",
        "maximum",
    }
    assert not configs["separate"].schedule.joint.joint
    assert not configs["cascade"].attention
    assert not configs["cascade"].teaches
    assert configs["default"].attention
    assert not configs["default"].teaches
    assert configs["teaching"].teaches
    assert configs["bilevel"].meta.interval > 0
    assert configs["jitter"].augment.share_jitter > 0 == configs["cascade"].augment.share_jitter
    assert configs["all"].meta.interval == configs["bilevel"].meta.interval
    assert configs["all"].schedule == configs["schedule"].schedule
    assert not any(p.lr.fusion for p in configs["frozen"].schedule.phases if p.fraction)
    assert configs["default"] == FusionConfig()
