"""Luminance and chroma against the matrix of BT.601 in float64."""

import numpy as np
import pytest
import torch

from metafusion_yolo.functional.color import replace_luminance, rgb_to_luminance

WEIGHTS = np.array([0.299, 0.587, 0.114])
RGB_TO_YCBCR = np.stack(
    (WEIGHTS, ([0, 0, 1] - WEIGHTS) / 1.772, ([1, 0, 0] - WEIGHTS) / 1.402)
)  # full range, no offset


def random_image(channels: int, *, seed: int = 0, size: tuple[int, int] = (5, 7), batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, channels, *size, dtype=torch.float64, generator=generator)


def ycbcr(rgb: torch.Tensor) -> np.ndarray:
    return np.einsum("yc,bchw->byhw", RGB_TO_YCBCR, rgb.numpy())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_shape_and_dtype(dtype: torch.dtype) -> None:
    rgb, luminance = random_image(3).to(dtype), random_image(1, seed=1).to(dtype)
    assert rgb_to_luminance(rgb).shape == (2, 1, 5, 7)
    assert rgb_to_luminance(rgb).dtype == dtype
    assert replace_luminance(rgb, luminance).shape == (2, 3, 5, 7)
    assert replace_luminance(rgb, luminance).dtype == dtype


def test_exceptions() -> None:
    rgb, luminance = random_image(3), random_image(1)
    with pytest.raises(ValueError, match=r"rgb must be \(B, 3, H, W\), got \(2, 4, 5, 7\)"):
        rgb_to_luminance(random_image(4))
    with pytest.raises(ValueError, match=r"rgb must be \(B, 3, H, W\), got \(3, 5, 7\)"):
        rgb_to_luminance(rgb[0])
    with pytest.raises(TypeError, match=r"rgb must be floating point.*uint8"):
        rgb_to_luminance((rgb * 255).byte())
    with pytest.raises(ValueError, match=r"rgb must be \(B, 3, H, W\)"):
        replace_luminance(random_image(4), luminance)
    with pytest.raises(ValueError, match=r"luminance must be \(B, 1, H, W\), got \(2, 3, 5, 7\)"):
        replace_luminance(rgb, rgb)
    with pytest.raises(TypeError, match=r"luminance must be floating point.*int64"):
        replace_luminance(rgb, luminance.long())


@pytest.mark.parametrize(("size", "batch"), [((5, 1), 2), ((1, 1), 2), ((5, 7), 1)])
def test_sizes_that_would_broadcast_are_refused(size: tuple[int, int], batch: int) -> None:
    small, large = {"size": size, "batch": batch}, {"size": (5, 7), "batch": 2}
    for rgb, luminance in ((small, large), (large, small)):
        with pytest.raises(ValueError, match="luminance must have the size of rgb"):
            replace_luminance(random_image(3, **rgb), random_image(1, **luminance))


def test_luminance_matches_the_matrix() -> None:
    rgb = random_image(3)
    np.testing.assert_allclose(rgb_to_luminance(rgb).numpy(), ycbcr(rgb)[:, 0:1], atol=1e-15)


@pytest.mark.parametrize(
    ("colour", "luminance"),
    [((0, 0, 0), 0), ((1, 1, 1), 1), ((1, 0, 0), 0.299), ((0, 1, 0), 0.587), ((0, 0, 1), 0.114)],
)
def test_luminance_of_known_colours(colour: tuple[int, int, int], luminance: float) -> None:
    rgb = torch.tensor(colour, dtype=torch.float64).view(1, 3, 1, 1)
    assert rgb_to_luminance(rgb).item() == pytest.approx(luminance, abs=1e-15)


def test_replacement_sets_luminance_and_keeps_chroma() -> None:
    rgb = 0.4 + 0.2 * random_image(3)
    luminance = rgb_to_luminance(rgb) + 0.3 * (random_image(1, seed=1) - 0.5)  # nothing clips
    replaced = ycbcr(replace_luminance(rgb, luminance))
    np.testing.assert_allclose(replaced[:, 0:1], luminance.numpy(), atol=1e-14)
    np.testing.assert_allclose(replaced[:, 1:], ycbcr(rgb)[:, 1:], atol=1e-14)


def test_replacement_stays_in_range_where_it_clips() -> None:
    rgb = random_image(3)
    for level in (0.0, 1.0):
        replaced = replace_luminance(rgb, torch.full_like(rgb[:, :1], level))
        assert replaced.min() >= 0
        assert replaced.max() <= 1
    grey = torch.full((1, 3, 2, 2), 0.5)
    assert torch.equal(replace_luminance(grey, torch.ones(1, 1, 2, 2)), torch.ones_like(grey))


def test_own_luminance_changes_nothing() -> None:
    rgb = random_image(3).float()
    assert torch.equal(replace_luminance(rgb, rgb_to_luminance(rgb)), rgb)


def test_gradcheck() -> None:
    rgb = (0.4 + 0.2 * random_image(3)).requires_grad_()
    luminance = (0.4 + 0.2 * random_image(1, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_luminance, (rgb,))
    assert torch.autograd.gradcheck(replace_luminance, (rgb, luminance))


def test_export_needs_plain_arithmetic_only() -> None:
    class Recolour(torch.nn.Module):
        def forward(self, rgb: torch.Tensor, luminance: torch.Tensor) -> torch.Tensor:
            return replace_luminance(rgb, luminance)

    images = random_image(3).float(), random_image(1).float()
    program = torch.export.export(Recolour(), images)
    operators = {str(node.target).split(".")[1] for node in program.graph.nodes if node.op == "call_function"}
    assert operators == {"slice", "mul", "add", "sub", "hardtanh_"}
    assert torch.equal(program.module()(*images), replace_luminance(*images))
