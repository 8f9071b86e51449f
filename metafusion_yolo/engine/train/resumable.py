"""Training that survives interruptions: atomic checkpoints, and resumed runs that end like uninterrupted ones."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.cfg import get_cfg, get_save_dir
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import LOCAL_RANK, LOGGER, RANK
from ultralytics.utils.files import file_size
from ultralytics.utils.torch_utils import strip_optimizer, torch_distributed_zero_first, unwrap_model

from metafusion_yolo.engine._host import gather_list
from metafusion_yolo.engine.checkpoints import check_unfinished
from metafusion_yolo.engine.train.distributed import HANDOVER, DistributedTrainer
from metafusion_yolo.support.errors import MissingFileError, UserError
from metafusion_yolo.support.files import WholeFile, replacing
from metafusion_yolo.support.logs import silent

FORGOTTEN = "forgotten"  # entry of the optimizer's state in a checkpoint, stripped with it after training
TEACHER = "teacher_model."  # weights of a distillation's teacher, which has its own file


class TrainingDivergedError(UserError, ValueError):
    """A training whose weights have become NaN or infinite."""


class AllEpochsDone(Exception):  # noqa: N818  # not an error
    """A run was interrupted after its last epoch: only its final steps are missing."""


class ResumableTrainer(DistributedTrainer, DetectionTrainer):
    """The host's trainer, whose runs can be killed at any moment and resumed as if they had not been.

    Randomness in an epoch depends on seed and epoch only. The optimizer's state also stores what the next epoch needs
    and the host's checkpoint lacks: the trained weights (the host keeps their average, in half precision), the average
    and the momenta in full precision, gradients waiting for the next step, and the images that mosaic may use. On a
    CPU, if this process reads the images, the resulting weights are identical bit for bit.
    """

    nan_recovery_attempts = 0
    wdir: Path

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._accumulate = 1
        self._steps_behind = 0  # see `accumulate`
        self._since_step = 0  # batches whose gradients wait for the next step
        self._waiting: dict[str, torch.Tensor] | None = None  # waiting gradients from before a resumption
        self._mosaics: list[list[int]] = []  # images that mosaic may use, by rank
        try:
            super().__init__(*args, **kwargs)
        except FileNotFoundError as error:
            if not getattr(self, "resume", False):
                raise
            raise MissingFileError(f"{error}; if the data set has moved, give data=") from error
        self.wdir = WholeFile(self.wdir)
        self.last, self.best = self.wdir / "last.pt", self.wdir / "best.pt"

    def train(self) -> None:
        """Train; if something stops it early, log how to resume.

        Raises:
            TrainingDivergedError: If the weights become NaN or infinite and no earlier checkpoint helps.
        """
        try:
            super().train()
        except TrainingDivergedError:
            raise  # it would diverge again
        except BaseException:
            if RANK in {-1, 0} and HANDOVER not in os.environ and self._can_go_on():
                LOGGER.warning(f"training stopped; to continue: metafusion train resume=True model={self.last}")
            raise

    def _can_go_on(self) -> bool:
        """Return whether this training has a checkpoint of its own, not of an earlier run in the folder."""
        began = getattr(self, "train_time_start", None)  # in this process
        return began is not None and self.last.exists() and (self.resume or self.last.stat().st_mtime >= began)

    # Epochs that repeat ----------------------------------------------------------------------------------------------
    def _model_train(self) -> None:
        """Seed an epoch by its number, and restore waiting gradients."""
        super()._model_train()
        attempt = self.nan_recovery_attempts  # draws differently from the attempt that failed
        seed = int(np.random.SeedSequence((self.args.seed, self.epoch, attempt, RANK + 1)).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self.train_loader.sampler.generator = torch.Generator().manual_seed(seed)  # read when the epoch is drawn
        if self._waiting is not None:
            parameters = dict(unwrap_model(self.model).named_parameters())
            for name, gradient in self._waiting.items():
                parameters[name].grad = gradient.to(parameters[name])
            self._steps_behind = len(self.train_loader) * self.epoch - self._since_step
            self._waiting = None

    @property
    def accumulate(self) -> int:
        """Batches between two optimizer steps; until the first step after a resumption, counted from batch 0.

        The host restarts its count on resumption, and would take that step too early.
        """
        return self._accumulate + self._steps_behind

    @accumulate.setter
    def accumulate(self, value: int) -> None:
        self._accumulate = value

    def _build_train_pipeline(self) -> None:
        """Reset the waiting gradients, as the host does when it restarts an epoch with smaller batches."""
        self._steps_behind = self._since_step = 0
        super()._build_train_pipeline()

    def optimizer_step(self) -> None:
        """Reset the count of batches since the last step."""
        super().optimizer_step()
        self._since_step, self._steps_behind = -1, 0

    def run_callbacks(self, event: str) -> None:
        """Count the batches since the last step, and collect what mosaic may use on every rank."""
        self._since_step += event == "on_train_batch_end"
        if event == "on_train_epoch_end":
            self._mosaics = gather_list([list(getattr(self.train_loader.dataset, "buffer", ()))])
        super().run_callbacks(event)

    # Checkpoints -----------------------------------------------------------------------------------------------------
    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Add what the host's checkpoint lacks to the optimizer's state, which only checkpoints request."""
        optimizer = super().build_optimizer(model, *args, **kwargs)
        optimizer.register_state_dict_post_hook(lambda _, state: {**state, FORGOTTEN: self._forgotten(state)})
        return optimizer

    def _forgotten(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return what the host's checkpoint lacks, given the state of the optimizer."""
        model = unwrap_model(self.model)
        waiting = model.named_parameters() if self._since_step else ()
        return {
            "model": {k: v for k, v in model.state_dict().items() if not k.startswith(TEACHER)},
            "ema": self.ema.ema.state_dict(),
            "momenta": {i: {k: v for k, v in s.items() if torch.is_tensor(v)} for i, s in state["state"].items()},
            "gradients": {name: p.grad for name, p in waiting if p.grad is not None},
            "since_step": self._since_step,
            "mosaics": self._mosaics,
        }

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """Load average and momenta in full precision."""
        forgotten = (ckpt.get("optimizer") or {}).get(FORGOTTEN)
        if forgotten:
            for i, tensors in forgotten["momenta"].items():
                ckpt["optimizer"]["state"][i].update(tensors)
        super()._load_checkpoint_state(ckpt)
        if forgotten and self.ema:
            self.ema.ema.load_state_dict(forgotten["ema"])

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Continue after the last complete epoch.

        Raises:
            ValueError: If the run is finished.
            AllEpochsDone: If only its final steps are missing.
        """
        if ckpt is None or not self.resume:
            return
        check_unfinished(self.args.model, ckpt)
        done = ckpt["epoch"] + 1
        if RANK in {-1, 0}:
            keep_epochs(self.csv, done)
        stopper = ckpt.get("stopper") or {}
        waited = done - stopper.get("best_epoch", done) if self.args.val else 0
        if done >= self.epochs or waited >= self.stopper.patience:
            self.best_fitness = ckpt.get("best_fitness")
            self.epoch, self.start_epoch = done - 1, done
            raise AllEpochsDone
        super().resume_training(ckpt)
        forgotten = ckpt["optimizer"].get(FORGOTTEN)
        if not forgotten:
            LOGGER.warning(
                f"'{self.args.model}' holds averaged weights only; the run will differ from an uninterrupted one"
            )
            return
        unwrap_model(self.model).load_state_dict(forgotten["model"], strict=False)  # without the teacher
        self._since_step, self._waiting = forgotten["since_step"], forgotten["gradients"]
        mosaics = forgotten.get("mosaics", [])
        for i in mosaics[max(RANK, 0)] if max(RANK, 0) < len(mosaics) else ():
            self.train_loader.dataset.load_image(i)

    def _do_train(self) -> None:
        """Train, or only do the final steps of a run whose epochs are all done."""
        try:
            super()._do_train()
        except AllEpochsDone:
            LOGGER.info(f"all epochs of '{self.last}' are done, finishing")
            self.run_callbacks("on_train_start")
            self.final_eval()
            if RANK in {-1, 0}:
                if self.args.plots:
                    self.plot_metrics()
                self.run_callbacks("on_train_end")

    def final_eval(self) -> None:
        """Strip and validate best.pt, then strip last.pt, so that the run can be resumed until everything is done."""
        self._finish(self.best, train_results=self.read_results_csv())
        if self.best.exists():
            LOGGER.info(f"\nValidating {self.best}...")
            self.validator.args.plots = self.args.plots
            self.validator.args.compile = False
            self.metrics = self.validator(model=self.best)
            self.metrics.pop("fitness", None)
            self.epoch += 1  # as in the host: these figures belong to no epoch
            self.run_callbacks("on_fit_epoch_end")
            self.epoch -= 1
        self._finish(self.last)

    def _finish(self, file: Path, **updates: Any) -> None:
        """Strip from a checkpoint what only a resumption needs."""
        with torch_distributed_zero_first(LOCAL_RANK):  # the other processes wait
            if RANK in {-1, 0} and file.exists():
                with replacing(file, durable=True) as part, silent():  # it would log the temporary file
                    strip_optimizer(file, part, updates)
                LOGGER.info(f"Optimizer stripped from {file}, {file_size(file):.1f}MB")

    # Divergence ------------------------------------------------------------------------------------------------------
    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Return to the last checkpoint as the host does; stop with the reason if that does not help.

        Raises:
            TrainingDivergedError: If training keeps diverging, or diverges in the first epoch, before any checkpoint.
        """
        reason = f"training diverged in epoch {epoch + 1}: NaN or infinite %s; lower lr0 ({self.args.lr0:g}) or "
        reason += "check images and labels with 'metafusion data check'"
        try:
            recovering = super()._handle_nan_recovery(epoch)
        except RuntimeError as error:
            raise TrainingDivergedError(reason % "loss") from error
        tensors = () if recovering or self.loss is None or self.loss.isfinite() else self.model.parameters()
        if not all(tensor.isfinite().all() for tensor in tensors):
            raise TrainingDivergedError(reason % "weights")
        return recovering


def cut_off_run(arguments: Mapping[str, Any]) -> str:
    """Return the last checkpoint of the run that a training would write, if there is one; else nothing."""
    run = get_cfg(overrides={key: arguments[key] for key in ("project", "name") if arguments.get(key)})
    run.task, run.mode, run.exist_ok = "detect", "train", True
    last = get_save_dir(run) / "weights" / "last.pt"
    return str(last) if last.exists() else ""


def keep_epochs(results: Path, epochs: int) -> None:
    """Remove from a results.csv an incomplete row, and the rows of epochs that will be repeated.

    Args:
        results: The file; it may be missing.
        epochs: Number of finished epochs.
    """
    if not results.exists():
        return
    lines = results.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    kept = whole[:1] + [row for row in whole[1:] if float(row.partition(",")[0]) <= epochs]
    if not kept:
        results.unlink()  # the host writes the header where there is no file
    elif kept != lines:
        with replacing(results) as part:
            part.write_text("".join(kept), encoding="utf-8")
