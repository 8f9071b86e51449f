"""Training that is cut off, fills the disk or diverges: what is left is whole, and can be gone on with."""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.train.resumable import FORGOTTEN, TrainingDivergedError, keep_epochs
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.train.universal import UniversalFusionTrainer
from tests.engine.conftest import IMGSZ, TRAIN_ARGS
from tests.engine.train.test_trainer import model_yaml

WAITING = {"batch": 2, "nbs": 6, "close_mosaic": 1}  # four batches an epoch, a step every three: gradients wait
BILEVEL = {"attention": True, "gains": {"meta": 1.0, "look_ahead": 1.0}, "meta": {"interval": 3}}
KINDS = {
    "as shipped": (FusionDetectionTrainer, {}, {**WAITING, "warmup_epochs": 1}),
    "bilevel by SGD": (FusionDetectionTrainer, BILEVEL, {**WAITING, "optimizer": "SGD", "momentum": 0.9}),
    "front-end alone": (UniversalFusionTrainer, {}, {**WAITING, "epochs": 2}),
}


class Killed(BaseException):
    """What no handler of the program expects, as no handler sees a `kill -9`."""


def trainer_of(kind: str, data: Path, folder: Path, **overrides):
    trainer, fusion, args = KINDS[kind]
    folder.mkdir(exist_ok=True)
    files = {"model": str(model_yaml(folder, **fusion)), "data": str(data), "project": str(folder), "name": "t"}
    return trainer(overrides={**TRAIN_ARGS, "epochs": 3, "plots": False, "seed": 1, **args, **files, **overrides})


def resumed(trainer) -> FusionDetectionTrainer:
    again = type(trainer)(overrides={"model": str(trainer.last), "resume": str(trainer.last)})
    again.train()
    return again


def killed_at(trainer, event: str, epoch: int, batch: int = 0):
    def kill(self) -> None:
        self.calls = (getattr(self, "calls", 0) if self.epoch == epoch else 0) + 1
        if self.epoch == epoch and self.calls > batch:
            raise Killed

    if event == "final_eval":
        trainer.final_eval = lambda: kill(trainer)
    else:
        trainer.add_callback(event, kill)
    with pytest.raises(Killed):
        trainer.train()
    return trainer


def state_of(trainer) -> dict[str, torch.Tensor]:
    return {
        **{f"model.{key}": value for key, value in trainer.model.state_dict().items()},
        **{f"ema.{key}": value for key, value in trainer.ema.ema.state_dict().items()},
    }


def different(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> list[str]:
    assert ours.keys() == theirs.keys()
    return [key for key, value in ours.items() if not torch.equal(value, theirs[key])]


def rows_of(trainer) -> list[list[str]]:
    """Return the rows of results.csv without their times."""
    return [[epoch, *rest] for epoch, _, *rest in (row.split(",") for row in trainer.csv.read_text().splitlines())]


@pytest.fixture(scope="module")
def undisturbed(tiny_data, tmp_path_factory) -> Callable[[str], FusionDetectionTrainer]:
    """Return the function that trains a kind to its end, once."""
    done = {}

    def train(kind: str) -> FusionDetectionTrainer:
        if kind not in done:
            done[kind] = trainer_of(kind, tiny_data, tmp_path_factory.mktemp("undisturbed"))
            done[kind].train()
        return done[kind]

    return train


# Cut off, and resumed ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "event", "epoch", "batch"),
    [
        ("as shipped", "on_train_batch_end", 1, 1),
        ("as shipped", "on_train_epoch_end", 2, 0),  # before validation
        pytest.param("bilevel by SGD", "on_model_save", 0, 0, marks=pytest.mark.slow),
        pytest.param("front-end alone", "on_train_batch_end", 1, 2, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_cut_off_ends_like_an_undisturbed_one(
    kind, event, epoch, batch, undisturbed, tiny_data, tmp_path
):
    again = resumed(killed_at(trainer_of(kind, tiny_data, tmp_path), event, epoch, batch))
    assert again.start_epoch > 0
    assert different(state_of(again), state_of(undisturbed(kind))) == []
    assert rows_of(again) == rows_of(undisturbed(kind))
    assert again.last.stat().st_size == pytest.approx(undisturbed(kind).last.stat().st_size, rel=0.01)


def test_the_end_that_is_missing_is_made_up_for(undisturbed, tiny_data, tmp_path):
    cut = killed_at(trainer_of("as shipped", tiny_data, tmp_path, plots=True), "final_eval", 2)
    assert torch.load(cut.best, weights_only=False)["optimizer"] is not None
    again = resumed(cut)
    assert rows_of(again) == rows_of(undisturbed("as shipped"))
    assert {"losses.png", "fusion_weights.jpg", "val.html"} <= {path.name for path in again.save_dir.iterdir()}
    for name in ("last", "best"):
        mine, theirs = (torch.load(getattr(t, name), weights_only=False) for t in (again, undisturbed("as shipped")))
        assert mine["epoch"] == -1 and mine["optimizer"] is None
        assert different(mine["model"].state_dict(), theirs["model"].state_dict()) == []
    with pytest.raises(
        ValueError, match=rf"'{again.last}' does not belong to an interrupted run; give the last\.pt of one"
    ):
        resumed(again)


@pytest.mark.slow
def test_a_run_that_had_stopped_early_stays_stopped(tiny_data, tmp_path):
    cut = trainer_of("as shipped", tiny_data, tmp_path, epochs=9, patience=1, lr0=0.0, warmup_epochs=0)
    cut.add_callback("on_train_start", lambda t: t.stopper.__dict__.update(best_fitness=1.0))  # never reached again
    cut = killed_at(cut, "final_eval", 0)
    again = resumed(cut)
    assert len(rows_of(again)) == 2  # header and the one epoch
    assert torch.load(again.last, weights_only=False)["epoch"] == -1


def test_without_what_the_host_forgets_a_resumed_run_differs(undisturbed, tiny_data, tmp_path):
    cut = killed_at(trainer_of("as shipped", tiny_data, tmp_path), "on_model_save", 0)
    checkpoint = torch.load(cut.last, weights_only=False)
    before = cut.last.stat().st_size
    waiting = sum(gradient.nbytes for gradient in checkpoint["optimizer"].pop(FORGOTTEN)["gradients"].values())
    torch.save(checkpoint, cut.last)
    sizes = (size / 1e6 for size in (before, waiting, cut.last.stat().st_size))
    logging.getLogger(__name__).info("last.pt: %.0f MB, of which waiting gradients %.0f; the host's %.0f MB", *sizes)
    assert different(state_of(resumed(cut)), state_of(undisturbed("as shipped")))


def test_a_checkpoint_of_a_running_training_detects(tiny_data, tmp_path):
    cut = killed_at(trainer_of("as shipped", tiny_data, tmp_path), "on_model_save", 0)
    model = MetaFusionYOLO(cut.best)  # by the allow-list
    assert len(model.predict(tiny_data.parent / "images" / "val", imgsz=IMGSZ, verbose=False)) == 4


def test_rows_of_epochs_that_will_be_done_again_are_dropped(tmp_path):
    file = tmp_path / "results.csv"
    file.write_text("epoch,time,loss\n1,2,3\n2,2,3\n3,2,3\n4,2")
    keep_epochs(file, 2)
    assert file.read_text() == "epoch,time,loss\n1,2,3\n2,2,3\n"
    keep_epochs(file, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
    file.write_text("epo")
    keep_epochs(file, 2)
    assert not file.exists()
    keep_epochs(file, 2)


# Repeatable ----------------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_training(undisturbed, tiny_data, tmp_path):
    again = trainer_of("as shipped", tiny_data, tmp_path / "again")
    again.train()
    other = trainer_of("as shipped", tiny_data, tmp_path / "other", seed=2)
    other.train()
    assert different(state_of(again), state_of(undisturbed("as shipped"))) == []
    assert rows_of(again) == rows_of(undisturbed("as shipped")) != rows_of(other)


# Disk full -----------------------------------------------------------------------------------------------------------
def test_a_full_disk_leaves_the_last_good_checkpoint(undisturbed, tiny_data, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    trainer = trainer_of("as shipped", tiny_data, tmp_path)

    def fill(trainer) -> None:
        if trainer.epoch == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (trainer.last.stat().st_size // 2, hard))

    trainer.add_callback("on_train_epoch_start", fill)
    try:
        with pytest.raises(OSError, match=rf"cannot write '{trainer.last}': File too large"):
            trainer.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in trainer.wdir.iterdir()) == ["best.pt", "last.pt"]
    assert MetaFusionYOLO(trainer.last).ckpt["epoch"] == 0
    assert different(state_of(resumed(trainer)), state_of(undisturbed("as shipped"))) == []


# Numbers that are none -----------------------------------------------------------------------------------------------
def test_a_loss_beyond_all_numbers_stops_with_the_reason(tiny_data, tmp_path):
    trainer = trainer_of("as shipped", tiny_data, tmp_path, box=1e39, nbs=2)
    message = r"training diverged in epoch 1: NaN or infinite weights; lower lr0 \(0\.001\) or check images and labels"
    with pytest.raises(TrainingDivergedError, match=message):
        trainer.train()
    assert list(trainer.wdir.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 9])
def test_a_loss_that_is_none_is_recovered_from_or_told(times, tiny_data, tmp_path):
    trainer = trainer_of("as shipped", tiny_data, tmp_path, nbs=2)
    planted = []

    def plant(trainer) -> None:
        if trainer.epoch == 1 and len(planted) < times:
            planted.append(trainer.epoch)
            with torch.no_grad():
                next(trainer.model.parameters()).fill_(torch.nan)

    trainer.add_callback("on_train_epoch_start", plant)
    if times == 1:
        trainer.train()
        assert rows_of(trainer)[-1][0] == "3"
    else:
        with pytest.raises(TrainingDivergedError, match="diverged in epoch 2: NaN or infinite loss; lower lr0"):
            trainer.train()
    weights = torch.load(trainer.last, weights_only=False)
    weights = (weights["model"] or weights["ema"]).state_dict()
    assert all(value.isfinite().all() for value in weights.values())


# Wrong resumptions ---------------------------------------------------------------------------------------------------
def test_what_cannot_be_resumed_is_named(undisturbed):
    best = str(undisturbed("as shipped").best)
    for resume in (True, best):
        with pytest.raises(
            ValueError, match=r"'.*best\.pt' does not belong to an interrupted run; give the last\.pt of one"
        ):
            MetaFusionYOLO(best).train(resume=resume)
    with pytest.raises(ValueError, match=r"'metafusion-yolov8n\.yaml' does not belong to an interrupted run"):
        MetaFusionYOLO("metafusion-yolov8n.yaml").train(resume=True)


def test_a_data_set_that_has_moved_is_asked_for(tiny_data, tmp_path, caplog):
    cut = killed_at(trainer_of("as shipped", tiny_data, tmp_path), "on_model_save", 1)
    checkpoint = torch.load(cut.last, weights_only=False)
    checkpoint["ema"].args.data = checkpoint["train_args"]["data"] = str(tmp_path / "gone.yaml")
    torch.save(checkpoint, cut.last)
    with pytest.raises(FileNotFoundError, match=r"gone\.yaml': .*; if the data set has moved, give data="):
        resumed(cut)
    MetaFusionYOLO(cut.last).train(resume=True, data=str(tiny_data), epochs=7)
    assert "Resume ignores ['epochs']" in caplog.text and rows_of(cut)[-1][0] == "3"
