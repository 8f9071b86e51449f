"""The loading benchmark on a few pairs."""

from __future__ import annotations

import json
import sys

import pytest
import torch


@pytest.mark.slow
def test_both_loaders_are_timed_on_the_same_images(tmp_path, monkeypatch, capsys):
    import loading

    data = loading.write_pairs(tmp_path / "pairs", 4, scenes=1)
    for cache in ("", "ram"):
        datasets = loading.build(data, 64, cache)
        pair, visible = (datasets[name].get_image_and_label(1)["img"] for name in ("pairs", "visible"))
        assert pair.shape[2] == 4 and (pair[..., 2::-1] == visible).all()
        assert torch.is_tensor(datasets["pairs"][0]["img"])
    out = tmp_path / "l.json"
    options = ["--data", str(data), "--json", str(out), "--imgsz", "64", "--turns", "2", "--items", "4"]
    monkeypatch.setattr(sys, "argv", ["loading.py", *options])
    loading.main()
    rows = json.loads(out.read_text())["rows"]
    assert [label.rpartition(" ")[2] for label in rows] == ["none", "ram"]
    assert all(row["measured"] for row in rows.values())
    assert "ratio" in capsys.readouterr().out
