"""The fusion front-end ahead of any model of the host."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from ultralytics.nn.tasks import BaseModel
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import get_num_params

from metafusion_yolo.config import FusionConfig
from metafusion_yolo.functional.losses import meta_loss
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.criterion import joint_loss, restoration_loss
from metafusion_yolo.nn.fusion import FusionOutput
from metafusion_yolo.nn.meeting import default_level, give_stems, has_stems, meet_at, with_share
from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.start import build_fusion
from metafusion_yolo.nn.teaching import MetaTeacher, frozen_copy, look_ahead_loss, rows
from metafusion_yolo.support.errors import UserTypeError, UserValueError
from metafusion_yolo.support.logs import info_once

ONE_CAMERA = (
    "these images are of one camera, and the detector of a fused model looks at them without the infrared one; "
    "MetaFusionYOLO(checkpoint) and the command metafusion read pairs, YOLO(checkpoint) and yolo of Ultralytics do not"
)
FUSION_FORMAT = 3  # of a checkpoint; 1 and 2, of which 1 has no number, hold another front-end


class FrontEndAhead(BaseModel):
    """Mixed in before a model class of the host (`model`), it fuses pairs by a front-end (`fusion`) for that model.

    A batch (B, 4, H, W) holds pairs and is fused; a batch (B, 3, H, W) counts as fused and goes to the host's model
    unchanged, so this model can give every output of the stock one.

    Attributes:
        fusion: The front-end.
        config: Its configuration.
        joint: Whether the detection loss reaches the front-end; the trainer sets it in each phase.
        loss_of_batch: Whether the host's loss is that of the mean image times the batch size.
        meets: Whether the cameras meet in features, where the YAML leaves it to the model.

    Args:
        cfg: Name or path of a model YAML, or the dictionary of a checkpoint.
        ch: Input channels; the host passes those of the data set, 4, or 3 of its own default.
        nc: Number of classes; None to take it from the YAML.
        verbose: Whether to log a summary.
        **kwargs: Further arguments of the host's class.

    Raises:
        FileNotFoundError: If there is no such YAML.
        ValueError: If `ch` is neither 3 nor 4, or the YAML has an unknown key or a bad value.
        TypeError: If a value of the `fusion:` section has the wrong type.
    """

    loss_of_batch = True
    meets = False
    _counted = False  # while the host counts the operations of the detector, on an image
    criterion: Any = None  # of the host, which looks for it even where only the front-end is trained

    def __init__(
        self,
        cfg: str | Path | dict[str, Any] = "metafusion-yolov8n.yaml",
        ch: int = NUM_CHANNELS,
        nc: int | None = None,
        verbose: bool = True,
        **kwargs: Any,
    ) -> None:
        if ch not in (3, NUM_CHANNELS):
            raise UserValueError(f"a pair has {NUM_CHANNELS} channels (R, G, B, IR), the data set says {ch}")
        cfg = cfg if isinstance(cfg, dict) else load_model_yaml(cfg)
        # the host probes its strides here, before `fusion` exists
        super().__init__({**cfg, "channels": 3}, ch=3, nc=nc, verbose=False, **kwargs)
        self._add_front_end()
        if verbose:
            self.info()

    def _add_front_end(self) -> None:
        """Build the front-end that the model's YAML describes."""
        self.yaml["channels"] = NUM_CHANNELS
        self.config = self._settled(FusionConfig.from_dict(self.yaml.get("fusion")))
        self.fusion = build_fusion(self.config)
        self.teacher = self._build_teacher()
        if self.config.meet != "image":
            meet_at(self, self.config.meet)
        self.joint = True
        self.batches = 0  # training batches so far, for the interval of the look-ahead

    def _settled(self, config: FusionConfig) -> FusionConfig:
        """Return the configuration with `meet: auto` replaced by the place that suits this model."""
        if config.meet != "auto":
            return config
        learned = config.method == "learned" and self.meets
        return replace(config, meet=default_level(self) if learned else "image")

    @classmethod
    def ahead_of(cls, stock: Any, meet: str = "auto") -> FrontEndAhead:
        """Return the fused form of a stock model, which shares its layers; the front-end is the same every time.

        Args:
            stock: The model.
            meet: Where the cameras meet, as in the YAML.
        """
        model = cls.__new__(cls)
        content = {**deepcopy(stock.yaml), "fusion": {"meet": meet}}
        model.__dict__ = {**stock.__dict__, "yaml": content, "_modules": {**stock._modules}}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model._add_front_end()
        return model.to(next(stock.parameters()).dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a checkpoint holds: the configuration as plain values with the number of the format."""
        left = {"config"} | ({"criterion"} if isinstance(self.criterion, nn.Module) else set())  # made again if missing
        state = {key: value for key, value in self.__dict__.items() if key not in left}
        section = {"fusion": self.config.to_dict(), "fusion_format": FUSION_FORMAT}
        return {**state, "yaml": {**self.yaml, **section}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read a checkpoint; one of format 1, which has no number, brings a configuration object that is not used.

        Raises:
            TypeError: If the checkpoint is of a later format, or of a former one with a front-end that has learned.
        """
        if (written := state["yaml"].get("fusion_format", 1)) > FUSION_FORMAT:
            raise UserTypeError(
                f"has format {written} of a later metafusion_yolo, expected at most {FUSION_FORMAT}; update the package"
            )
        section = {"meet": "image", **(state["yaml"].get("fusion") or {})}  # former ones do not say it
        config = FusionConfig.from_dict(section)
        if written < 3 and config.method == "learned":
            raise UserTypeError(
                f"has format {written}, whose front-end this version no longer has, expected {FUSION_FORMAT}; train "
                "again"
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

    def predict(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Fuse a pair ahead of the host's forward, and add what the loss needs to the host's raw predictions.

        These are `fusion`, the :class:`FusionOutput`, and `backbone`, the backbone features by stride, empty without a
        teacher. Only a head whose raw predictions are a dictionary takes them.
        """
        if x.shape[1] != NUM_CHANNELS:
            if "fusion" in self._modules and not self._counted:
                info_once(ONE_CAMERA)
            return super().predict(x, *args, **kwargs)
        if kwargs.get("embed") and has_stems(self):
            self.model[0].check(kwargs["embed"])
        output = self.fuse_images(x)
        with self._hearing() as features:
            preds = super().predict(self.shown_to_detector(x, output), *args, **kwargs)
        raw = raw_of(preds)
        if isinstance(raw, dict):
            raw.update(fusion=output, backbone=features)
        return preds

    def _hearing(self) -> AbstractContextManager[dict[int, Tensor]]:
        """Return a context that collects the backbone features of a forward; empty without a teacher."""
        return self.teacher.listening(self.model) if self.teacher else nullcontext({})

    def shown_to_detector(self, pair: Tensor, output: FusionOutput) -> Tensor:
        """Return the input of the detector, without the gradient of the front-end unless training is joint.

        That is the fused image (B, 3, H, W), or the pair and its weights (B, 5, H, W) where the cameras meet later.
        """
        shown = output.fused if self.config.meet == "image" else with_share(pair, output.weights)
        return shown if self.joint else shown.detach()

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the joint loss of a batch of pairs, or the host's loss of images that are fused already.

        With `clean` in the batch, the target luminance of the fusion, detector and labels are not used: see
        :mod:`metafusion_yolo.nn.universal`.
        """
        if getattr(self, "criterion", None) is None:
            # as in the host; without labels too, for its trainer asks for it; not as a part, which that of RT-DETR is
            self.__dict__["criterion"] = self.init_criterion()
        pair = batch["img"]
        if "clean" in batch:
            return restoration_loss(self.fuse_images(pair), batch["clean"], self.config.gains)
        if pair.shape[1] != NUM_CHANNELS:
            return super().loss(batch, preds)
        seen = raw_of(preds)
        if isinstance(seen, dict):
            output, features = seen["fusion"], seen["backbone"]
            detection = super().loss(batch, preds)
        else:
            output = self.fuse_images(pair)
            with self._hearing() as features:
                preds = None if self.teacher else preds  # it hears a forward only
                detection = super().loss({**batch, "img": self.shown_to_detector(pair, output)}, preds)
        total, items = self._joined(detection, batch, output, features)
        if self.teacher and self.training and self._looks_ahead(len(pair)):
            total = torch.cat((total, self._look_ahead(self.teacher, batch, features)[None]))
        return total, items

    def _joined(
        self,
        detection: tuple[Tensor, dict[str, Tensor]],
        batch: dict[str, Any],
        output: FusionOutput,
        features: dict[int, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the losses of the front-end's output to the host's; with backbone features, what these teach too."""
        taught = (self.teacher(output), features) if self.teacher and features else None
        size = len(batch["img"]) if self.loss_of_batch else 1
        return joint_loss(detection, batch, output, self.config.gains, size, taught, self.config.meta.distance)

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
        test = rows(batch, half, size, getattr(self.args, "overlap_mask", True))
        targets = {stride: x[:half] for stride, x in features.items()}
        detector = frozen_copy(self, "model.")

        def align(output: FusionOutput) -> Tensor:
            return meta_loss(teacher(output), targets, meta.distance)

        def lose(output: FusionOutput) -> Tensor:
            images = {**test, "img": self.shown_to_detector(test["img"], output)}
            return self._joined(functional_call(self, detector, (images,)), test, output)[0].sum()

        loss = look_ahead_loss(
            self.fusion, (batch["img"][:half], align), (test["img"], lose), teacher, meta.inner_lr, meta.first_order
        )
        return self.config.gains.look_ahead * loss * (size / (size - half) if self.loss_of_batch else 1)

    def load(self, weights: Any, verbose: bool = True) -> None:
        """Load a stock or a fused checkpoint, and its class names if this model only has numbers for names.

        Raises:
            ValueError: If the cameras of the checkpoint have stems, and those of this model do not, or others.
        """
        source = weights.get("ema") or weights["model"] if isinstance(weights, dict) else weights
        if has_stems(self) and has_stems(source) and {self.config.method, source.config.method} == {"learned"}:
            decoder: Any = self.fusion.decoder
            decoder.balanced = source.fusion.decoder.balanced  # a training goes on as it began
        super().load(give_stems(source, self), verbose)
        names = dict(getattr(source, "names", {}))
        if getattr(self, "names", None) == {i: str(i) for i in range(len(names))}:
            self.names = names

    def info(self, detailed: bool = False, verbose: bool = True, imgsz: int | list[int] = 640) -> Any:
        """Log the host's summary, whose GFLOPs are the detector's, and one of the front-end."""
        if not hasattr(self, "fusion"):  # the host's classifier asks while it is built
            return None
        self._counted = True
        try:
            summary = super().info(detailed=detailed, verbose=verbose, imgsz=imgsz)
        finally:
            del self._counted
        if verbose:
            LOGGER.info(
                f"Fusion front-end (included above, except in the GFLOPs): {get_num_params(self.fusion):,} parameters, "
                f"{gflops(self.fusion, NUM_CHANNELS, imgsz):.2f} GFLOPs"
            )
            if self.config.meet != "image":
                stems = self.model[0]
                added = get_num_params(stems) - get_num_params(stems.visible)
                more = gflops(stems, NUM_CHANNELS + 1, imgsz) - gflops(stems, 3, imgsz)
                LOGGER.info(
                    f"Infrared stem up to {self.config.meet} (likewise): {added:,} parameters, {more:.2f} GFLOPs"
                )
        return summary


def raw_of(preds: Any) -> Any:
    """Return the raw predictions that the host's losses read: a dictionary for heads that detect."""
    return preds[-1] if isinstance(preds, tuple) else preds  # embeddings are a tuple too, of one or more tensors


def gflops(module: nn.Module, channels: int, imgsz: int | list[int] = 640) -> float:
    """Return the GFLOPs of a module for one image, a multiply-add counted as two.

    Args:
        module: The module, of floating-point parameters or none.
        channels: Channels of the image.
        imgsz: Image size in pixels, one number or (height, width).
    """
    from torch.utils.flop_counter import FlopCounterMode

    height, width = (imgsz, imgsz) if isinstance(imgsz, int) else (imgsz[0], imgsz[-1])
    weight = next(module.parameters(), torch.zeros(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(weight.new_zeros(1, channels, height, width))
    return counter.get_total_flops() / 1e9
