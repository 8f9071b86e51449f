from __future__ import annotations

from metafusion_yolo import MetaFusionYOLO
from tests.engine.conftest import Run


def rows_of(model) -> dict[str, str]:
    lines = str(model).splitlines()
    assert len(lines) <= 10 and lines[0].startswith("MetaFusionYOLO '")
    return dict(line.split(maxsplit=1) for line in lines[1:])


def test_a_model_prints_in_ten_lines(run: Run) -> None:
    model = MetaFusionYOLO(run.best)
    rows = rows_of(model)
    assert "with cross-attention" in rows["front-end"] and "Detect head, strides 8, 16, 32" in rows["detector"]
    assert rows["parameters"] == f"{sum(p.numel() for p in model.model.parameters()):,}"
    assert rows["classes"] == "2: person, car" and rows["start"].startswith(f"trained on {run.data} from ")


def test_a_new_model_says_that_it_has_learned_nothing(run: Run) -> None:
    assert rows_of(MetaFusionYOLO())["start"] == "random weights"


def test_an_export_says_that_it_is_one(tmp_path) -> None:
    file = tmp_path / "a.onnx"
    file.touch()
    assert "an export" in str(MetaFusionYOLO(file))
