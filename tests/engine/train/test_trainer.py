from __future__ import annotations

import csv
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.config import FusionConfig
from metafusion_yolo.data.rig import INPUT_KEY, Rig
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.conftest import TINY, write_stock
from tests.engine.conftest import TRAIN_ARGS

RATES = {
    "warmup": {"fusion": 1.0, "backbone": 0.0, "head": 0.5},
    "joint": {"fusion": 0.1, "backbone": 0.01, "head": 2.0},
    "finetune": {"fusion": 0.0, "backbone": 0.2, "head": 0.0},
}
PHASES = {
    name: {"fraction": fraction, "lr": lr, "joint": name != "warmup"}
    for (name, lr), fraction in zip(RATES.items(), (0.3, 0.3, 0.4), strict=True)
}
SEPARATE = {
    "warmup": {"fraction": 0.5, "lr": {"fusion": 1.0, "backbone": 0.0, "head": 0.0}, "joint": False},
    "joint": {"fraction": 0.5, "lr": {"fusion": 0.0, "backbone": 1.0, "head": 1.0}, "joint": False},
    "finetune": {"fraction": 0.0},
}
TOGETHER = {
    "warmup": {"fraction": 0.0},
    "joint": {"fraction": 1.0, "lr": {"fusion": 1.0, "backbone": 1.0, "head": 1.0}, "joint": True},
    "finetune": {"fraction": 0.0},
}


MODEL = yaml.safe_load(Path(TINY).read_text())


def part_of(name: str, depth: int = len(MODEL["backbone"])) -> str:
    if name.startswith(("fusion.", "teacher.")):
        return "fusion"
    return "backbone" if int(name.split(".")[1]) < depth else "head"


def changed_parts(before: dict, after: dict) -> set[str]:
    return {part_of(name) for name, value in before.items() if not torch.equal(value, after[name])}


class Recorder:
    """Remembers of every epoch its phase, the parts that changed, the learning rates at its end, and the best score."""

    def __init__(self, trainer: FusionDetectionTrainer):
        self.phases, self.changed, self.rates, self.best = {}, {}, {}, {}
        trainer.add_callback("on_train_epoch_start", self.start)
        trainer.add_callback("on_train_epoch_end", self.end)
        trainer.add_callback("on_model_save", self.save)

    def start(self, trainer):
        self._before = deepcopy(trainer.model.state_dict())

    def end(self, trainer):
        self.phases[trainer.epoch] = trainer._phase.name
        self.changed[trainer.epoch] = changed_parts(self._before, trainer.model.state_dict())
        groups = trainer.optimizer.param_groups
        self.rates[trainer.epoch] = {(g["part"], g["param_group"]): g["lr"] for g in groups}

    def save(self, trainer):
        self.best[trainer.epoch] = (trainer.best_fitness, trainer.best.exists())


def model_yaml(folder: Path, **fusion) -> Path:
    """Write a small model that is taught, with changes to the `fusion:` section."""
    path = folder / "metafusion-yolov8n.yaml"
    section = {"method": "learned", "attention": True, "gains": {"meta": 1.0}, "schedule": TOGETHER, **fusion}
    path.write_text(yaml.safe_dump({**MODEL, "fusion": {**MODEL["fusion"], **section}}))
    return path


def trainer_for(data, folder, epochs, fusion=None, **overrides) -> FusionDetectionTrainer:
    model = model_yaml(folder, **(fusion or {}))
    args = {"model": str(model), "data": str(data), "epochs": epochs, "project": str(folder), "name": "t"}
    return FusionDetectionTrainer(overrides={**TRAIN_ARGS, "plots": False, **args, **overrides})


def expected_rates(epoch: int, epochs: int = 3) -> dict[str, float]:
    """Return the learning rate of each part: the host's, which falls along a line to 1 %, times that of the phase."""
    host = TRAIN_ARGS["lr0"] * ((1 - epoch / epochs) * (1 - 0.01) + 0.01)
    return {part: host * rate for part, rate in list(RATES.values())[epoch].items()}


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


# Learning rates ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["SGD", "AdamW", "MuSGD"])
def test_parameters_are_grouped_by_part(name, tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1)
    model = FusionDetectionModel(trainer.args.model, nc=2, verbose=False)
    optimizer = trainer.build_optimizer(model, name=name, lr=0.01, momentum=0.9, decay=0.1)
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(names)  # complete and disjoint
    for group in optimizer.param_groups:
        assert {part_of(names[id(parameter)]) for parameter in group["params"]} == {group["part"]}
        assert group["host_lr"] == group["lr"]
    assert {group["part"] for group in optimizer.param_groups} == {"fusion", "backbone", "head"}


@pytest.mark.parametrize("name", ["SGD", "AdamW", "MuSGD"])
def test_groups_keep_what_the_host_says_of_a_parameter(name, tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1)
    model = FusionDetectionModel(trainer.args.model, nc=2, verbose=False)
    options = []
    for build in (trainer.build_optimizer, super(FusionDetectionTrainer, trainer).build_optimizer):
        groups = build(model, name=name, lr=0.01, momentum=0.9, decay=0.1).param_groups
        ours = {"params", "part", "host_lr"}
        options.append({id(p): {k: v for k, v in g.items() if k not in ours} for g in groups for p in g["params"]})
    assert options[0] == options[1]


@pytest.mark.parametrize(("steps", "nbs", "told"), [(12, 64, True), (12, 4, False), (400, 64, False)])
def test_a_training_of_a_few_steps_says_so(steps, nbs, told, tiny_data, tmp_path, caplog):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, nbs=nbs, batch=4)
    trainer.build_optimizer(FusionDetectionModel(trainer.args.model, nc=2, verbose=False), iterations=steps)
    assert ("About 12 steps of the optimizer in all, each over 64 pairs" in caplog.text) == told


def test_pairs_are_spoilt_in_training_and_their_sources_kept(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, fusion={"augment": {"degradation": 1.0}})
    trainer.model = FusionDetectionModel(trainer.args.model, nc=2, verbose=False)
    pair = torch.randint(0, 256, (4, 4, 64, 64), dtype=torch.uint8)
    batch = trainer.preprocess_batch({"img": pair})
    blind = batch["hidden"] > 0
    assert blind.amax((1, 2, 3)).all()
    assert not torch.equal(batch["img"], pair / 255)
    assert torch.equal(batch["sources"].movedim(1, 3)[~blind.any(1)], (pair / 255).movedim(1, 3)[~blind.any(1)])
    trainer.model.config = FusionConfig.from_dict({"augment": {"degradation": 0}})
    assert torch.equal(trainer.preprocess_batch({"img": pair})["img"], pair / 255)


def test_fixed_rules_leave_the_detector_to_be_grouped(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, fusion={"method": "average"})
    model = FusionDetectionModel(trainer.args.model, nc=2, verbose=False)
    optimizer = trainer.build_optimizer(model, name="AdamW")
    assert {group["part"] for group in optimizer.param_groups} == {"backbone", "head"}


@pytest.fixture(scope="module")
def phased(tiny_data, tmp_path_factory) -> Recorder:
    """What happened in three epochs, each a phase."""
    trainer = trainer_for(tiny_data, tmp_path_factory.mktemp("phased"), epochs=3, fusion={"schedule": PHASES})
    recorder = Recorder(trainer)
    trainer.train()
    return recorder


def test_phases_train_exactly_their_parts(phased):
    assert list(phased.phases.values()) == list(RATES)
    for epoch, phase in phased.phases.items():
        assert phased.changed[epoch] == {part for part, rate in RATES[phase].items() if rate > 0}, phase


def test_rates_of_the_phase_reach_the_optimizer(phased):
    for epoch, rates in phased.rates.items():
        assert {part for part, _ in rates} == {"fusion", "backbone", "head"}
        for (part, group), rate in rates.items():
            assert rate == pytest.approx(expected_rates(epoch)[part]), (epoch, part, group)


def test_rates_of_the_phase_are_those_at_the_end_of_the_hosts_warm_up(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=3, fusion={"schedule": PHASES}, warmup_epochs=1)
    recorder = Recorder(trainer)
    trainer.add_callback("on_train_epoch_end", lambda t: setattr(t, "stop", t.epoch == 1))
    trainer.train()
    assert recorder.changed[0] == {"fusion", "head"}
    for (part, _), rate in recorder.rates[1].items():
        assert rate == pytest.approx(expected_rates(1)[part])


def test_resume_continues_in_the_right_phase_at_its_rates(tiny_data, tmp_path):
    stopped = trainer_for(tiny_data, tmp_path, epochs=3, fusion={"schedule": PHASES})
    stopped.add_callback("on_train_epoch_end", lambda t: setattr(t, "stop", t.epoch == 0))
    stopped.final_eval = lambda: None  # a run that was cut off does not strip its last.pt
    stopped.train()

    resumed = FusionDetectionTrainer(overrides={"model": str(stopped.last), "resume": str(stopped.last)})
    recorder = Recorder(resumed)
    resumed.train()
    assert recorder.phases == {1: "joint", 2: "finetune"}
    assert recorder.changed == {1: {"fusion", "backbone", "head"}, 2: {"backbone"}}
    for epoch, rates in recorder.rates.items():
        for (part, _), rate in rates.items():
            assert rate == pytest.approx(expected_rates(epoch)[part])


def test_frozen_layers_of_the_host_stay_frozen(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, freeze=[0, 1])
    before = {}
    trainer.add_callback("on_train_start", lambda t: before.update(deepcopy(t.model.state_dict())))
    trainer.train()
    after = trainer.model.state_dict()
    for name, value in before.items():
        if name.startswith(("model.0.", "model.1.")):
            assert torch.equal(value, after[name]), name
    assert not torch.equal(before["model.2.conv.weight"], after["model.2.conv.weight"])


def test_a_phase_without_anything_to_learn_is_refused(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=2, fusion={"method": "average", "schedule": SEPARATE})
    with pytest.raises(ValueError, match="nothing learns in phase 'warmup'; give it a fraction of 0"):
        trainer.train()


# The best checkpoint -------------------------------------------------------------------------------------------------
def test_best_is_picked_once_the_detector_trains(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=2, fusion={"schedule": SEPARATE})
    recorder = Recorder(trainer)
    trainer.train()
    assert recorder.changed == {0: {"fusion"}, 1: {"backbone", "head"}}
    assert not trainer.model.joint
    assert recorder.best[0] == (None, False)
    assert recorder.best[1][0] is not None and recorder.best[1][1]


def test_best_outlives_a_phase_with_a_frozen_head(phased):
    scores = [score for score, _ in phased.best.values()]
    assert None not in scores
    assert scores == sorted(scores)


# Teaching ------------------------------------------------------------------------------------------------------------
def test_looking_ahead_trains_and_logs_what_is_taught(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, fusion={"meta": {"interval": 1}})
    before, terms = {}, []
    trainer.add_callback("on_train_start", lambda t: before.update(deepcopy(t.model.state_dict())))
    trainer.add_callback("on_train_start", lambda t: count_terms(t.model, terms))
    trainer.train()
    assert terms == [7, 7]  # two batches of four pairs: the last term is the look-ahead
    after = trainer.model.state_dict()
    assert all(
        not torch.equal(value, after[name])
        for name, value in before.items()
        if name.startswith(("teacher.", "fusion.meta."))
    )
    [row] = results(trainer.save_dir)
    assert all(float(row[f"{split}/meta_loss"]) > 0 for split in ("train", "val"))
    assert not any("ahead" in column for column in row)


def count_terms(model: FusionDetectionModel, terms: list[int]) -> None:
    """Note how many terms the loss of each training batch has."""

    def note(module, args, output):
        if module.training and isinstance(args[0], dict) and args[0]["img"].shape[1] == 4:  # not the look-ahead's
            terms.append(len(output[0]))

    model.register_forward_hook(note)


def test_one_fused_detector_can_be_distilled_into_another(run, tiny_data, tmp_path):
    """By the host's `distill_model`, which wraps the student."""
    trainer = trainer_for(tiny_data, tmp_path, epochs=3, fusion={"schedule": PHASES}, distill_model=str(run.best))
    seen = []
    trainer.add_callback("on_train_epoch_end", lambda t: seen.append((t._phase.name, t.model.student_model.joint)))
    trainer.train()
    assert seen == [("warmup", False), ("joint", True), ("finetune", True)]
    assert {group["part"] for group in trainer.optimizer.param_groups} == {"fusion", "backbone", "head"}
    assert all(float(row["train/dis_loss"]) > 0 for row in results(trainer.save_dir))
    student = MetaFusionYOLO(trainer.last).model
    assert isinstance(student, FusionDetectionModel)
    assert student.state_dict().keys() == trainer.model.student_model.state_dict().keys()


def test_a_stock_detector_is_no_teacher(tiny_data, tmp_path):
    stock = write_stock(tmp_path / "stock.pt")
    with pytest.raises(ValueError, match=r"stock\.pt' reads images of 3 channels, not pairs; give"):
        trainer_for(tiny_data, tmp_path, epochs=1, distill_model=str(stock)).train()


def test_detectors_train_on_a_fixed_rule(tiny_data, tmp_path):
    trainer = trainer_for(tiny_data, tmp_path, epochs=1, fusion={"method": "false-colour"})
    recorder = Recorder(trainer)
    trainer.train()
    assert recorder.changed == {0: {"backbone", "head"}}
    assert "train/meta_loss" not in results(trainer.save_dir)[0]
    assert trainer.validator._shown({"img": torch.rand(1, 4, 64, 64)})["img"].shape == (1, 3, 64, 64)  # for its plots


# What is left behind -------------------------------------------------------------------------------------------------
def test_loss_terms_are_logged_by_name(run):
    rows = results(run.folder)
    assert len(rows) == 5
    taught = ["meta_loss"] if run.trainer.model.teacher else []
    for split in ("train", "val"):
        for term in ("ssim_loss", "grad_loss", "int_loss", *taught, "box_loss", "cls_loss", "dfl_loss"):
            values = [float(row[f"{split}/{term}"]) for row in rows]
            assert all(value > 0 for value in values), term


def test_checkpoint_remembers_its_input(run):
    model = MetaFusionYOLO(run.best)
    assert model.model.yaml[INPUT_KEY] == {
        "channels": 4,
        "order": "R,G,B,IR",
        "layout": "BCHW",
        "range": [0, 1],
        **Rig().to_yaml(),
    }
    assert model.names == {0: "person", 1: "car"}
