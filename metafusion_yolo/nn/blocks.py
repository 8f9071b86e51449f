"""Convolutional parts of the front-end, without normalisation layers so that absolute brightness is kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvAct(nn.Sequential):
    """Convolution and ReLU, which every runtime fuses into one operation.

    The output has the size of the input divided by the stride. Kernels as wide as their stride take adjacent patches;
    wider ones replicate the border, since zeros would show as a frame in the image.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel: Kernel size in pixels: the stride plus an even number, 0 included.
        stride: Stride in pixels.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        padding = (kernel - stride) // 2
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, kernel, stride, padding, padding_mode="replicate" if padding else "zeros"
            ),
            nn.ReLU(inplace=True),
        )


class Encoder(nn.Module):
    """Features of one camera at strides 4 and 8.

    Args:
        channels: Width at stride 8; half of it at stride 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = ConvAct(1, channels // 2, kernel=4, stride=4)
        self.body = ConvAct(channels // 2, channels, kernel=2, stride=2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (B, channels / 2, H / 4, W / 4) and (B, channels, H / 8, W / 8) of (B, 1, H, W)."""
        stem = self.stem(image)
        return stem, self.body(stem)


class Upsample(nn.Module):
    """Upsample a map by bilinear interpolation; exports use a convolution and a pixel shuffle instead.

    Both give the same numbers. On maps with few channels interpolation is faster in PyTorch, the convolution several
    times faster in OpenVINO.

    Args:
        factor: Factor by which height and width grow.

    Attributes:
        export: Whether a runtime other than PyTorch will run it; the exporter sets it.
    """

    kernel: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.export = False
        offset = (torch.arange(factor) + 0.5) / factor - 0.5  # from the middle of the old pixel to that of the new one
        taps = torch.stack((-offset, 1 - offset.abs(), offset), 1).clamp(min=0)  # on the previous, own and next pixel
        kernel = (taps[:, None, :, None] * taps[None, :, None, :]).reshape(factor**2, 1, 3, 3)
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return a map (B, 1, H, W) as (B, 1, factor * H, factor * W)."""
        if not self.export:
            return F.interpolate(image, scale_factor=self.factor, mode="bilinear", align_corners=False)
        pixels = F.conv2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), self.kernel)  # (B, factor^2, H, W)
        return F.pixel_shuffle(pixels, self.factor)


def resize(maps: Tensor, like: Tensor) -> Tensor:
    """Interpolate maps (B, C, h, w) to the height and width of others."""
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)
