"""Meta-features: what the detector's backbone would say about the fused image, predicted from the pair."""

from __future__ import annotations

from torch import Tensor, nn

from metafusion_yolo.nn.blocks import ConvAct


class MetaFeatureExtractor(nn.Module):
    """Predict meta-features at strides 16 and 32 from the fusion features at stride 8.

    The detector need not run for it, so inference takes a single pass.

    Source: this project; the idea of meta-features is Zhao et al., "MetaFusion", CVPR 2023, where they are made from
    the detector's features themselves and exist during training only.

    Args:
        channels: Channels of the fusion features.
        meta_channels: Channels of the meta-features, the same at both strides.
    """

    def __init__(self, channels: int, meta_channels: int) -> None:
        super().__init__()
        self.middle = ConvAct(channels, meta_channels, stride=2)
        self.coarse = ConvAct(meta_channels, meta_channels, stride=2)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the meta-features of the fusion features.

        Args:
            features: (B, C, H, W).

        Returns:
            (B, meta_channels, H / 2, W / 2) and (B, meta_channels, H / 4, W / 4).
        """
        middle = self.middle(features)
        return middle, self.coarse(middle)
