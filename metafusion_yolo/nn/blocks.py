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


class PatchConv(nn.Conv2d):
    """Convolution of patches that do not overlap.

    In training it is written as a matrix product of the patches: the same numbers, and on a CPU the gradient of the
    kernel takes a sixth of the time.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        size: Side of a patch.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=size, stride=size)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, out_channels, H / size, W / size) of (B, in_channels, H, W), H and W multiples of the size."""
        if not self.training:
            return super().forward(image)
        patches = F.pixel_unshuffle(image, self.kernel_size[0])
        return F.conv2d(patches, self.weight.flatten(1)[..., None, None], self.bias)


class Encoder(nn.Module):
    """Features of one camera at strides 4 and 8.

    Args:
        channels: Width at stride 8; half of it at stride 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(PatchConv(1, channels // 2, size=4), nn.SiLU(inplace=True))
        self.body = ConvAct(channels // 2, channels, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (B, channels / 2, H / 4, W / 4) and (B, channels, H / 8, W / 8) of (B, 1, H, W)."""
        stem = self.stem(image)
        return stem, self.body(stem)


class Upsample(nn.Module):
    """Upsample a map by bilinear interpolation, written as a convolution and a pixel shuffle.

    The same numbers as `F.interpolate(..., mode="bilinear", align_corners=False)`, which takes several times as long
    in OpenVINO when there are few channels.

    Args:
        factor: How many times as high and wide the map becomes.
    """

    kernel: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        offset = (torch.arange(factor) + 0.5) / factor - 0.5  # of a new pixel from the middle of the old one
        taps = torch.stack((-offset, 1 - offset.abs(), offset), 1).clamp(min=0)  # of the one before, its own, the next
        kernel = (taps[:, None, :, None] * taps[None, :, None, :]).reshape(factor**2, 1, 3, 3)
        self.register_buffer("kernel", kernel, persistent=False)
        self.shuffle = nn.PixelShuffle(factor)

    def forward(self, image: Tensor) -> Tensor:
        """Return a map (B, 1, H, W) as (B, 1, factor * H, factor * W)."""
        pixels = F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), self.kernel)  # (B, factor^2, H, W)
        return self.shuffle(pixels.contiguous())  # several times faster than from channels-last
