"""The account of two live cameras, of which one is killed twice."""

from __future__ import annotations

import json
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["visible", "infrared"])
def test_every_frame_is_accounted_for(tmp_path, monkeypatch, capsys, killed):
    import streams

    out = tmp_path / "streams.json"
    options = ["--seconds", "6", "--imgsz", "64", "--kill", killed, "--rates", "20", "10", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["streams.py", *options])
    with pytest.raises(SystemExit) as caught:
        streams.main()
    assert caught.value.code == 0, capsys.readouterr().out
    content = json.loads(out.read_text())
    rows = content["rows"]
    assert rows[killed]["lost"] == rows[killed]["reconnects"] == 2
    other = {"visible": "infrared", "infrared": "visible"}[killed]
    assert content["order"] == ["both", other, "both", other, "both"]
