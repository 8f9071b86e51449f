"""A long run in a minute: the account adds up and nothing is left open; and a leak would be seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY
from tests.processes import run_script

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "stress" / "soak.py"


@pytest.mark.slow
def test_a_run_leaves_nothing_open_and_loses_no_frame(tmp_path):
    out = tmp_path / "soak.json"  # of a process of its own: other tests leave threads that end when they like
    options = ["--hours", "0.25", "--fps", "1", "--imgsz", "64", "--most", "100000", "--json", str(out)]
    options += ["--model", TINY]
    done = run_script(SCRIPT, *options)
    assert done.returncode == 0, done.stdout
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
    assert soak.growth([900.0] * 200) == (0, 0)
    assert np.isnan(soak.growth([900.0, 901.0])).all() and soak.growth([900.0] * 8) == (0, 0)
    flat, wide = soak.growth(list(noise))
    assert abs(flat) < 2 * wide + 3 and wide < 5
    grown, wide = soak.growth(list(leak))
    assert grown - wide > 20 and grown + wide < 40
