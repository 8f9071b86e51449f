"""Evidence: what brightness and contrast say, against a loop over the places, and that it tells damage apart."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from metafusion_yolo.nn.evidence import EVIDENCE, SCALES, blank_places, evidence, local_means, shown_by_both


def images(height: int = 32, width: int = 48, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    pair = torch.rand(batch, 2, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return pair[:, :1], pair[:, 1:]


def measured(luminance: torch.Tensor, infrared: torch.Tensor) -> torch.Tensor:
    return evidence(luminance, infrared, local_means(luminance, infrared))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_type_and_range(dtype) -> None:
    facts = measured(*(image.to(dtype) for image in images()))
    assert facts.shape == (2, EVIDENCE, 4, 6)
    assert facts.dtype == dtype
    assert 0 <= facts.min() <= facts.max() <= 1


def test_equals_a_loop_over_the_places() -> None:
    pair = images()
    facts = measured(*pair).numpy()
    for camera, image in enumerate(pair):
        x = image[1, 0].numpy()
        means = x.reshape(8, 4, 12, 4).mean((1, 3))
        coarse = x.reshape(4, 8, 6, 8).mean((1, 3))
        for row, column in np.ndindex(4, 6):
            blocks = [
                x[8 * row + i : 8 * row + i + 4, 8 * column + j : 8 * column + j + 4] for i in (0, 4) for j in (0, 4)
            ]
            fine = np.mean([block.max() - block.mean() for block in blocks])
            middle = means[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].max() - coarse[row, column]
            around = coarse[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            wide = around.max() - coarse[row, column]
            expected = [coarse[row, column]]
            expected += [np.tanh(scale * contrast) for scale in SCALES for contrast in (fine, middle, wide)]
            np.testing.assert_allclose(facts[1, camera::2, row, column], expected, atol=1e-12)


def test_a_blank_image_has_no_contrast() -> None:
    luminance, _ = images()
    facts = measured(luminance, torch.full_like(luminance, 0.25))
    assert torch.equal(facts[:, 1], torch.full_like(facts[:, 1], 0.25))
    assert facts[:, 3::2].abs().max() < 1e-12


def test_noise_and_blur_differ_in_the_size_of_their_contrast() -> None:
    noise = 0.5 + 0.02 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    blur = torch.linspace(0, 1, 64).view(1, 1, 1, 64).expand(1, 1, 64, 64)
    fine, wide = slice(2, 4), slice(6, 8)
    facts = measured(noise, blur)
    assert facts[:, fine][:, 0].mean() > 4 * facts[:, wide][:, 0].mean()
    assert facts[:, wide][:, 1].mean() > 2 * facts[:, fine][:, 1].mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_places_are_blank_where_neither_camera_shows_a_level_of_grey(dtype) -> None:
    luminance, infrared = torch.full((2, 1, 1, 64, 96), 114 / 255)
    luminance[..., 37, 5] += 1 / 255
    infrared[..., :32, 64:] = torch.rand(32, 32)
    facts = measured(luminance.to(dtype), infrared.to(dtype))
    assert blank_places(facts)[0, 0].tolist() == [[1, 1, 0], [0, 1, 1]]


def test_both_cameras_show_something_but_where_one_is_flat_noisy_or_out_of_focus() -> None:
    textured = torch.rand(1, 1, 16, 48, generator=torch.Generator().manual_seed(0)).repeat_interleave(4, 2)
    textured = 0.4 + 0.2 * textured.repeat_interleave(4, 3)  # 4 x 4 pixels of a value
    spoilt = textured.clone()
    spoilt[..., 64:128] = 0.5 + 0.01 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    spoilt[..., 128:] = F.avg_pool2d(textured, 31, 1, 15, count_include_pad=False)[..., 128:]
    shown = shown_by_both(measured(textured, spoilt))
    assert shown.shape == (1, 1, 2, 6)
    assert (shown[..., :2] == 1).all()
    assert shown[..., 2:4].max() < 0.1
    assert shown[..., 4:].max() < 0.9
    torch.testing.assert_close(shown, shown_by_both(measured(spoilt, textured)))
