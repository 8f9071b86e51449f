"""Meta-features: what the detector's backbone would see in the fused image, predicted from the pair."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from metafusion_yolo.nn.blocks import ConvAct


class MetaFeatureExtractor(nn.Module):
    """Predict meta-features at strides 16 and 32 from the fusion features at stride 8.

    They do not need the detector, so inference takes a single pass.

    Source: this project; the idea of meta-features is Zhao et al., "MetaFusion", CVPR 2023, where they are made from
    the detector's features themselves and exist during training only.

    Args:
        channels: Channels of the fusion features.
        meta_channels: Channels of the meta-features, the same at both strides.
    """

    def __init__(self, channels: int, meta_channels: int) -> None:
        super().__init__()
        self.middle = ConvAct(channels, meta_channels, kernel=2, stride=2)
        self.coarse = ConvAct(meta_channels, meta_channels, kernel=2, stride=2)

    def forward(self, features: Tensor) -> dict[int, Tensor]:
        """Return the meta-features by stride, 16 and 32.

        Args:
            features: Fusion features at stride 8 (B, C, H, W).

        Returns:
            (B, meta_channels, H / 2, W / 2) and (B, meta_channels, H / 4, W / 4).
        """
        middle = self.middle(features)
        return {16: middle, 32: self.coarse(middle)}


class MetaProjection(nn.ModuleDict):
    """Project meta-features into the space of the detector's backbone features. Used in training only.

    One linear map per level, so that the meta-features themselves must carry what the detector sees.

    Source: this project, after the feature transform of MetaFusion, which goes the other way.

    Args:
        meta_channels: Channels of the meta-features.
        target_channels: Channels of the backbone features by stride.
    """

    def __init__(self, meta_channels: int, target_channels: Mapping[int, int]) -> None:
        super().__init__({str(s): nn.Conv2d(meta_channels, c, kernel_size=1) for s, c in target_channels.items()})

    def forward(self, meta_features: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Return predicted backbone features by stride, each (B, target channels, H / stride, W / stride)."""
        return {int(stride): project(meta_features[int(stride)]) for stride, project in self.items()}
