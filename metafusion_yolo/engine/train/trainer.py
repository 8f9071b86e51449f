"""Joint training of front-end and detector in three phases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any, cast

import torch
from torch import nn
from ultralytics.cfg import cfg2dict
from ultralytics.utils import DEFAULT_CFG, LOGGER, RANK, colorstr
from ultralytics.utils.plotting import plot_images
from ultralytics.utils.torch_utils import unwrap_model

from metafusion_yolo.config import Augment, FusionConfig, merged, section_of
from metafusion_yolo.data.dataset import PairedYOLODataset, build_paired_dataset
from metafusion_yolo.data.description import check_description, data_error
from metafusion_yolo.data.rig import INPUT_KEY, Rig, input_description
from metafusion_yolo.engine._host import log_pictures, warn_of_replaced_dataset
from metafusion_yolo.engine.arguments import check_classes
from metafusion_yolo.engine.checkpoints import find_checkpoint, load_checkpoint
from metafusion_yolo.engine.train.arguments import for_the_host, is_own, plain_arguments
from metafusion_yolo.engine.train.pictures import PAIRS, FilmStrip, Shown, plot_losses, plot_weights
from metafusion_yolo.engine.train.resumable import ResumableTrainer
from metafusion_yolo.engine.validate.validator import FusionDetectionValidator
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.degradation import degrade
from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.nn.fusion import STRIDE
from metafusion_yolo.nn.meeting import layer_name
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import build_model
from metafusion_yolo.schedule import PARTS, Phase
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.sampling import evenly

FEW_STEPS = 100  # of the optimizer; 12 epochs of 92 RoadScene pairs are 138 steps of 8, and learn
SHAPES = ("method", "meet", "channels", "meta_channels", "heads", "attention", "initial_infrared_weight")  # of a model


class FusionDetectionTrainer(ResumableTrainer):
    """The host's trainer on pairs: paired data, joint loss, three phases, plots of both sources and the fused image.

    The phase depends on the epoch only, so a resumed or multi-GPU run is always in the right one.
    """

    dataset_class: type[PairedYOLODataset] = PairedYOLODataset
    validator_class: type[FusionDetectionValidator] = FusionDetectionValidator
    _phase: Phase | None = None
    best_fitness: float | None

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        given = plain_arguments(overrides or {})
        own = {name: None for name in given if is_own(name)}  # the host refuses what its configuration lacks
        super().__init__({**cfg2dict(cfg), **own}, given, _callbacks)
        pictures = {
            "on_train_start": FusionDetectionTrainer._start_film,
            "on_train_epoch_end": FusionDetectionTrainer._add_to_film,
            "on_fit_epoch_end": log_pictures,  # after the film, and after the host's own loggers
            "on_train_end": log_pictures,
        }
        for event, function in pictures.items():
            if function not in self.callbacks[event]:  # the trainings of a model share callbacks
                self.add_callback(event, function)

    def get_dataset(self) -> dict[str, Any]:
        """Read a data-set YAML, which may be one of the package, and its cameras.

        Raises:
            ValueError: If the data set cannot be used.
            FileNotFoundError: If a file of it does not exist.
        """
        if self.args.data:
            self.args.data = check_description(self.args.data, self.args.task)
        try:
            data = super().get_dataset()
        except RuntimeError as error:
            raise data_error(error, self.args.data) from error
        data["channels"] = NUM_CHANNELS
        check_classes(self.args.classes, data["names"])
        self._rig = Rig.from_yaml(data, self.args.data)
        return data

    def get_model(self, cfg: Any = None, weights: nn.Module | None = None, verbose: bool = True) -> FrontEndAhead:
        """Build the fused detector, load a stock or a fused checkpoint, and store the description of its input."""
        if self.args.distill_model:
            check_teacher(self.args.distill_model)
        if values := {name: value for name, value in vars(self.args).items() if name.startswith("fusion.")}:
            cfg = with_values(cfg, values)
        shape = {"data_kpt_shape": self.data["kpt_shape"]} if self.args.task == "pose" else {}
        model = build_model(cfg, nc=self.data["nc"], ch=NUM_CHANNELS, verbose=verbose and RANK == -1, **shape)
        model = self.set_model_names_for_load(model)
        if weights:
            model.load(weights)
        model.yaml[INPUT_KEY] = input_description(self._rig)
        return model

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> PairedYOLODataset:
        """Build a paired data set, of the `dataset_class`."""
        warn_of_replaced_dataset()
        model = _unwrap(self.model)
        return build_paired_dataset(
            self.args,
            img_path,
            batch,
            self.data,
            mode=mode,
            rect=mode == "val",
            stride=max(int(model.stride.max()), STRIDE),
            photometric=self.augmentation,
            kind=self.dataset_class,
        )

    @property
    def augmentation(self) -> Augment:
        """Augmentation of the training pairs."""
        return _unwrap(self.model).config.augment

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Spoil some pairs, and add where they are spoilt, and the unspoilt images."""
        batch = super().preprocess_batch(batch)
        if self.augmentation.degradation:
            batch.update(degrade(batch["img"], self.augmentation.degradation)._asdict())
        return batch

    def progress_string(self) -> str:
        """Return the head of the host's table; torchvision's names of losses are cut to fit the columns."""
        shown = copy(self)
        shown.loss_names = tuple(name.removeprefix("loss_")[:10] for name in self.loss_names)
        return str(super(FusionDetectionTrainer, shown).progress_string())

    def get_validator(self) -> FusionDetectionValidator:
        """Return a validator on pairs."""
        return self.validator_class(
            self.test_loader, save_dir=self.save_dir, args=for_the_host(self.args), _callbacks=self.callbacks
        )

    # Phases ----------------------------------------------------------------------------------------------------------
    def build_optimizer(self, model: nn.Module, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Split the host's parameter groups by part, so that each part has its own learning rate."""
        steps = kwargs.get("iterations", FEW_STEPS)
        if steps < FEW_STEPS and self.args.nbs > self.batch_size and RANK < 1:
            LOGGER.warning(
                f"About {steps} steps of the optimizer in all, each over {self.args.nbs} pairs (nbs=): too few to "
                f"learn much; give nbs={self.batch_size}, or more epochs"
            )
        optimizer = super().build_optimizer(model, *args, **kwargs)
        parts = {id(p): part for part, _, module in _modules(_unwrap(model)) for p in module.parameters(False)}
        part_of = {id(p): parts.get(id(p), "head") for p in model.parameters()}  # a distilling model's projector too
        groups = []
        for group in optimizer.param_groups:
            for part in PARTS:
                parameters = [p for p in group["params"] if part_of[id(p)] == part]
                if parameters:
                    groups.append({**group, "params": parameters, "part": part, "host_lr": group["lr"]})
        optimizer.param_groups[:] = groups
        return optimizer

    def phase(self, epoch: int) -> Phase:
        """Return the phase of an epoch, counted from 0."""
        return _unwrap(self.model).config.schedule.phase(epoch, self.epochs)

    def _model_train(self) -> None:
        """Start the phase of this epoch: freeze its frozen parts, including batch norm, and set the learning rates.

        Raises:
            ValueError: If nothing learns in this phase.
        """
        super()._model_train()
        model = _unwrap(self.model)
        phase = self.phase(self.epoch)
        model.joint = phase.joint
        model.batches = self.epoch * len(self.train_loader)
        for part, name, module in _modules(model):
            learns = part in phase.lr.learning and not any(x in f"{name}." for x in self.freeze_layer_names)
            if not learns and isinstance(module, nn.BatchNorm2d):
                module.eval()
            for key, parameter in module.named_parameters(recurse=False):
                frozen = any(x in f"{name}.{key}" for x in self.freeze_layer_names)
                parameter.requires_grad = part in phase.lr.learning and not frozen
        if not any(parameter.requires_grad for parameter in model.parameters()):  # such as a fixed rule in a warm-up
            raise UserValueError(
                f"nothing learns in phase '{phase.name}'; give it a fraction of 0 under 'fusion: schedule:', or a rate "
                f"above 0 to a part that has parameters and is not frozen"
            )
        for i, group in enumerate(self.optimizer.param_groups):
            group["initial_lr"] = self.scheduler.base_lrs[i] = group["host_lr"] * getattr(phase.lr, group["part"])
            group["lr"] = group["initial_lr"] * self.lf(self.epoch)
        if phase != self._phase:
            self._phase = phase
            LOGGER.info(f"{colorstr('fusion:')} phase '{phase.name}', learning: {', '.join(phase.lr.learning)}")

    def validate(self) -> tuple[dict[str, float] | None, float | None]:
        """Validate, but choose no best checkpoint before the detector has learned from fused images."""
        metrics, fitness = super().validate()
        if not any(self.phase(epoch).trains_detector for epoch in range(self.epoch + 1)):
            self.best_fitness = None
            fitness = 0.0 if metrics is not None else None
        return metrics, fitness

    # Pictures over the epochs ----------------------------------------------------------------------------------------
    def _start_film(self) -> None:
        """Choose the pairs to show from the validation images."""
        if not self.args.plots or RANK > 0:
            return
        dataset = self.test_loader.dataset
        self._shown = [Shown.of(dataset[i]) for i in evenly(range(len(dataset)), PAIRS)]
        self._film = FilmStrip(self.save_dir / "film", self._shown, self.epochs)

    def _add_to_film(self) -> None:
        """Add the fused pairs after this epoch to the film strip."""
        if not self.args.plots or RANK > 0:
            return
        file = self._film.add(_unwrap(self.ema.ema).fusion, self.epoch + 1, self.save_dir / "film_strip.jpg")
        if file:
            self.on_plot(file)

    def plot_metrics(self) -> None:
        """Plot the losses by term and phase and the last weight maps, in addition to the host's plot of all results."""
        super().plot_metrics()
        phases = [self.phase(epoch).name for epoch in range(self.epochs)]
        self.on_plot(plot_losses(self.csv, phases, self.save_dir / "losses.png"))
        self.on_plot(plot_weights(_unwrap(self.ema.ema).fusion, self._shown, self.save_dir / "fusion_weights.jpg"))

    # Plots -----------------------------------------------------------------------------------------------------------
    def panels(self, pair: torch.Tensor) -> torch.Tensor:
        """Return visible, infrared and fused image of pairs (B, 4, H, W) side by side, (B, 3, H, 3W)."""
        gpu = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(gpu):  # the jitter of this plot must not change the training
            fused = _unwrap(self.model).fuse_images(pair).fused
        return torch.cat((pair[:, :3], pair[:, 3:].expand(-1, 3, -1, -1), fused), 3).cpu()

    def plot_training_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Plot visible, infrared and fused image of each sample side by side, the boxes on the fused one."""
        panels = self.panels(batch["img"])
        boxes = batch["bboxes"].clone().cpu()
        boxes[:, 0] = (boxes[:, 0] + 2) / 3
        boxes[:, 2] /= 3
        labels = {"img": panels, "bboxes": boxes, "cls": batch["cls"].cpu(), "batch_idx": batch["batch_idx"].cpu()}
        if "masks" in batch:
            labels["masks"] = nn.functional.pad(batch["masks"].cpu(), (2 * batch["masks"].shape[-1], 0))
        if "keypoints" in batch:
            labels["keypoints"] = batch["keypoints"].clone().cpu()
            labels["keypoints"][..., 0] = (labels["keypoints"][..., 0] + 2) / 3
        plot_images(
            labels=labels,
            paths=batch["im_file"],
            names=self.data["names"],
            fname=self.save_dir / f"train_batch{ni}.jpg",
            on_plot=self.on_plot,
            max_subplots=9,
        )


def with_values(cfg: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dictionary of a model with `fusion.` values of the training in its `fusion:` section.

    Raises:
        ValueError: If a value shapes the model of a checkpoint, which has its shape already.
    """
    checkpoint = isinstance(cfg, dict)
    model = cfg if checkpoint else load_model_yaml(cfg)
    before = model.get("fusion") or {}
    section = merged(before, section_of(values))
    old, new = FusionConfig.from_dict(before), FusionConfig.from_dict(section)
    shapes = [name for name in SHAPES if checkpoint and getattr(old, name) != getattr(new, name)]
    if shapes:
        raise UserValueError(
            f"'fusion.{shapes[0]}={getattr(new, shapes[0])}' changes the shape of the model, which a checkpoint fixes; "
            f"start from a model YAML: model=metafusion-yolov8n.yaml"
        )
    return {**model, "fusion": section}


def check_teacher(checkpoint: str) -> None:
    """Check that a `distill_model` reads pairs; the host would silently give it a new, untrained stem.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        TypeError: If the file is not a checkpoint.
        ValueError: If the model does not read four channels.
    """
    channels = getattr(load_checkpoint(find_checkpoint(checkpoint))[0], "yaml", {}).get("channels", 3)
    if channels != NUM_CHANNELS:
        raise UserValueError(
            f"distill_model: '{checkpoint}' reads images of {channels} channels, not pairs; give the checkpoint of a "
            f"detector on pairs, such as one trained with model=metafusion-yolov8m.yaml"
        )


def _unwrap(model: nn.Module) -> FrontEndAhead:
    """Return the fused detector inside the host's wrappers for multi-processing, compilation and distillation."""
    model = unwrap_model(model)
    return cast(FrontEndAhead, getattr(model, "student_model", model))


def _modules(model: FrontEndAhead) -> Iterator[tuple[str, str, nn.Module]]:
    """Yield part (`fusion`, `backbone`, `head`), name as in the stock model, and module of every module in a model."""
    depth = len(model.yaml["backbone"])
    for name, module in model.named_modules():
        name = layer_name(name)
        if name.startswith("model."):
            yield ("backbone" if int(name.split(".")[1]) < depth else "head"), name, module
        elif name not in ("", "model"):
            yield "fusion", name, module
