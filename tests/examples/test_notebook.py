"""The notebook of `examples/` runs from its first cell to its last, and what it shows was made by these cells."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "two-cameras.ipynb"
LARGEST = 1_000_000  # bytes, with its pictures


def kinds(cell) -> set[str]:
    return {kind for output in cell.get("outputs", []) for kind in output.get("data", {})}


def test_it_is_stored_with_its_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert {"text/html", "image/png", "image/jpeg"} <= set.union(*map(kinds, code))
    assert NOTEBOOK.stat().st_size < LARGEST
    assert "/root" not in NOTEBOOK.read_text() and "/tmp" not in NOTEBOOK.read_text()


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch) -> None:
    pytest.importorskip("supervision")
    monkeypatch.setenv("EPOCHS", "1")
    monkeypatch.setenv("PRETRAINED", "")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("train=64, val=8, imgsz=160", "train=8, val=2, imgsz=64")
        cell.source = cell.source.replace("imgsz=160, batch=16", "imgsz=64, batch=8")
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    result = next(cell for cell in code if cell.source.endswith("\nresults[0]"))
    assert {"text/html", "image/png"} <= kinds(result)
    shown = next(cell for cell in code if ".show(" in cell.source)
    assert kinds(shown) == {"image/png", "text/plain"}  # inline, without a window
