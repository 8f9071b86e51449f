"""A long run in a minute: the account adds up and nothing is left open; and a leak would be seen."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest


@pytest.mark.slow
def test_a_run_leaves_nothing_open_and_loses_no_frame(tmp_path, monkeypatch, capsys):
    import soak

    out = tmp_path / "soak.json"
    options = ["--hours", "0.25", "--fps", "1", "--imgsz", "64", "--most", "100000", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["soak.py", *options])
    with pytest.raises(SystemExit) as caught:
        soak.main()
    assert caught.value.code == 0, capsys.readouterr().out
    legs = {leg["name"]: leg for leg in json.loads(out.read_text())}
    assert [leg["pairs"] for leg in legs.values()] == [300, 300, 300]
    for name, leg in legs.items():
        # The pairs alone, (64, 64, 4), would take 3.75 MiB from the 60th sample on, were they kept.
        assert leg["memory"][-1] - leg["memory"][60] < 3, name
        assert len(leg["memory"]) >= 200


def test_growth_is_told_from_noise():
    import soak

    rng = np.random.default_rng(0)
    noise = 900 + np.cumsum(rng.normal(0, 0.01, 200)) + rng.normal(0, 1, 200)
    leak = noise + np.linspace(0, 30, 200)
    flat, wide = soak.growth(list(noise))
    assert abs(flat) < 2 * wide + 3 and wide < 5
    grown, wide = soak.growth(list(leak))
    assert grown - wide > 20 and grown + wide < 40
