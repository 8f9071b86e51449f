"""Early fusion, the simplest rival of image fusion: a stock detector whose first convolution reads both cameras."""

from typing import Any

import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from metafusion_yolo.config import FusionConfig
from metafusion_yolo.data.rig import INPUT_KEY, input_description
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.model_yaml import load_model_yaml

CONFIG = FusionConfig.from_dict(
    {
        "method": "average",
        "augment": {"modality_dropout": 0.0, "degradation": 0.0},
        "schedule": {"warmup": {"fraction": 0.0}, "joint": {"fraction": 1.0}, "finetune": {"fraction": 0.0}},
    }
)


class EarlyFusionModel(DetectionModel):
    """A stock detector whose first convolution reads R, G, B and IR.

    R, G and B keep the kernels of a checkpoint, IR starts with their mean, and all are scaled by 3/4, so that a grey
    pair gives the same features as a grey image did.
    """

    config = CONFIG
    joint = True

    def __init__(self, cfg: dict[str, Any], nc: int, verbose: bool = False) -> None:
        super().__init__(cfg, ch=NUM_CHANNELS, nc=nc, verbose=verbose)

    def load(self, weights: Any, verbose: bool = True) -> None:
        """Widen the stem of the checkpoint."""
        super().load(weights, verbose)
        with torch.no_grad():
            stem = self.model[0].conv.weight
            stem[:, 3] = stem[:, :3].mean(1)
            stem *= 3 / 4


class BaselineTrainer(FusionDetectionTrainer):
    """Train a detector without image fusion on pairs, with the host's losses only."""

    model_class: type[DetectionModel]

    def get_model(self, cfg: Any = None, weights: nn.Module | None = None, verbose: bool = True) -> Any:
        """Build the detector that the fused model's YAML names, and load a stock checkpoint."""
        model = self.set_model_names_for_load(self.model_class(load_model_yaml(cfg), nc=self.data["nc"]))
        if weights:
            model.load(weights, verbose)
        model.yaml[INPUT_KEY] = input_description(self._rig)
        return model


class EarlyFusionTrainer(BaselineTrainer):
    """Train an :class:`EarlyFusionModel`."""

    model_class = EarlyFusionModel


torch.serialization.add_safe_globals([EarlyFusionModel])  # its checkpoints contain it
