"""A handful of random kills, and the comparison that counts them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY
from tests.processes import run_script

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "stress" / "kills.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="trainings are copies of a process")
def test_killed_trainings_end_like_an_undisturbed_one(tmp_path):
    out = tmp_path / "kills.json"
    for kills in (1, 2):  # the second time, the trainings of the first are kept
        run = run_script(SCRIPT, "--model", TINY, "--kills", kills, "--json", out)
        assert run.returncode == 0, run.stderr[-2000:]
        trainings = json.loads(out.read_text())
        assert sum(len(training["kills"]) for training in trainings) >= kills
        assert [training["differs"] for training in trainings] == [[]] * len(trainings)
    assert f"| {len(trainings)} | {len(trainings)} |" in run.stdout.splitlines()[-1]


def test_a_fingerprint_changes_with_every_bit():
    import kills

    state = {"a": [torch.zeros(3), (torch.ones(2, dtype=torch.int64),)], "b": 3}
    before = kills.fingerprint(state)
    assert kills.fingerprint({"a": [torch.zeros(3), (torch.ones(2, dtype=torch.int64),)], "b": 3}) == before
    state["a"][0][1] = 1e-45
    assert kills.fingerprint(state) != before
