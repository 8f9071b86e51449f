"""Two detectors of one camera each: a baseline without any fusion of images or features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


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
