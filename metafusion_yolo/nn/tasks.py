"""The host's detection model with the fusion front-end ahead of it.

The import path of :class:`FusionDetectionModel` is part of the checkpoint format: do not move it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import get_num_params, unwrap_model

from metafusion_yolo.config import FusionConfig
from metafusion_yolo.functional.losses import meta_loss
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.criterion import FusionDetectionLoss, restoration_loss
from metafusion_yolo.nn.fusion import FusionNet, FusionOutput
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.rules import PixelRule
from metafusion_yolo.nn.start import load_start
from metafusion_yolo.nn.teaching import MetaTeacher, frozen_copy, look_ahead_loss, rows
from metafusion_yolo.support.errors import UserTypeError, UserValueError

FUSION_FORMAT = 3  # of a checkpoint; 1 and 2, of which 1 has no number, hold another front-end


class FusionDetectionModel(DetectionModel):
    """A stock detector (`model`) that reads images made by a fusion front-end (`fusion`).

    A batch (B, 4, H, W) holds pairs and is fused; a batch (B, 3, H, W) counts as fused and goes to the detector
    unchanged, so this model can give every output of the stock one.

    Attributes:
        fusion: The front-end.
        config: Its configuration.
        joint: Whether the detection loss reaches the front-end; the trainer sets it in each phase.

    Args:
        cfg: Name or path of a model YAML, or the dictionary of a checkpoint.
        ch: Input channels; the host passes those of the data set, 4, or 3 of its own default.
        nc: Number of classes; None to take it from the YAML.
        verbose: Whether to log a summary.

    Raises:
        FileNotFoundError: If there is no such YAML.
        ValueError: If `ch` is neither 3 nor 4, or the YAML has an unknown key or a bad value.
        TypeError: If a value of the `fusion:` section has the wrong type.
    """

    def __init__(
        self,
        cfg: str | Path | dict[str, Any] = "metafusion-yolov8n.yaml",
        ch: int = NUM_CHANNELS,
        nc: int | None = None,
        verbose: bool = True,
    ) -> None:
        if ch not in (3, NUM_CHANNELS):
            raise UserValueError(f"a pair has {NUM_CHANNELS} channels (R, G, B, IR), the data set says {ch}")
        cfg = cfg if isinstance(cfg, dict) else load_model_yaml(cfg)
        super().__init__(cfg, ch=3, nc=nc, verbose=False)  # the host probes the strides before `fusion` exists
        self.yaml["channels"] = NUM_CHANNELS
        self.config = FusionConfig.from_dict(self.yaml.get("fusion"))
        self.fusion = build_fusion(self.config)
        self.teacher = self._build_teacher()
        self.joint = True
        self.batches = 0  # training batches so far, for the interval of the look-ahead
        if verbose:
            self.info()

    @classmethod
    def ahead_of(cls, detector: Any) -> FusionDetectionModel:
        """Return a fused detector made of a stock one, whose layers and names it takes over, and a front-end.

        The front-end is the same every time, whatever the state of the random numbers.

        Raises:
            TypeError: If it is no detector of axis-aligned boxes, or does not read images of three channels.
        """
        head = type(getattr(detector, "model", [None])[-1]).__name__
        if type(detector) is not DetectionModel:
            raise UserTypeError(
                f"a {type(detector).__name__} with the head {head} has no fused form; "
                f"give a detector such as yolov8n.pt"
            )
        if detector.yaml.get("channels", 3) != 3:
            raise UserTypeError(f"the detector reads {detector.yaml['channels']} channels; give one of colour images")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = cls(deepcopy(detector.yaml), nc=detector.yaml["nc"], verbose=False)
        model.model, model.save, model.stride = detector.model, detector.save, detector.stride
        model.names = detector.names
        return model.to(next(detector.parameters()).dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a checkpoint holds: the configuration as plain values with the number of the format."""
        state = {key: value for key, value in self.__dict__.items() if key != "config"}
        section = {"fusion": self.config.to_dict(), "fusion_format": FUSION_FORMAT}
        return {**state, "yaml": {**self.yaml, **section}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read a checkpoint; one of format 1, which has no number, brings a configuration object that is not used.

        Raises:
            TypeError: If the checkpoint is of a later format, or of a former one with a front-end that has learned.
        """
        if (written := state["yaml"].get("fusion_format", 1)) > FUSION_FORMAT:
            raise UserTypeError(
                f"of format {written} of a later metafusion_yolo, expected at most {FUSION_FORMAT}; update it"
            )
        config = FusionConfig.from_dict(state["yaml"].get("fusion"))
        if written < 3 and config.method == "learned":
            raise UserTypeError(
                f"of format {written}, whose front-end this version no longer has, expected {FUSION_FORMAT}; train anew"
            )
        super().__setstate__(state)
        self.config = config

    def fuse_images(self, pair: Tensor) -> FusionOutput:
        """Fuse a batch of pairs (B, 4, H, W), R, G, B, IR in [0, 1]; `fuse` is the host's folding of batch norms."""
        return self.fusion(pair)

    def _build_teacher(self) -> MetaTeacher | None:
        """Build the teacher of the meta-features; None if the configuration has no meta-features or teaching."""
        config = self.config
        if config.method != "learned" or not config.attention or not config.teaches:
            return None
        return MetaTeacher(self.model, len(self.yaml["backbone"]), config.meta_channels, config.meta.levels)

    def _predict_once(self, x: Tensor, profile: bool = False, embed: list[int] | None = None) -> Any:
        """Fuse a pair before the host's forward, and add what the loss needs to the host's raw predictions.

        These are `fusion`, the :class:`FusionOutput`, and `backbone`, the backbone features by stride, empty without a
        teacher.
        """
        if x.shape[1] != NUM_CHANNELS:
            return super()._predict_once(x, profile, embed)
        output = self.fuse_images(x)
        hearing: AbstractContextManager[dict[int, Tensor]] = nullcontext({})
        if self.teacher:
            hearing = self.teacher.listening(self.model)
        with hearing as features:
            preds = super()._predict_once(self._shown_to_detector(output), profile, embed)
        raw = preds[-1] if isinstance(preds, tuple) else preds  # embeddings are a tuple too, of one or more tensors
        if isinstance(raw, dict):
            raw.update(fusion=output, backbone=features)
        return preds

    def _predict_augment(self, x: Tensor) -> Any:
        """Fuse a pair once, then augment the fused image: the borders of a scaled pair would hide a blank camera."""
        if x.shape[1] == NUM_CHANNELS:
            x = self.fuse_images(x)["fused"]
        return super()._predict_augment(x)

    def _shown_to_detector(self, output: FusionOutput) -> Tensor:
        """Return the fused image, without its gradient unless training is joint."""
        return output["fused"] if self.joint else output["fused"].detach()

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the joint loss of a batch of pairs, or the host's loss of images that are fused already.

        With `clean` in the batch, the target luminance of the fusion, detector and labels are not used: see
        :mod:`metafusion_yolo.nn.universal`.
        """
        if getattr(self, "criterion", None) is None:
            self.criterion = self.init_criterion()
        if "clean" in batch:
            return restoration_loss(self.fuse_images(batch["img"]), batch["clean"], self.config.gains)
        if preds is None:
            preds = self._predict_once(batch["img"])
        raw = preds[1] if isinstance(preds, tuple) else preds
        if "fusion" not in raw:
            return self.criterion(preds, batch)
        batch = {**batch, "fusion": raw["fusion"]}
        if self.teacher:
            batch["taught"] = self.teacher(batch["fusion"]), raw["backbone"]
        total, items = self.criterion(preds, batch)
        if self.teacher and self.training and self._looks_ahead(len(batch["img"])):
            total = torch.cat((total, self._look_ahead(self.teacher, batch, raw["backbone"])[None]))
        return total, items

    def _looks_ahead(self, size: int) -> bool:
        """Count a training batch, and return whether it takes the look-ahead.

        A batch of one pair cannot be halved, and a frozen front-end learns nothing from it.
        """
        interval = self.config.meta.interval
        self.batches += 1
        if interval == 0 or self.config.gains.look_ahead == 0 or size < 2:
            return False
        return self.batches % interval == 0 and any(p.requires_grad for p in self.fusion.parameters())

    def _look_ahead(self, teacher: MetaTeacher, batch: dict[str, Any], features: dict[int, Tensor]) -> Tensor:
        """Return the weighted look-ahead loss: half of the batch for the inner step, the rest for the outer loss."""
        size, meta = len(batch["img"]), self.config.meta
        half = size // 2
        test = rows(batch, half, size)
        targets = {stride: x[:half] for stride, x in features.items()}
        detector = frozen_copy(self, "model.")

        def align(output: FusionOutput) -> Tensor:
            return meta_loss(teacher(output), targets, meta.distance)

        def lose(output: FusionOutput) -> Tensor:
            preds = functional_call(self, detector, (self._shown_to_detector(output),))
            return self.criterion(preds, {**test, "fusion": output})[0].sum()

        loss = look_ahead_loss(
            self.fusion,
            (batch["img"][:half], align),
            (test["img"], lose),
            teacher,
            meta.inner_lr,
            meta.first_order,
        )
        return self.config.gains.look_ahead * loss * (size / (size - half))

    def load(self, weights: Any, verbose: bool = True) -> None:
        """Load a stock or a fused checkpoint, and its class names if this model only has numbers for names."""
        super().load(weights, verbose)
        source = weights.get("ema") or weights["model"] if isinstance(weights, dict) else weights
        names = dict(getattr(source, "names", {}))
        if getattr(self, "names", None) == {i: str(i) for i in range(len(names))}:
            self.names = names

    def init_criterion(self) -> FusionDetectionLoss:
        """Add the fusion losses to the host's criterion of this head."""
        return FusionDetectionLoss(super().init_criterion(), self.config.gains, self.config.meta.distance)

    def info(self, detailed: bool = False, verbose: bool = True, imgsz: int | list[int] = 640) -> Any:
        """Log the host's summary, whose GFLOPs are the detector's, and one of the front-end."""
        summary = super().info(detailed=detailed, verbose=verbose, imgsz=imgsz)
        if verbose:
            LOGGER.info(
                f"Fusion front-end (included above but for GFLOPs): {get_num_params(self.fusion):,} parameters, "
                f"{front_end_gflops(self.fusion, imgsz):.2f} GFLOPs"
            )
        return summary


def native_model(backend: Any) -> nn.Module | None:
    """Return the PyTorch model inside a training model or the host's inference backend; None for other formats."""
    if getattr(backend, "format", "pt") != "pt":
        return None
    model = unwrap_model(backend)
    return model if isinstance(model, FusionDetectionModel) else getattr(model, "model", None)


def build_fusion(config: FusionConfig) -> FusionNet | PixelRule:
    """Build the front-end of a configuration: a network, or a fixed rule without parameters."""
    if config.method != "learned":
        return PixelRule(config.method)
    fusion = FusionNet(
        config.channels,
        config.meta_channels,
        config.heads,
        attention=config.attention,
        initial_infrared_weight=config.initial_infrared_weight,
        share_jitter=config.augment.share_jitter,
    )
    if config.starts_trained:
        fusion.load_state_dict(load_start())
    return fusion.to(memory_format=torch.channels_last)  # trains in 0.78 x the time on a CPU


def front_end_gflops(fusion: nn.Module, imgsz: int | list[int] = 640) -> float:
    """Return the GFLOPs of the front-end for one pair, a multiply-add counted as two.

    Args:
        fusion: The front-end.
        imgsz: Image size in pixels, one number or (height, width).
    """
    from torch.utils.flop_counter import FlopCounterMode

    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else (imgsz[0], imgsz[-1])
    weight = next(fusion.parameters(), torch.zeros(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        fusion(weight.new_zeros(1, NUM_CHANNELS, height, width))
    return counter.get_total_flops() / 1e9
