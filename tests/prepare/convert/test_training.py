"""What a converter writes can be trained with and validated through the normal commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.convert import convert
from tests.conftest import TINY
from tests.prepare.convert.miniatures import MINIATURES

RUN = {"batch": 2, "imgsz": 64, "plots": False, "workers": 0, "verbose": False}


def converted(name: str, folder: Path) -> str:
    """Convert a miniature, and return the YAML of what comes of it."""
    MINIATURES[name].write(folder / "src")
    return str(convert(name, folder / "src", folder / "dst").yaml)


@pytest.mark.parametrize("name", MINIATURES)
def test_each_split_of_a_converted_data_set_is_read(tmp_path, name) -> None:
    data, model = converted(name, tmp_path), MetaFusionYOLO(TINY)
    images = {}
    for split in ("train", "val"):
        metrics = model.val(data=data, split=split, metrics="EN", project=str(tmp_path / "runs"), **RUN)
        assert 0 <= metrics.box.map50 <= 1
        images[split] = metrics.report.rows[0].images
    assert images["train"] == sum(key.startswith("train") for key in MINIATURES[name].labels)
    assert images["val"] > 0


def test_a_converted_data_set_trains(tmp_path) -> None:
    """Any one does: training reads the YAML as validation does."""
    model = MetaFusionYOLO(TINY)
    data = converted("kaist", tmp_path)
    model.train(data=data, epochs=1, pretrained=False, project=str(tmp_path / "runs"), **RUN)
    assert model.trainer.best.is_file()
