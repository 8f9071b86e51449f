"""Cameras that meet at a level of the backbone, from training to exports."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.nn.meeting import layer_name
from metafusion_yolo.runtime import Detector, read_counts, read_visible
from tests.conftest import TINY
from tests.engine.conftest import IMGSZ, TRAIN_ARGS

LOW = {"conf": 0.0005, "imgsz": IMGSZ, "verbose": False, "rect": False}  # three epochs do not make confident boxes


class Recorder:
    """Remembers which layers changed in an epoch, as (stem, layer)."""

    def start(self, trainer) -> None:
        self.before = deepcopy(trainer.model.state_dict())

    def end(self, trainer) -> None:
        after = trainer.model.state_dict()
        names = [name for name, value in self.before.items() if not torch.equal(value, after[name])]
        self.changed = {
            (name.split(".")[2], layer_name(name).split(".")[1]) for name in names if name.startswith("model.0.")
        }


@pytest.fixture(scope="module")
def met(tiny_data, tmp_path_factory):
    """A small detector whose cameras meet at P4, trained with one layer frozen, and what changed in it."""
    folder = tmp_path_factory.mktemp("met")
    content = yaml.safe_load(Path(TINY).read_text())
    file = folder / "metafusion-yolov8n.yaml"
    file.write_text(yaml.safe_dump({**content, "fusion": {**content["fusion"], "meet": "P4"}}))
    args = {"model": str(file), "data": str(tiny_data), "epochs": 3, "project": str(folder), "name": "t", "freeze": [1]}
    trainer, recorder = FusionDetectionTrainer(overrides={**TRAIN_ARGS, "plots": False, **args}), Recorder()
    trainer.add_callback("on_train_epoch_start", recorder.start)
    trainer.add_callback("on_train_epoch_end", recorder.end)
    trainer.train()
    return MetaFusionYOLO(folder / "t" / "weights" / "last.pt"), recorder.changed


def test_all_layers_learn_but_those_frozen_in_both_stems(met) -> None:
    model, changed = met
    assert model.model.config.meet == "P4"
    assert {(stem, layer) for stem, layer in changed if stem != "joins"} == {
        (stem, layer) for stem in ("visible", "infrared") for layer in "023"
    }
    assert any(stem == "joins" for stem, _ in changed)
    assert ", infrared stem up to P4, " in str(model)


def test_a_camera_that_is_off_has_no_part(met, run) -> None:
    model, _ = met
    pair = torch.rand(1, 4, 64, 64)
    pair[:, 3] = 0
    other = deepcopy(model.model).eval()
    with torch.no_grad():
        for parameter in other.model[0].infrared.parameters():
            parameter.add_(1)
        assert torch.equal(model.model.eval()(pair)[0], other(pair)[0])
    for modalities in ("visible", "infrared"):
        assert model.val(data=str(run.data), modalities=modalities, metrics="none", plots=False, **LOW).box.map50 >= 0


@pytest.mark.parametrize(
    "form",
    [{"format": "onnx", "fused": True, "fusion_weights": True}, {"format": "torchscript", "inputs": "two"}],
    ids=["onnx", "torchscript"],
)
def test_exports_find_the_same(met, run, form, tmp_path) -> None:
    source = run.source
    copy = MetaFusionYOLO(shutil.copy(met[0].ckpt_path, tmp_path))
    expected = copy.predict(source, **LOW)
    file = copy.export(imgsz=IMGSZ, verbose=False, **form)
    for own, other in zip(expected, MetaFusionYOLO(file).predict(source, **LOW), strict=True):
        assert len(own) == len(other) > 0
        assert (own.boxes.conf - other.boxes.conf).abs().max() < 1e-3
    if form["format"] == "onnx":
        visible = Path(expected[0].path)
        infrared = run.data.parent / "infrared" / "val" / visible.name
        found = Detector(file, conf=LOW["conf"])(read_visible(visible), read_counts(infrared), visible)
        assert np.abs(found.scores - expected[0].boxes.conf.numpy()).max() < 1e-3
