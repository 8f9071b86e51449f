"""Convolutional parts of the front-end against loops in float64."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from metafusion_yolo.nn.blocks import ConvAct, Encoder, Upsample
from metafusion_yolo.nn.fusion import FusionNet


def random_image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def naive_conv(image: np.ndarray, conv: nn.Conv2d) -> np.ndarray:
    """Cross-correlate an image (C, H, W) whose border is repeated outward, one output value at a time."""
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    (kernel, stride, padding) = (conv.kernel_size[0], conv.stride[0], conv.padding[0])
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode="edge")
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in image.shape[1:])
    out = np.zeros((len(weight), height, width))
    for c in range(len(weight)):
        for y in range(height):
            for x in range(width):
                window = padded[:, y * stride : y * stride + kernel, x * stride : x * stride + kernel]
                out[c, y, x] = (weight[c] * window).sum() + bias[c]
    return out


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (2, 2), (4, 2), (5, 1)])
def test_conv_act_matches_loops(kernel, stride) -> None:
    torch.manual_seed(0)
    block = ConvAct(3, 4, kernel, stride).double()
    image = random_image(2, 3, 6, 10)
    out = block(image)
    assert out.shape == (2, 4, 6 // stride, 10 // stride)
    assert (out == 0).any()
    for i in range(2):
        expected = naive_conv(image[i].numpy(), block[0]).clip(min=0)
        np.testing.assert_allclose(out[i].detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (320, 256)])
def test_encoder_gives_strides_4_and_8(size) -> None:
    height, width = size
    stem, body = Encoder(12)(torch.rand(2, 1, height, width))
    assert stem.shape == (2, 6, height // 4, width // 4)
    assert body.shape == (2, 12, height // 8, width // 8)


def test_encoder_matches_loops() -> None:
    torch.manual_seed(0)
    encoder = Encoder(8).double()
    image = random_image(1, 1, 16, 24)
    stem, body = encoder(image)
    expected_stem = naive_conv(image[0].numpy(), encoder.stem[0]).clip(min=0)
    np.testing.assert_allclose(stem[0].detach().numpy(), expected_stem, atol=1e-12)
    expected_body = naive_conv(expected_stem, encoder.body[0]).clip(min=0)
    np.testing.assert_allclose(body[0].detach().numpy(), expected_body, atol=1e-12)


@pytest.mark.parametrize("export", [False, True])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_upsample_is_bilinear_interpolation(factor, size, export) -> None:
    image = random_image(2, 1, *size)
    upsample = Upsample(factor).double()
    upsample.export = export
    expected = functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample(image), expected, atol=1e-7, rtol=0)


def test_upsample_has_nothing_to_load() -> None:
    assert Upsample(4).state_dict() == {}


def test_featureless_images_show_no_frame() -> None:
    torch.manual_seed(0)
    grey = torch.full((1, 1, 64, 64), 0.4, dtype=torch.float64)
    features = [*Encoder(8).double()(grey), ConvAct(1, 4, 4, 2).double()(grey), Upsample(4).double()(grey)]
    for plane in features:
        torch.testing.assert_close(plane, plane[..., :1, :1].expand_as(plane))


def test_gradcheck() -> None:
    torch.manual_seed(0)
    image = random_image(1, 1, 8, 8).requires_grad_()
    assert torch.autograd.gradcheck(Encoder(2).double(), image)
    assert torch.autograd.gradgradcheck(Encoder(2).double(), image)  # the look-ahead differentiates twice
    assert torch.autograd.gradcheck(Upsample(2).double(), image)


def test_nothing_normalises_brightness_away() -> None:
    spatial = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
    assert [name for name, module in FusionNet().named_modules() if isinstance(module, spatial)] == []
