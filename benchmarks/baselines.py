"""Detectors of pairs that are no image fusion: two backbones, two detectors. Baselines only, as early fusion is."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel

from metafusion_yolo.compare.early import CONFIG, BaselineTrainer
from metafusion_yolo.config import Augment, FusionConfig
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.teaching import backbone_taps


class MidFusionModel(DetectionModel):
    """A detector with a backbone for each camera, joined at strides 8, 16 and 32 by concatenation.

    A 1x1 convolution takes the joined features back to the channels that neck and head expect. It starts as their
    mean, so that the pretrained neck begins on features it knows; both backbones start from the same checkpoint.
    """

    config = CONFIG
    joint = True

    def __init__(self, cfg: dict[str, Any], nc: int, verbose: bool = False) -> None:
        super().__init__(cfg, ch=3, nc=nc, verbose=verbose)
        self.yaml["channels"] = NUM_CHANNELS
        self.depth = len(self.yaml["backbone"])
        self.infrared_backbone = deepcopy(self.model[: self.depth])
        levels = [taps for stride, taps in backbone_taps(self.model[: self.depth]).items() if stride >= 8]
        self.joins = nn.ModuleDict({str(i): nn.Conv2d(2 * c, c, kernel_size=1) for i, c in levels})
        for join in self.joins.values():
            eye = torch.eye(join.out_channels)[:, :, None, None]
            join.weight.data.copy_(torch.cat((eye, eye), 1) / 2)
            nn.init.zeros_(join.bias)

    def load(self, weights: Any, verbose: bool = True) -> None:
        """Start both backbones from the checkpoint."""
        super().load(weights, verbose)
        self.infrared_backbone.load_state_dict(self.model[: self.depth].state_dict())

    def _predict_once(self, x: Tensor, profile: bool = False, embed: list[int] | None = None) -> Any:
        """Run both backbones, join them, and go on with neck and head."""
        if x.shape[1] != NUM_CHANNELS:
            return super()._predict_once(x, profile, embed)
        visible, infrared = x[:, :3], x[:, 3:].expand(-1, 3, -1, -1)
        saved: list[Tensor | None] = []
        for i, layer in enumerate(self.model[: self.depth]):
            visible, infrared = layer(visible), self.infrared_backbone[i](infrared)
            joined = self.joins[str(i)](torch.cat((visible, infrared), 1)) if str(i) in self.joins else None
            saved.append(joined if i in self.save else None)
        x = joined
        for layer in self.model[self.depth :]:
            if layer.f != -1:
                x = saved[layer.f] if isinstance(layer.f, int) else [x if j == -1 else saved[j] for j in layer.f]
            x = layer(x)
            saved.append(x if layer.i in self.save else None)
        return x


class LateFusionModel(nn.Module):
    """Two single-camera detectors, whose boxes go through one non-maximum suppression together."""

    def __init__(self, visible: nn.Module, infrared: nn.Module) -> None:
        super().__init__()
        self.visible, self.infrared = visible, infrared
        self.names, self.stride, self.yaml = visible.names, visible.stride, visible.yaml

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the decoded boxes of both, (B, 4 + classes, 2 N)."""
        return torch.cat([model(x)[0] for model in (self.visible, self.infrared)], 2)

    def fuse(self, verbose: bool = True) -> LateFusionModel:
        """Fold batch norms, as the host asks before inference."""
        self.visible.fuse(verbose=False)
        self.infrared.fuse(verbose=False)
        return self


class MidFusionTrainer(BaselineTrainer):
    """Trains :class:`MidFusionModel`."""

    model_class = MidFusionModel


class SpoiltMidFusionTrainer(MidFusionTrainer):
    """Trains it on pairs that are spoilt as often as those of the default."""

    @property
    def augmentation(self) -> Augment:
        """Augmentation of the training pairs."""
        return replace(super().augmentation, degradation=FusionConfig().augment.degradation)


torch.serialization.add_safe_globals([MidFusionModel])  # which its own checkpoints hold
