"""Models and batches that the tests of the detection model share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn
from ultralytics.cfg import get_cfg

from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel

TAUGHT = {  # whatever the defaults are; without jitter, so that two forwards in training can be compared
    "attention": True,
    "gains": {"meta": 1.0},
    "meta": {"interval": 0},
    "augment": {"share_jitter": 0.0},
}


def random_pair(height: int = 64, width: int = 96, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 4, height, width, generator=torch.Generator().manual_seed(0))


def labelled(images: torch.Tensor) -> dict:
    return {
        "img": images,
        "cls": torch.tensor([[0.0], [1.0], [2.0]]),
        "bboxes": torch.tensor([[0.5, 0.5, 0.6, 0.4], [0.3, 0.4, 0.3, 0.5], [0.7, 0.6, 0.4, 0.4]]),
        "batch_idx": torch.tensor([0.0, 0.0, 1.0]),
    }


def settled(model: FusionDetectionModel, seed: int = 0) -> FusionDetectionModel:
    """Give batch norms, class scores and zero-initialised layers spread values, as if the model had been trained."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    with torch.no_grad():
        for branch in [*model.model[-1].cv3, *getattr(model.model[-1], "one2one_cv3", [])]:
            branch[-1].bias.zero_()  # the host starts near a score of 0
        for name, parameter in model.fusion.named_parameters():
            if name in ("attention.to_out.weight", "decoder.maps.weight"):
                parameter.normal_(0, 0.1, generator=generator)
    return model


def fused_model(family: str = "yolov8", scale: str = "n", nc: int = 80, **fusion: Any) -> FusionDetectionModel:
    """Return a model that is taught, with changes to the `fusion:` section."""
    torch.manual_seed(0)
    content = {**load_model_yaml(f"metafusion-{family}{scale}.yaml"), "fusion": {"meet": "image", **TAUGHT, **fusion}}
    model = settled(FusionDetectionModel(content, nc=nc, verbose=False))
    model.args = get_cfg()
    return model


def write_yaml(folder: Path, name: str = "metafusion-yolov8.yaml", **content) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
