"""The benchmarks are scripts beside one another: their folder comes first on the path, as when one is run."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def beside_the_benchmarks(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
