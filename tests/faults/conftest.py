"""Each fault of a file is planted in a fresh copy of the same small folder, which is the working directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_stock
from tests.faults.catalogue import Fault, check, write_checkpoint, write_world

NOWHERE = "http://127.0.0.1:9"  # discards at once: the network of a machine that has none


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the test of a file once for each fault of its area."""
    if "fault" in metafunc.fixturenames:
        faults = metafunc.module.AREA.faults
        metafunc.parametrize("fault", faults, ids=[fault.title.replace(" ", "_") for fault in faults])


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """The checkpoint of a fused detector and that of a stock one, by the names that commands use."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write_checkpoint(folder / "best.pt")
    write_stock(folder / "stock.pt")
    return {file.name: file for file in folder.glob("*.pt")}


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """The folder that is copied."""
    root = tmp_path_factory.mktemp("world")
    write_world(root)
    return root


@pytest.fixture
def catch(world, checkpoints, tmp_path, monkeypatch) -> Callable[[Fault], None]:
    """Return the function that plants and plays a fault, and checks what comes of it."""
    root = tmp_path / "home"
    shutil.copytree(world, root)
    for name, file in checkpoints.items():
        shutil.copy(file, root / name)
    monkeypatch.chdir(root)
    monkeypatch.delenv("METAFUSION_DEBUG", raising=False)
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", NOWHERE)
    return lambda fault: check(fault, root)
