"""Fixed fusion rules: the baseline that a learned fusion has to beat."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import FusionOutput


class PixelRule(nn.Module):
    """Fuse a pair by a fixed rule, in place of :class:`~metafusion_yolo.nn.fusion.FusionNet`.

    | rule | image |
    |---|---|
    | visible, infrared | one camera alone, the infrared one in grey |
    | average, maximum | mean or maximum of the two at every pixel, in each of R, G and B |
    | false-colour | visible luminance, mean of luminance and infrared, infrared as R, G and B |

    Args:
        rule: See above.
    """

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, pair: Tensor) -> FusionOutput:
        """Fuse a batch of pairs (B, 4, H, W), R, G, B, IR in [0, 1]; weights are 0.5 where the rule defines none."""
        visible, infrared = pair[:, :3], pair[:, 3:]
        luminance = rgb_to_luminance(visible)
        infrared_weight = torch.full_like(luminance, {"visible": 0.0, "infrared": 1.0}.get(self.rule, 0.5))
        if self.rule == "maximum":
            infrared_weight = (infrared > luminance).to(luminance.dtype)
            fused = torch.maximum(visible, infrared.expand_as(visible))
        elif self.rule == "false-colour":
            fused = torch.cat((luminance, (luminance + infrared) / 2, infrared), 1)
        else:
            fused = torch.lerp(visible, infrared.expand_as(visible), infrared_weight)
        share = 1 - infrared_weight
        return FusionOutput(
            weights=F.avg_pool2d(torch.cat((share, infrared_weight), 1), 4),
            coefficients=F.avg_pool2d(torch.cat((share, infrared_weight, 0 * share, share), 1), 4),
            meta_features={},
            blend=lambda: rgb_to_luminance(fused),
            colour=lambda _: fused,
        )
