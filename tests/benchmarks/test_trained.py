"""The tables of trained models: which rows are compared, and by how much they differ."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import pytest

from metafusion_yolo.compare.budget import Setting
from metafusion_yolo.evaluation.corruptions import KINDS
from metafusion_yolo.evaluation.trust import view

IMAGES = 6


def image(hits: int) -> dict[str, list]:
    """Return the evaluation of an image with two persons of which some are found."""
    return {"tp": [[1] * 10] * hits, "conf": [0.9] * hits, "pred_cls": [0] * hits, "target_cls": [0, 0]}


def views(hits: int, spoilt: int, *others: str) -> dict[str, dict]:
    seen = {"both": hits, **{view(kind, 2): spoilt for kind in KINDS}, **dict.fromkeys(others, hits)}
    return {name: {f"{500 * i}.jpg": image(found) for i in range(IMAGES)} for name, found in seen.items()}


@pytest.fixture
def runs(pair_folder, tmp_path):
    """Return a folder of results of which one row has a training less."""
    out = tmp_path / "runs"
    out.mkdir()
    setting = Setting(str(pair_folder.yaml), "", 1, 64, 4, 0, classes=(0,))
    (out / "setting.json").write_text(json.dumps(asdict(setting)))
    rows = {"default": views(2, 1, "visible", "shift-2"), "infrared": views(1, 0), "mid-spoilt": views(2, 2)}
    for row, found in rows.items():
        for seed in (0, 1)[: 1 if row == "mid-spoilt" else 2]:
            (out / f"{row}-fold0-seed{seed}.json").write_text(json.dumps({"seconds": 1.0, "views": found}))
    return out


def test_rows_with_all_trainings_are_compared(runs, tmp_path, monkeypatch, capsys) -> None:
    import trained

    joint, off = tmp_path / "joint.json", tmp_path / "joint-off.json"
    monkeypatch.setattr(sys, "argv", ["trained.py", "--runs", str(runs), "--json", str(joint)])
    trained.main()
    assert "mid-spoilt" in capsys.readouterr().out.split("left out:")[1]
    found = json.loads(joint.read_text())
    assert [*found["rows"]] == ["the infrared camera", "**`meet: P3`**"]
    ours, infrared = found["rows"]["**`meet: P3`**"], found["rows"]["the infrared camera"]
    assert ours["as is"]["value"] > infrared["as is"]["value"] > ours["mean of the eight"]["value"] - 1e-9
    assert ours["night"] == pytest.approx(ours["mean of the eight"]["value"])
    gap = found["more"]["P3 minus infrared"]["mean of the eight"]
    assert gap["value"] == pytest.approx(ours["mean of the eight"]["value"]) and gap["interval"][0] > 0
    assert [*json.loads(off.read_text())["rows"]["**`meet: P3`**"]] == ["as is", "visible alone", "shifted by 2 px"]
