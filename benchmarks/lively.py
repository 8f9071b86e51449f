"""Models of random weights that find many boxes of many scores, in any image: for speed, crowds and identity."""

from __future__ import annotations

import torch

from metafusion_yolo import MetaFusionYOLO


def lively(yaml: str, bias: float) -> MetaFusionYOLO:
    """Return a model of random weights, the same ones every time.

    Args:
        yaml: Its YAML.
        bias: Of the scores before the sigmoid; the higher it is, the more boxes.
    """
    torch.manual_seed(0)
    model = MetaFusionYOLO(yaml)
    for module in model.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # takes the statistics of the one batch, so that features have a spread of 1
    with torch.no_grad():
        model.model.train()(torch.rand(4, 4, 64, 64))
    model.model.eval()
    for branch in model.model.model[-1].cv3:
        torch.nn.init.normal_(branch[-1].weight, std=0.2)
        torch.nn.init.constant_(branch[-1].bias, bias)
    return model
