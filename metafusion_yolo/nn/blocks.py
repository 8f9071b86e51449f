"""Convolutional parts of the front-end. No normalisation layers: fusion keeps absolute brightness."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvAct(nn.Sequential):
    """Convolution with same padding, then SiLU. The border is replicated: zeros would show as a frame in the image.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Kernel size, odd.
        stride: Stride.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, padding_mode="replicate"),
            nn.SiLU(inplace=True),
        )


class Encoder(nn.Module):
    """Features of one camera at strides 4 and 8.

    Args:
        in_channels: 3 for the visible image, 1 for the infrared.
        channels: Width at stride 8; half of it at stride 4.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels // 2, kernel_size=4, stride=4), nn.SiLU(inplace=True))
        self.body = ConvAct(channels // 2, channels, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (B, channels / 2, H / 4, W / 4) and (B, channels, H / 8, W / 8)."""
        stem = self.stem(image)
        return stem, self.body(stem)


class DetailBranch(nn.Module):
    """A thin residual on the luminance, computed at half resolution on unshuffled pixels. Starts at zero.

    It is bounded, so that it sharpens but cannot take the place of the weights: unbounded, it carried a whole camera
    and left weight maps that said nothing.

    Args:
        channels: Hidden width.
        limit: Largest change of the luminance, in (0, 1].
    """

    def __init__(self, channels: int, limit: float = 0.1) -> None:
        super().__init__()
        self.limit = limit
        self.unshuffle = nn.PixelUnshuffle(2)
        self.hidden = ConvAct(8, channels)
        self.residual = nn.Conv2d(channels, 4, kernel_size=3, padding=1, padding_mode="replicate")
        self.shuffle = nn.PixelShuffle(2)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)  # type: ignore[arg-type]

    def forward(self, luminance: Tensor, infrared: Tensor) -> Tensor:
        """Return the residual (B, 1, H, W) for two single-channel images of that size, in [-limit, limit]."""
        sources = self.unshuffle(torch.cat((luminance, infrared), 1))  # (B, 8, H/2, W/2)
        residual = torch.tanh(self.residual(self.hidden(sources)))  # (B, 4, H/2, W/2)
        residual = self.shuffle(residual.contiguous())  # several times faster than from channels-last
        return self.limit * without_grid(residual)


class ContrastRestoration(nn.Module):
    """Give back local contrast that blending took: what shows in one camera alone is halved by an even blend.

    An unsharp mask of the blend, strongest where the blend is even and 0 where one camera stands alone.

    Source: this project. Unsharp masking raised what a frozen detector reads from an even blend, and not what it reads
    from either camera, see docs/experiments.md.

    Args:
        strength: Share of the fine structure that is added to an even blend before training; learned from there.
        scale: Size in pixels below which structure is fine.
    """

    def __init__(self, strength: float, scale: int = 8) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(strength))
        self.scale = scale

    def forward(self, blend: Tensor, infrared_weight: Tensor) -> Tensor:
        """Return what to add to a blend (B, 1, H, W) made with the weight (B, 1, H, W); H, W multiples of the scale."""
        coarse = F.avg_pool2d(blend, self.scale)
        coarse = F.interpolate(coarse, size=blend.shape[-2:], mode="bilinear", align_corners=False)
        evenness = 4 * infrared_weight * (1 - infrared_weight)
        return self.strength * evenness * (blend - coarse)


class ThermalTint(nn.Module):
    """Say in the colour what is warm: chroma has room for what one luminance cannot hold.

    The infrared image minus the luminance, relative to its surroundings, so that no large area takes a cast; strongest
    where the blend is even and 0 where one camera stands alone.

    Source: this project. It raised what a frozen detector reads from a blend, see docs/experiments.md.

    Args:
        strength: Factor on the difference before training; learned from there.
        surroundings: Side of the surroundings in cells of stride 4.
    """

    def __init__(self, strength: float, surroundings: int = 8) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(strength))
        self.surroundings = surroundings

    def forward(self, luminance: Tensor, infrared: Tensor, infrared_weight: Tensor) -> Tensor:
        """Return the warmth (B, 1, H / 4, W / 4).

        Args:
            luminance: Of the visible image (B, 1, H, W), H and W multiples of 4 times the surroundings.
            infrared: Infrared image (B, 1, H, W).
            infrared_weight: Share of the infrared camera (B, 1, H / 4, W / 4).
        """
        difference = F.avg_pool2d(infrared - luminance, 4)
        around = F.avg_pool2d(difference, self.surroundings)
        around = F.interpolate(around, size=difference.shape[-2:], mode="bilinear", align_corners=False)
        evenness = 4 * infrared_weight * (1 - infrared_weight)
        return self.strength * evenness * (difference - around)


def without_grid(image: Tensor) -> Tensor:
    """Smooth an image (B, 1, H, W) by the weights 1, 2, 1 in both directions: the 2 x 2 pattern of pixel shuffle goes.

    Slices instead of a convolution or a pooling, which take 6 and 20 times as long for a single channel on a CPU.
    """
    x = F.pad(image, (1, 1, 1, 1), mode="reflect")  # repeated pixels would leave the pattern at the border
    x = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 16
