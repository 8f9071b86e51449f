"""Metrics of structure against piq, an independent implementation."""

from __future__ import annotations

import piq
import pytest
import torch

from metafusion_yolo.functional.metrics import multi_scale_ssim, visual_information_fidelity
from tests.functional.metrics.test_metrics import as_8_bit, fused_images, random_images


def smooth_images(seed: int, size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    """Return sources with structure at many scales, and a fused image that shows some of both."""
    noise = [
        torch.nn.functional.interpolate(
            torch.stack(random_images(3, seed=10 * seed + k, size=(4 * 2**k, 4 * 2**k), batch=1)).squeeze(1),
            size=size,
            mode="bilinear",
        )
        for k in range(5)
    ]
    visible, infrared, other = ((sum(noise) / len(noise)) ** 2).unsqueeze(1)
    return 0.5 * visible + 0.4 * infrared + 0.1 * other, visible, infrared


@pytest.mark.parametrize("size", [(176, 192), (255, 199)])
def test_multi_scale_ssim(size) -> None:
    for seed in range(3):
        fused, visible, infrared = smooth_images(seed, size)
        expected = (piq.multi_scale_ssim(fused, visible) + piq.multi_scale_ssim(fused, infrared)) / 2
        assert 0.2 < expected < 0.99
        tolerance = 1e-6 if size == (176, 192) else 0.02  # piq repeats the border of odd sides, others leave it out
        assert multi_scale_ssim(fused, visible, infrared).item() == pytest.approx(expected.item(), rel=tolerance)


@pytest.mark.parametrize("size", [(41, 48), (128, 160), (131, 99)])
def test_visual_information_fidelity(size) -> None:
    for seed in range(3):
        fused, visible, infrared = as_8_bit(smooth_images(seed, size))
        expected = (piq.vif_p(fused, visible) + piq.vif_p(fused, infrared)).item()
        assert expected > 0.1
        assert visual_information_fidelity(fused, visible, infrared).item() == pytest.approx(expected, rel=1e-4)
        single = [image.float() for image in (fused, visible, infrared)]
        assert visual_information_fidelity(*single).item() == pytest.approx(expected, rel=1e-4)


def test_small_images_have_as_many_scales_as_fit() -> None:
    fused, visible, infrared = fused_images()
    assert multi_scale_ssim(fused[..., :20, :20], visible[..., :20, :20], infrared[..., :20, :20]).item() > 0
    one_scale = [image[..., :21, :21] for image in (fused, visible, infrared)]  # half of it is below the window
    expected = (piq.ssim(one_scale[0], one_scale[1]) + piq.ssim(one_scale[0], one_scale[2])) / 2
    assert multi_scale_ssim(*one_scale).item() == pytest.approx(expected.item(), rel=1e-4)


def test_enhanced_contrast_has_more_fidelity_than_one() -> None:
    _, visible, _ = smooth_images(0, (64, 64))
    middle = visible.mean()
    stronger = (middle + 1.2 * (visible - middle)).clamp(0, 1)
    assert visual_information_fidelity(stronger, visible, visible).item() > 2
    assert visual_information_fidelity(middle + 0.5 * (visible - middle), visible, visible).item() < 2
