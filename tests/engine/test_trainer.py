from __future__ import annotations

import csv
from copy import deepcopy

import cv2
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.schedule import FINETUNE, JOINT, WARMUP
from metafusion_yolo.engine._host import INPUT_KEY
from metafusion_yolo.engine.trainer import FusionDetectionTrainer

from .conftest import TRAIN_ARGS

PARTS_OF = {WARMUP.name: {"fusion"}, JOINT.name: {"fusion", "backbone", "head"}, FINETUNE.name: {"head"}}


def part_of(name: str, depth: int = 10) -> str:
    if name.startswith("fusion."):
        return "fusion"
    return "backbone" if int(name.split(".")[1]) < depth else "head"


def changed_parts(before: dict, after: dict) -> set[str]:
    return {part_of(name) for name, value in before.items() if not torch.equal(value, after[name])}


class Recorder:
    """Remembers the state of the model before and after every epoch."""

    def __init__(self):
        self.epochs = []

    def start(self, trainer):
        self._before = deepcopy(trainer.model.state_dict())

    def end(self, trainer):
        self.epochs.append((trainer._phase.name, changed_parts(self._before, trainer.model.state_dict())))


def trainer_for(data, folder, epochs, **overrides) -> FusionDetectionTrainer:
    args = {"model": "metafusion-yolov8n.yaml", "data": str(data), "epochs": epochs, "project": str(folder)}
    return FusionDetectionTrainer(overrides={**TRAIN_ARGS, "plots": False, **args, "name": "t", **overrides})


def test_phases_train_exactly_their_parts(tiny_data, tmp_path):
    recorder = Recorder()
    trainer = trainer_for(tiny_data, tmp_path, epochs=5)
    trainer.add_callback("on_train_epoch_start", recorder.start)
    trainer.add_callback("on_train_epoch_end", recorder.end)
    trainer.train()
    assert [phase for phase, _ in recorder.epochs] == ["warmup", "joint", "joint", "finetune", "finetune"]
    for phase, changed in recorder.epochs:
        assert changed == PARTS_OF[phase], phase


def test_frozen_layers_of_the_host_stay_frozen(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, freeze=[0, 1])
    before = {}
    trainer.add_callback("on_train_start", lambda t: before.update(deepcopy(t.model.state_dict())))
    trainer.train()
    after = trainer.model.state_dict()
    for name, value in before.items():
        if name.startswith(("model.0.", "model.1.")):
            assert torch.equal(value, after[name]), name
    assert not torch.equal(before["model.2.cv1.conv.weight"], after["model.2.cv1.conv.weight"])


def test_best_is_not_picked_in_the_warmup(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=5)
    seen = {}
    trainer.add_callback("on_model_save", lambda t: seen.update({t.epoch: (t.best.exists(), t.best_fitness)}))
    trainer.train()
    assert seen[0] == (False, None)
    assert seen[1][0] and seen[1][1] is not None


def test_resume_continues_in_the_right_phase(tiny_data, tmp_path):
    stopped = trainer_for(tiny_data, tmp_path, epochs=5)
    stopped.add_callback("on_train_epoch_end", lambda t: setattr(t, "stop", t.epoch == 2))
    stopped.final_eval = lambda: None  # a run that was cut off does not strip its last.pt
    stopped.train()

    phases = []
    resumed = FusionDetectionTrainer(overrides={"model": str(stopped.last), "resume": str(stopped.last)})
    resumed.add_callback("on_train_epoch_start", lambda t: phases.append(t.epoch))
    resumed.add_callback("on_train_epoch_end", lambda t: phases.append(t._phase.name))
    resumed.train()
    assert phases == [3, "finetune", 4, "finetune"]


def test_loss_terms_are_logged_by_name(run):
    with (run.folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for split in ("train", "val"):
        for term in ("ssim_loss", "grad_loss", "int_loss", "box_loss", "cls_loss", "dfl_loss"):
            values = [float(row[f"{split}/{term}"]) for row in rows]
            assert all(value > 0 for value in values), term
    assert (run.folder / "results.png").stat().st_size > 0


def test_training_plot_shows_both_sources_and_the_fused_image(run):
    mosaic = cv2.imread(str(run.folder / "train_batch0.jpg"))
    height, width = mosaic.shape[:2]
    assert width == 3 * height  # a square grid of samples, three views each


def test_checkpoint_remembers_its_input(run):
    model = MetaFusionYOLO(run.best)
    assert model.model.yaml[INPUT_KEY] == {
        "channels": 4,
        "order": "R,G,B,IR",
        "range": [0, 1],
        "infrared": "infrared",
    }
    assert model.names == {0: "person", 1: "car"}
