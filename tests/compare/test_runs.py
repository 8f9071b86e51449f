"""Runs in processes of their own: kept when done, told when they fail, never of two settings in one folder."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.compare.runs import Run, do_missing, read_results, remember
from metafusion_yolo.support.errors import UserValueError

SETTING = Setting(data="a.yaml", pretrained="", epochs=2, imgsz=64, batch=4, folds=0)


def work(setting: Setting, run: Run) -> dict:
    """Find one box of two in one image; fail where the row says so."""
    if run.row == "broken":
        raise ValueError("out of luck")
    if run.row == "wrong":
        raise UserValueError("labels of another task")
    found = {"tp": [[1] * 10], "conf": [0.9], "pred_cls": [0], "target_cls": [0, 0]}
    return {"both": {f"{run.fold}.jpg": found}}


def test_finished_runs_are_kept_and_failed_ones_told(tmp_path) -> None:
    said: list[str] = []
    runs = [Run(row, fold, 0, str(tmp_path)) for row in ("visible", "broken") for fold in (0, 1)]
    failed = do_missing(SETTING, [runs], 2, work, said.append)
    assert {run.row for run in failed} == {"broken"}
    assert any(re.search(r"visible-fold0-seed0: mAP50 (49|50)", line) for line in said)
    assert any("broken-fold1-seed0: failed: out of luck, see" in line for line in said)
    assert all("min left" in line for line in said)
    assert [*read_results(tmp_path, "visible")["both"]] == ["0.jpg", "1.jpg"]
    said.clear()
    assert len(do_missing(SETTING, [runs], 1, work, said.append)) == 2
    assert said[0] == "2 finished runs are kept, 2 to go"


def test_what_is_wrong_for_the_first_run_ends_all(tmp_path) -> None:
    runs = [Run("wrong", fold, 0, str(tmp_path)) for fold in (0, 1)]
    with pytest.raises(UserValueError, match="labels of another task"):
        do_missing(SETTING, [runs], 1, work, print)
    assert "labels of another task" in runs[0].log.read_text(), "the log has the traceback"
    good = Run("visible", 0, 0, str(tmp_path))
    assert do_missing(SETTING, [[good], runs], 1, work, lambda line: None) == runs, "others ended well before"


def test_two_settings_do_not_share_a_folder(tmp_path) -> None:
    remember(SETTING, tmp_path)
    remember(SETTING, tmp_path)
    with pytest.raises(ValueError, match=r"results of another setting \(epochs 2 -> 3\); name another folder"):
        remember(replace(SETTING, epochs=3), tmp_path)
    assert json.loads((tmp_path / "setting.json").read_text())["epochs"] == 2
