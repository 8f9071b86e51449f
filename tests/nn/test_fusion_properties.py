"""What the blend is, for any weights, gains and images: identities that must hold to the last digit of float64."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metafusion_yolo.functional.color import replace_luminance, rgb_to_luminance
from metafusion_yolo.nn.blocks import Upsample
from metafusion_yolo.nn.fusion import affine_coefficients, blend, present


def planes(channels: int, low: float = 0.0, high: float = 1.0) -> st.SearchStrategy[torch.Tensor]:
    """Return (1, C, 4, 5) float64 tensors."""
    arrays = hnp.arrays(np.float64, (1, channels, 4, 5), elements=st.floats(low, high))
    return arrays.map(torch.from_numpy)


def shares(visible: torch.Tensor) -> torch.Tensor:
    return torch.cat((visible, 1 - visible), 1)


@given(weights=planes(1).map(shares), gains=planes(2, -1, 1), means=planes(2), images=planes(2))
def test_the_affine_form_is_the_sum_over_the_cameras(weights, gains, means, images):
    coefficients = affine_coefficients(weights, gains, means)
    expected = (weights * images + gains * (images - means)).sum(1, keepdim=True).clamp(0, 1)
    fused = blend(coefficients.split(1, 1), images[:, :1], images[:, 1:])
    torch.testing.assert_close(fused, expected, atol=1e-12, rtol=0)


@given(weights=planes(1).map(shares), means=planes(2), images=planes(2))
def test_without_gains_the_result_lies_between_the_sources(weights, means, images):
    fused = blend(affine_coefficients(weights, weights * 0, means).split(1, 1), images[:, :1], images[:, 1:])
    low, high = images.amin(1, keepdim=True), images.amax(1, keepdim=True)
    assert (fused >= low - 1e-12).all() and (fused <= high + 1e-12).all()


@given(gains=planes(2, -1, 1), weights=planes(1).map(shares), level=planes(1))
def test_even_images_have_no_detail_to_strengthen(gains, weights, level):
    """Where both cameras show one level, that is what comes out, whatever the network says."""
    both = torch.cat((level, level), 1)
    fused = blend(affine_coefficients(weights, gains, both).split(1, 1), level, level)
    torch.testing.assert_close(fused, level, atol=1e-12, rtol=0)


@given(image=planes(1), gain=planes(1, -1, 1), mean=planes(1))
def test_a_camera_alone_is_what_it_shows(image, gain, mean):
    """With weight 1 and gain 0 of one camera, the other does not matter."""
    weights = torch.cat((torch.ones_like(image), torch.zeros_like(image)), 1)
    coefficients = affine_coefficients(weights, weights * 0, torch.cat((mean, mean), 1))
    torch.testing.assert_close(blend(coefficients.split(1, 1), image, gain.abs()), image, atol=0, rtol=0)


@given(rgb=planes(3), luminance=planes(1))
def test_luminance_is_replaced_and_chroma_kept(rgb, luminance):
    changed = replace_luminance(rgb, luminance)
    assert (changed >= 0).all() and (changed <= 1).all()
    unclipped = rgb + (luminance - rgb_to_luminance(rgb))
    inside = ((unclipped >= 0) & (unclipped <= 1)).all(1, keepdim=True)
    torch.testing.assert_close(rgb_to_luminance(changed)[inside], luminance[inside], atol=1e-12, rtol=0)
    torch.testing.assert_close(replace_luminance(rgb, rgb_to_luminance(rgb)), rgb, atol=0, rtol=0)


@given(rgb=planes(3), luminance=planes(1), share=planes(1))
def test_a_share_of_the_chroma_lies_between_grey_and_colour(rgb, luminance, share):
    grey = luminance.expand(-1, 3, -1, -1)
    part, full = replace_luminance(rgb, luminance, chroma=share), replace_luminance(rgb, luminance)
    assert (part >= torch.minimum(grey, full) - 1e-12).all() and (part <= torch.maximum(grey, full) + 1e-12).all()
    assert torch.equal(replace_luminance(rgb, luminance, chroma=0 * share), grey)
    torch.testing.assert_close(replace_luminance(rgb, luminance, chroma=0 * share + 1), full, atol=1e-12, rtol=0)


@given(maps=planes(1, -2, 2))
def test_upsampling_stays_between_what_it_knows(maps):
    larger = Upsample(4).double()(maps)
    assert larger.shape[2:] == (16, 20)
    assert maps.min() - 1e-9 <= larger.min() and larger.max() <= maps.max() + 1e-9
    reference = torch.nn.functional.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(larger, reference, atol=1e-6, rtol=0)


@given(level=st.floats(0, 1), noise=st.floats(0, 0.0005), camera=st.integers(0, 1), seed=st.integers(0, 9))
def test_a_blank_camera_counts_as_absent_and_one_that_shows_something_does_not(level, noise, camera, seed):
    images = torch.rand(1, 2, 32, 32, generator=torch.Generator().manual_seed(seed))
    images[:, camera] = level + noise * images[:, camera]
    expected = torch.ones(1, 2, 1, 1)
    expected[:, camera] = 0
    assert torch.equal(present(images[:, :1], images[:, 1:]), expected)
