"""Structural similarity against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from metafusion_yolo.functional.ssim import ssim_map, window_means

MARGIN = 5  # pixels from the centre of a window to its edge


def random_images(
    count: int = 3, *, seed: int = 0, size: tuple[int, int] = (16, 19), batch: int = 2
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(batch, 1, *size, dtype=torch.float64, generator=generator) for _ in range(count))


def reference_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM map (H, W) of two images (H, W), windows inside the image only."""
    _, full = structural_similarity(
        x, y, gaussian_weights=True, use_sample_covariance=False, sigma=1.5, data_range=1, full=True
    )
    return full[MARGIN:-MARGIN, MARGIN:-MARGIN]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("window_size", "size"), [(11, (6, 9)), (7, (10, 13))])
def test_shape_and_dtype(dtype, window_size, size) -> None:
    image = ssim_map(*(image.to(dtype) for image in random_images(2)), window_size=window_size)
    assert image.shape == (2, 1, *size)
    assert image.dtype == torch.promote_types(dtype, torch.float32)


def test_exceptions() -> None:
    x, y = random_images(2, size=(16, 10))
    with pytest.raises(ValueError, match="images must be at least 11 x 11 pixels, got 16 x 10"):
        ssim_map(x, y)
    with pytest.raises(ValueError, match="window_size and sigma must be positive, got 7 and 0"):
        ssim_map(x, y, window_size=7, sigma=0)
    with pytest.raises(ValueError, match=r"y \(1, 1, 16, 10\) must have the shape of x \(2, 1, 16, 10\)"):
        ssim_map(x, y[:1])


def test_ssim_map_matches_scikit_image() -> None:
    x, y = random_images(2)
    y = 0.7 * x + 0.3 * y
    expected = [reference_ssim(a[0], b[0]) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    np.testing.assert_allclose(ssim_map(x, y)[:, 0].numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(ssim_map(x.float(), y.float())[:, 0].numpy(), expected, atol=1e-4)


def test_opposite_structure_is_below_zero() -> None:
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    assert ssim_map(1 - ramp, ramp).max() < 0


@pytest.mark.parametrize("size", [(16, 19), (17, 18)])
def test_strided_windows_are_every_second_one(size) -> None:
    images = random_images(2, size=size)
    for strided, whole in zip(window_means(*images, stride=2), window_means(*images), strict=True):
        torch.testing.assert_close(strided, whole[..., ::2, ::2])
