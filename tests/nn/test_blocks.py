"""Convolutional parts of the front-end against loops in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from metafusion_yolo.nn.blocks import ConvAct, DetailBranch, Encoder, without_grid
from metafusion_yolo.nn.fusion import FusionNet


def random_image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


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


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2)])
def test_conv_act_matches_loops(kernel, stride) -> None:
    torch.manual_seed(0)
    block = ConvAct(3, 4, kernel, stride).double()
    image = random_image(2, 3, 6, 10)
    out = block(image)
    assert out.shape == (2, 4, 6 // stride, 10 // stride)
    for i in range(2):
        expected = silu(naive_conv(image[i].numpy(), block[0]))
        np.testing.assert_allclose(out[i].detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (320, 256)])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_encoder_gives_strides_4_and_8(in_channels, size) -> None:
    height, width = size
    stem, body = Encoder(in_channels, 12)(torch.rand(2, in_channels, height, width))
    assert stem.shape == (2, 6, height // 4, width // 4)
    assert body.shape == (2, 12, height // 8, width // 8)


def test_encoder_matches_loops() -> None:
    torch.manual_seed(0)
    encoder = Encoder(3, 8).double()
    image = random_image(1, 3, 16, 24)
    stem, body = encoder(image)
    expected_stem = silu(naive_conv(image[0].numpy(), encoder.stem[0]))
    np.testing.assert_allclose(stem[0].detach().numpy(), expected_stem, atol=1e-12)
    np.testing.assert_allclose(body[0].detach().numpy(), silu(naive_conv(expected_stem, encoder.body[0])), atol=1e-12)


def test_detail_starts_at_zero_and_learns() -> None:
    branch = DetailBranch(4).double()
    luminance, infrared = random_image(2, 1, 8, 12), random_image(2, 1, 8, 12, seed=1)
    detail = branch(luminance, infrared)
    assert torch.equal(detail, torch.zeros(2, 1, 8, 12, dtype=torch.float64))
    detail.sum().backward()
    assert branch.residual.weight.grad.abs().max() > 0
    assert branch.residual.bias.grad.abs().min() > 0


def test_detail_matches_loops() -> None:
    torch.manual_seed(0)
    branch = DetailBranch(4).double()
    nn.init.normal_(branch.residual.weight)
    nn.init.normal_(branch.residual.bias)
    luminance, infrared = random_image(1, 1, 8, 12), random_image(1, 1, 8, 12, seed=1)
    # each cell of the half-resolution grid holds the four pixels of a source in reading order
    cells = np.zeros((8, 4, 6))
    for s, source in enumerate((luminance, infrared)):
        for y in range(8):
            for x in range(12):
                cells[4 * s + 2 * (y % 2) + x % 2, y // 2, x // 2] = source[0, 0, y, x]
    residual = 0.1 * np.tanh(naive_conv(silu(naive_conv(cells, branch.hidden[0])), branch.residual))
    expected = np.zeros((8, 12))
    for y in range(8):
        for x in range(12):
            expected[y, x] = residual[2 * (y % 2) + x % 2, y // 2, x // 2]
    detail = branch(luminance, infrared)[0, 0].detach().numpy()
    np.testing.assert_allclose(detail, naive_smoothing(expected), atol=1e-12)


def naive_smoothing(image: np.ndarray) -> np.ndarray:
    """Weigh neighbours by 1, 2, 1 in both directions; beyond the border the image is mirrored about its last pixel."""
    height, width = image.shape
    mirrored = np.pad(image, 1, mode="reflect")
    window = np.outer([1, 2, 1], [1, 2, 1]) / 16
    return np.array([[(window * mirrored[y : y + 3, x : x + 3]).sum() for x in range(width)] for y in range(height)])


def test_no_grid_is_left_of_a_pattern_of_two_pixels() -> None:
    pattern = torch.tensor([[1.0, 3.0], [7.0, 9.0]]).repeat(1, 1, 4, 6)
    torch.testing.assert_close(without_grid(pattern), torch.full((1, 1, 8, 12), 5.0))
    plain = torch.full((1, 1, 8, 12), 0.3)
    torch.testing.assert_close(without_grid(plain), plain)


@pytest.mark.parametrize("limit", [0.1, 0.5])
def test_detail_is_bounded(limit) -> None:
    branch = DetailBranch(4, limit)
    nn.init.normal_(branch.residual.weight, std=30, generator=torch.Generator().manual_seed(0))
    detail = branch(random_image(1, 1, 8, 12).float(), random_image(1, 1, 8, 12, seed=1).float())
    assert limit * 0.9 < detail.abs().max() <= limit


def test_featureless_images_show_no_frame() -> None:
    torch.manual_seed(0)
    grey = torch.full((1, 3, 64, 64), 0.4, dtype=torch.float64)
    features = [*Encoder(3, 8).double()(grey), ConvAct(3, 4, 3, 2).double()(grey)]
    branch = DetailBranch(4).double()
    nn.init.normal_(branch.residual.weight)
    detail = branch(grey[:, :1], grey[:, 1:2])
    assert detail.abs().max() > 0.001
    for plane in (*features, detail):
        torch.testing.assert_close(plane, plane[..., :1, :1].expand_as(plane))


def test_gradcheck() -> None:
    torch.manual_seed(0)
    branch, encoder = DetailBranch(2).double(), Encoder(1, 2).double()
    nn.init.normal_(branch.residual.weight)
    images = [random_image(1, 1, 8, 8, seed=i).requires_grad_() for i in range(2)]
    assert torch.autograd.gradcheck(branch, images)
    assert torch.autograd.gradcheck(encoder, images[:1])


def test_nothing_normalises_brightness_away() -> None:
    spatial = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm)
    assert [name for name, module in FusionNet().named_modules() if isinstance(module, spatial)] == []
