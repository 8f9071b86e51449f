"""The part of the host's `Model` that builds and loads: task, weights, and words to look for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from ultralytics.engine.model import Model
from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER, RANK

from metafusion_yolo.engine._host import check_export
from metafusion_yolo.engine.checkpoints import check_start, load_fusion_checkpoint
from metafusion_yolo.engine.tasks import TASKS
from metafusion_yolo.engine.vocabulary import lacks_words, set_words
from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.nn.model_yaml import TORCHVISION, load_model_yaml
from metafusion_yolo.nn.tasks import build_model, task_of
from metafusion_yolo.support.errors import UserTypeError, UserValueError

Self = TypeVar("Self", bound="LoadedModel")


class LoadedModel(Model):
    """A model of pairs from one of our YAMLs, from a stock or fused checkpoint, or from an export."""

    overrides: dict[str, Any]

    def _new(self, cfg: str, task: str | None = None, verbose: bool = False) -> None:
        """Build a new model from one of our YAMLs; the host only looks in its own folders."""
        self.cfg = self.model_name = cfg
        self.model = build_model(load_model_yaml(cfg), verbose=verbose and RANK == -1)
        self._take_task(cfg, task_of(self.model), task)
        self.overrides.update(model=cfg, task=self.task)
        self.model.args = {**DEFAULT_CFG_DICT, **self.overrides}
        self.model.task = self.task

    def _load(self, weights: str, task: str | None = None) -> None:
        """Load a checkpoint or an export, refusing models that do not read pairs."""
        if not weights.lower().endswith(".pt") and not weights.startswith(TORCHVISION):
            check_export(weights)
            super()._load(weights)
            self._take_task(weights, self.task, task)
            return
        self.model, self.ckpt = load_fusion_checkpoint(weights)
        self._take_task(weights, task_of(self.model), task)
        self.model.task = self.task
        self.overrides = self.model.args = self._reset_ckpt_args(self.model.args)
        self.ckpt_path = self.model.pt_path
        self.overrides.update(model=weights, task=self.task)
        self.model_name = weights

    def _take_task(self, name: str, own: str, wanted: str | None) -> None:
        """Take the task of the head.

        Raises:
            TypeError: If it is not the requested one, or has no fused form.
        """
        if wanted not in (None, own):
            raise UserTypeError(f"'{name}' is for the task '{own}', not '{wanted}'; give another model")
        if own not in TASKS:
            raise UserTypeError(
                f"'{name}' is for the task '{own}', which has no fused form; these have: {', '.join(TASKS)}"
            )
        self.task = own

    def _take_start(self, arguments: dict[str, Any]) -> None:
        """Load the checkpoint of `pretrained=`, and warn of a detector that has learned nothing.

        Raises:
            ValueError: If the model looks for words, and has been given none.
        """
        if start := arguments.pop("pretrained", None):
            self.load(start)
        if isinstance(self.model, FrontEndAhead) and not self.ckpt:
            LOGGER.warning(
                f"the detector of '{self.model_name}' has random weights and will find nothing; give "
                f"pretrained=yolov8n.pt, or a checkpoint as model="
            )
        if lacks_words(self.model):
            raise UserValueError(
                f"'{self.model_name}' needs the names of what to find; give them by set_classes(['person', 'car'])"
            )

    def load(self: Self, weights: Any = "yolov8n.pt") -> Self:
        """Load the weights of a stock or a fused checkpoint; files that could run code are rejected."""
        return super().load(check_start(weights) if isinstance(weights, (str, Path)) else weights)

    @property
    def task_map(self) -> dict[str, dict[str, type]]:
        """The host's map of tasks, with our classes for the tasks that have a fused form."""
        return TASKS

    def set_classes(self, classes: Sequence[str], embeddings: Tensor | None = None) -> None:
        """Look for words: for the open-vocabulary detectors of the host, YOLO-World and YOLOE.

        Args:
            classes: The words, `["person", "car"]`.
            embeddings: Features of the words (1, number of words, D) from the text encoder of the model; None to
                compute them here, for which the host downloads the encoder.

        Raises:
            TypeError: If the classes of this model are fixed.
            ValueError: If there are no words, or the features are not of their number.
            ModuleNotFoundError: If the text encoder is needed and cannot be had.
        """
        set_words(self.model, classes, embeddings)
        self.predictor = None
