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


def without_grid(image: Tensor) -> Tensor:
    """Smooth an image (B, 1, H, W) by the weights 1, 2, 1 in both directions: the 2 x 2 pattern of pixel shuffle goes.

    Slices instead of a convolution or a pooling, which take 6 and 20 times as long for a single channel on a CPU.
    """
    x = F.pad(image, (1, 1, 1, 1), mode="reflect")  # repeated pixels would leave the pattern at the border
    x = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 16
