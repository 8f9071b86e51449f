"""The host's detection model with the fusion front-end ahead of it.

The import path of :class:`FusionDetectionModel` is part of the checkpoint format: do not move it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from ultralytics.nn.tasks import DetectionModel, yaml_model_load
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import get_num_params

from metafusion_yolo.config import FusionConfig, nearest
from metafusion_yolo.criterion import FusionDetectionLoss, restoration_loss
from metafusion_yolo.losses import meta_loss
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.fusion import FusionNet, FusionOutput
from metafusion_yolo.nn.rules import PixelRule
from metafusion_yolo.nn.start import load_start
from metafusion_yolo.nn.teaching import MetaTeacher, frozen_copy, look_ahead_loss, rows
from metafusion_yolo.resources import find_model_yaml, read_yaml, split_scale

HOST_KEYS = ("activation", "end2end", "reg_max")  # that a host YAML may leave out


def load_model_yaml(name: str | Path) -> dict[str, Any]:
    """Read one of our model YAMLs: a host detector by name, and the `fusion:` section for the front-end.

    Args:
        name: File or shipped name, with a scale letter (`metafusion-yolov8n.yaml`).

    Returns:
        The host's model dictionary (backbone, head, scales, nc, ...) with the key `fusion`.

    Raises:
        FileNotFoundError: If there is no such YAML, or the host has no such detector.
        ValueError: If it names no detector, has an unknown key, or its `fusion:` section is wrong.
        TypeError: If a value of the `fusion:` section is of the wrong type.
    """
    path = find_model_yaml(name)
    own = read_yaml(path)
    if not isinstance(own.get("detector"), str):
        raise ValueError(
            f"model YAML '{path}' has no 'detector:'; expected the name of an Ultralytics detection YAML, "
            f"such as 'detector: yolov8.yaml'"
        )
    FusionConfig.from_dict(own.get("fusion"))
    try:
        model = yaml_model_load(own["detector"])
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"'detector: {own['detector']}' of '{path}' does not exist; give a detection YAML of Ultralytics, such as "
            f"yolov8.yaml"
        ) from error
    if "head" not in model or "Detect" not in model["head"][-1][2]:
        raise ValueError(
            f"'detector: {own['detector']}' of '{path}' is no detection model; give one such as yolov8.yaml"
        )
    known = {"detector", "fusion", *HOST_KEYS, *model}
    for key in own:
        if key not in known:
            raise ValueError(f"unknown key '{key}' in '{path}', {nearest(key, known)}")
    scale = own.get("scale") or split_scale(Path(name).name)[1] or model["scale"] or "n"
    if scale not in model.get("scales", {scale: ()}):
        raise ValueError(f"'scale: {scale}' in '{path}' is unknown, {nearest(scale, model['scales'])}")
    if type(own.get("nc", 1)) is not int or own.get("nc", 1) < 1:
        raise ValueError(f"'nc: {own['nc']}' in '{path}' must be a number of classes, 1 or more")
    for key in ("backbone", "head"):
        if not own.get(key, model[key]):
            raise ValueError(f"'{key}:' in '{path}' is empty; give its layers, or leave it out")
    return {**model, **own, "scale": scale, "yaml_file": Path(name).name}


class FusionDetectionModel(DetectionModel):
    """A stock detector (`model`) that reads images made by a fusion front-end (`fusion`).

    A batch (B, 4, H, W) is a pair and gets fused; a batch (B, 3, H, W) counts as fused already and goes to the
    detector unchanged, so that every output of the stock model can be had from this one.

    Attributes:
        fusion: The front-end.
        config: Its configuration.
        joint: Whether the detection loss reaches the front-end; the trainer sets it by the phase.

    Args:
        cfg: Name or path of a model YAML, or the dictionary of a checkpoint.
        ch: Channels of the input: 4, as the host passes what the data set says.
        nc: Number of classes, None for what the YAML says.
        verbose: Whether to log a summary.

    Raises:
        ValueError: If `ch` is neither 3 nor 4, or the `fusion:` section is wrong.
    """

    def __init__(
        self,
        cfg: str | Path | dict[str, Any] = "metafusion-yolov8n.yaml",
        ch: int = NUM_CHANNELS,
        nc: int | None = None,
        verbose: bool = True,
    ) -> None:
        if ch not in (3, NUM_CHANNELS):
            raise ValueError(f"a pair has {NUM_CHANNELS} channels (R, G, B, IR), the data set says {ch}")
        cfg = cfg if isinstance(cfg, dict) else load_model_yaml(cfg)
        super().__init__(cfg, ch=3, nc=nc, verbose=False)  # the host probes the strides before `fusion` exists
        self.yaml["channels"] = NUM_CHANNELS
        self.config = FusionConfig.from_dict(self.yaml.get("fusion"))
        self.fusion = build_fusion(self.config)
        self.teacher = self._build_teacher()
        self.joint = True
        self.batches = 0  # of training, to count the interval of the look-ahead
        if verbose:
            self.info()

    def fuse_images(self, pair: Tensor) -> FusionOutput:
        """Fuse a batch of pairs (B, 4, H, W), R, G, B, IR in [0, 1]; `fuse` is the host's folding of batch norms."""
        return self.fusion(pair)

    def _build_teacher(self) -> MetaTeacher | None:
        """Build the teacher of the meta-features, unless there are none or nothing is to be taught."""
        config = self.config
        if config.method != "learned" or not config.attention or not config.teaches:
            return None
        return MetaTeacher(self.model, len(self.yaml["backbone"]), config.meta_channels, config.meta.levels)

    def _predict_once(self, x: Tensor, profile: bool = False, embed: list[int] | None = None) -> Any:
        """Fuse a pair before the host's forward, and hand on beside the detector's raw output what the loss needs.

        The host's dictionary of raw predictions gets `fusion`, the :class:`FusionOutput`, and `backbone`, the features
        of the backbone by stride if there is a teacher.
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
        """Fuse a pair once and augment the fused image: a scaled pair has borders, where a blank camera has none."""
        if x.shape[1] == NUM_CHANNELS:
            x = self.fuse_images(x)["fused"]
        return super()._predict_augment(x)

    def _shown_to_detector(self, output: FusionOutput) -> Tensor:
        """Return the fused image; outside the joint phases without its gradient."""
        return output["fused"] if self.joint else output["fused"].detach()

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the joint loss of a batch of pairs, or the host's of images that count as fused already.

        With `clean` in the batch, the luminance that the pair should be fused to, no detector and no label has a part
        in it: see :mod:`metafusion_yolo.nn.universal`.
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
        """Count a training batch, and tell whether its turn has come.

        A batch of one pair has no second half, and a frozen front-end nothing to learn from it.
        """
        interval = self.config.meta.interval
        self.batches += 1
        if interval == 0 or self.config.gains.look_ahead == 0 or size < 2:
            return False
        return self.batches % interval == 0 and any(p.requires_grad for p in self.fusion.parameters())

    def _look_ahead(self, teacher: MetaTeacher, batch: dict[str, Any], features: dict[int, Tensor]) -> Tensor:
        """Return the weighted look-ahead: one half of the batch for the inner step, the other for the outer loss."""
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
        """Load a stock or a fused checkpoint, and its class names if this model has none of its own yet."""
        super().load(weights, verbose)
        source = weights.get("ema") or weights["model"] if isinstance(weights, dict) else weights
        names = dict(getattr(source, "names", {}))
        if getattr(self, "names", None) == {i: str(i) for i in range(len(names))}:
            self.names = names

    def init_criterion(self) -> FusionDetectionLoss:
        """Put the fusion losses beside the host's criterion of this head."""
        return FusionDetectionLoss(super().init_criterion(), self.config.gains, self.config.meta.distance)

    def info(self, detailed: bool = False, verbose: bool = True, imgsz: int | list[int] = 640) -> Any:
        """Log the host's summary, whose GFLOPs are the detector's, and the front-end's own."""
        summary = super().info(detailed=detailed, verbose=verbose, imgsz=imgsz)
        if verbose:
            LOGGER.info(
                f"Fusion front-end (included above but for GFLOPs): {get_num_params(self.fusion):,} parameters, "
                f"{front_end_gflops(self.fusion, imgsz):.2f} GFLOPs"
            )
        return summary


def build_fusion(config: FusionConfig) -> FusionNet | PixelRule:
    """Build the front-end of a configuration: a network, or a fixed rule without parameters."""
    if config.method != "learned":
        return PixelRule(config.method)
    fusion = FusionNet(
        config.channels,
        config.meta_channels,
        config.heads,
        attention=config.attention,
        start=config.start,
        share_jitter=config.augment.share_jitter,
    )
    if config.starts_trained:
        fusion.load_state_dict(load_start())
    return fusion.to(memory_format=torch.channels_last)  # training on a CPU takes 0.78 x the time


def front_end_gflops(fusion: nn.Module, imgsz: int | list[int] = 640) -> float:
    """Return the GFLOPs (two per multiplication with addition) of the front-end for one pair.

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
