"""All sixteen metrics on any images: within their range, blind to the order of the sources, and to mirroring."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metafusion_yolo.functional.metrics import METRICS
from tests.functional.metrics.test_metrics import RANGES, SAME

SIDE = 44  # the scales of VIF need 41
LEVELS = st.sampled_from([0.0, 1 / 255, 0.2, 0.5, 127 / 255, 254 / 255, 1.0]) | st.floats(0, 1)


@st.composite
def images(draw) -> torch.Tensor:
    """Draw an image (1, 1, 44, 44): blocks of a few levels, noise over them or none, 8-bit or not."""
    blocks = draw(hnp.arrays(np.float64, (4, 4), elements=LEVELS))
    noise = draw(st.sampled_from([0.0, 0.0, 1e-6, 0.02, 0.5]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    image = np.clip(blocks.repeat(SIDE // 4, 0).repeat(SIDE // 4, 1) + noise * rng.standard_normal((SIDE, SIDE)), 0, 1)
    image = np.round(image * 255) / 255 if draw(st.booleans()) else image
    return torch.from_numpy(image)[None, None]


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=25)
@given(fused=images(), visible=images(), infrared=images())
def test_any_images_have_a_value_in_the_range(name, fused, visible, infrared):
    metric, (low, high) = METRICS[name], RANGES[name]
    value = metric(fused, visible, infrared)
    assert low - 1e-6 <= value.item() <= high + 1e-6
    assert metric(fused, infrared, visible).item() == pytest.approx(value.item(), abs=1e-9)
    single = metric(fused.float(), visible.float(), infrared.float())
    assert single.isfinite().all()


@pytest.mark.parametrize("name", sorted(SAME))
@settings(max_examples=25)
@given(image=images())
def test_an_image_fused_with_itself_is_perfect(name, image):
    assume(image.std() > 1e-2)  # what a (nearly) blank image is, each metric says by itself
    assert METRICS[name](image, image, image).item() == pytest.approx(SAME[name], abs=1e-5)


FLIPS = {"across": lambda x: x.flip(3), "upside down": lambda x: x.flip(2), "transposed": lambda x: x.mT}
# The others look one way: they subsample from a corner, look at the next pixel, or cut angles at 90 degrees.
EVEN = [name for name in METRICS if name not in ("VIF", "MS-SSIM", "AG", "Qabf", "Nabf")]


@pytest.mark.parametrize("name", EVEN)
@settings(max_examples=10)
@given(fused=images(), visible=images(), infrared=images(), flip=st.sampled_from(sorted(FLIPS)))
def test_a_mirror_changes_nothing(name, fused, visible, infrared, flip):
    turned = [FLIPS[flip](image) for image in (fused, visible, infrared)]
    value = METRICS[name](fused, visible, infrared).item()
    assert METRICS[name](*turned).item() == pytest.approx(value, abs=1e-6)


@settings(max_examples=25)
@given(fused=images(), visible=images(), infrared=images(), seed=st.integers(0, 9))
def test_histograms_and_moments_do_not_see_where_a_pixel_lies(fused, visible, infrared, seed):
    order = torch.randperm(SIDE * SIDE, generator=torch.Generator().manual_seed(seed))
    shuffled = [image.reshape(1, 1, -1)[..., order].reshape(image.shape) for image in (fused, visible, infrared)]
    for name in ("EN", "SD", "MI", "NMI", "CC", "SCD", "MSE", "PSNR"):
        value = METRICS[name](fused, visible, infrared).item()
        assert METRICS[name](*shuffled).item() == pytest.approx(value, abs=1e-8), name


@settings(max_examples=25)
@given(fused=images(), visible=images(), infrared=images())
def test_what_the_metrics_say_of_one_another(fused, visible, infrared):
    """Mutual information is bounded by the entropies, and PSNR is the logarithm of MSE."""
    value = {name: METRICS[name](fused, visible, infrared).item() for name in ("EN", "MI", "MSE", "PSNR", "NMI")}
    bits = value["EN"] + value["EN"]
    assert -1e-9 <= value["MI"] <= bits + 1e-6
    assert value["PSNR"] == pytest.approx(min(100.0, -10 * np.log10(max(value["MSE"], 1e-10))), abs=1e-4)
