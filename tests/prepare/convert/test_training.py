"""What a converter writes can be trained with and validated through the normal commands."""

from __future__ import annotations

import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.convert import convert
from tests.conftest import TINY
from tests.prepare.convert.miniatures import MINIATURES


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIATURES)
def test_a_converted_data_set_trains_and_validates(tmp_path, name) -> None:
    MINIATURES[name].write(tmp_path / "src")
    data = str(convert(name, tmp_path / "src", tmp_path / "dst").yaml)
    run = {"project": str(tmp_path / "runs"), "batch": 2, "imgsz": 64, "plots": False, "workers": 0, "verbose": False}
    model = MetaFusionYOLO(TINY)
    model.train(data=data, epochs=1, pretrained=False, **run)
    assert model.trainer.best.is_file()
    assert len(model.trainer.train_loader.dataset) == len(
        [key for key in MINIATURES[name].labels if key.startswith("train")]
    )
    metrics = MetaFusionYOLO(str(model.trainer.best)).val(data=data, **run)
    assert 0 <= metrics.box.map50 <= 1
