"""Damaged files of every kind: no crash, no hang, nothing run, and only the documented errors."""

from __future__ import annotations

from collections import Counter

import pytest

HOSTILE = 73  # the number of a case whose pickle runs a command


@pytest.mark.slow
def test_damaged_files_are_read_or_refused_in_a_line():
    import fuzz

    rows = fuzz.run(first=0, count=150, seconds=600, patience=30)
    assert [row for row in rows if row["outcome"] in fuzz.FAULTS] == []
    kinds = Counter(row["kind"] for row in rows)
    assert len(kinds) >= 18 and min(kinds.values()) >= 2
    outcomes = Counter(row["outcome"] for row in rows)
    assert outcomes["read"] > 10 and outcomes["refused"] > 35  # neither all harmless nor all hopeless


@pytest.mark.slow
def test_the_watch_sees_what_it_is_for(monkeypatch):
    """A hostile checkpoint that is refused above does run where loading is not restricted, and that is noticed."""
    import fuzz

    monkeypatch.setenv("ULTRALYTICS_SAFE_LOAD", "0")
    [row] = fuzz.run(first=HOSTILE, count=1, seconds=600, patience=30)
    assert (row["kind"], row["outcome"]) == ("checkpoint", "ran")
