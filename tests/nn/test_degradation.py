"""Spoilt cameras: ranges, the places that are told, one camera at a time, repeatability."""

import pytest
import torch

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.degradation import INFRARED, VISIBLE, Draw, degrade, region, regions, trusted

KINDS = [*(("visible", name) for name in VISIBLE), *(("infrared", name) for name in INFRARED)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(batch: int = 1, height: int = 64, width: int = 96) -> torch.Tensor:
    """Return pairs with structure at several sizes."""
    coarse = torch.rand(batch, 4, 6, 8, generator=seeded(3))
    fine = torch.rand(batch, 4, height, width, generator=seeded(4))
    return 0.8 * torch.nn.functional.interpolate(coarse, size=(height, width)) + 0.2 * fine


@pytest.mark.parametrize(("camera", "name"), KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_each_kind_damages_an_image_and_says_where(camera, name, seed) -> None:
    image = scene()[:, :3] if camera == "visible" else scene()[:, 3:]
    kinds = VISIBLE if camera == "visible" else INFRARED
    spoilt, hidden = kinds[name](image.clone(), Draw(image, seeded(seed)))
    assert spoilt.shape == image.shape
    assert hidden.shape == image[:, :1].shape
    assert spoilt.isfinite().all()
    assert 0 <= hidden.min() <= hidden.max() <= 1
    change = (spoilt.clamp(0, 1) - image).abs().mean(1, keepdim=True)
    assert change[hidden > 0.5].mean() > 0.03


@pytest.mark.parametrize(("camera", "name"), [kind for kind in KINDS if kind[1] not in ("fog", "motion", "defocus")])
def test_little_of_the_structure_is_left_where_a_camera_is_blind(camera, name) -> None:
    image = scene()[:, :3] if camera == "visible" else scene()[:, 3:]
    kinds = VISIBLE if camera == "visible" else INFRARED
    spoilt, hidden = kinds[name](image.clone(), Draw(image, seeded(1)))
    blind = (hidden > 0.95).expand_as(image)
    assert blind.any()
    left = torch.cov(torch.stack((image[blind], spoilt.clamp(0, 1)[blind])))
    assert left[0, 1] / left[0, 0] < 0.35  # the contrast that follows the scene


def test_no_place_is_hidden_in_both_cameras() -> None:
    for seed in range(20):
        hidden = degrade(scene(4), generator=seeded(seed)).hidden
        assert hidden.sum(1).max() <= 1 + 1e-5


def test_what_is_not_hidden_is_as_it_was_but_for_the_edge_of_a_region() -> None:
    pair = scene(32)
    degraded = degrade(pair, generator=seeded())
    for camera, planes in enumerate((slice(0, 3), slice(3, 4))):
        well = (degraded.hidden[:, camera] == 0).all((1, 2))
        assert well.any()
        assert torch.equal(degraded.img[well, planes], pair[well, planes])


def test_both_cameras_have_their_turn_and_some_pairs_stay_clean() -> None:
    hidden = degrade(scene(64, 32, 32), p=0.7, generator=seeded()).hidden.amax((2, 3)) > 0.1
    assert 0.15 < hidden[:, 0].float().mean() < 0.65
    assert 0.15 < hidden[:, 1].float().mean() < 0.65
    assert 0.1 < (~hidden.any(1)).float().mean() < 0.6


def test_probability_zero_changes_nothing() -> None:
    pair = scene(2)
    degraded = degrade(pair, p=0.0)
    assert torch.equal(degraded.img, pair)
    assert torch.equal(degraded.sources, pair)
    assert not degraded.hidden.any()


def test_the_camera_that_is_left_is_not_damaged() -> None:
    pair = scene(8)
    pair[:, 3] = 0.4
    assert torch.equal(degrade(pair, generator=seeded()).img, pair)


def test_the_same_seed_draws_the_same_and_the_input_stays() -> None:
    pair = scene(4)
    before = pair.clone()
    first, second, other = (degrade(pair, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(pair, before)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.img, other.img)


def test_range_and_type_are_kept() -> None:
    degraded = degrade(scene(8).double(), generator=seeded())
    assert all(tensor.dtype == torch.float64 for tensor in degraded)
    assert all(0 <= tensor.min() <= tensor.max() <= 1 for tensor in degraded)


def test_trusted_sources_show_the_other_camera_where_one_is_blind() -> None:
    pair, hidden = scene(2), torch.zeros(2, 2, 64, 96)
    hidden[0, 0, :32], hidden[1, 1, 32:] = 1, 1
    sources = trusted(pair, hidden)
    assert torch.equal(sources[0, :3, :32], pair[0, 3:, :32].expand(3, -1, -1))
    torch.testing.assert_close(sources[1:, 3:, 32:], rgb_to_luminance(pair[1:, :3])[..., 32:, :])
    assert torch.equal(sources[0, :, 32:], pair[0, :, 32:])
    assert torch.equal(sources[1, :, :32], pair[1, :, :32])


def test_regions_are_disjoint_and_of_many_sizes() -> None:
    image, sizes = scene(), []
    for seed in range(60):
        draw = Draw(image, seeded(seed))
        first, second = regions(draw)
        assert (first + second).max() <= 1 + 1e-6
        sizes.append(float(region(draw).mean()))
    assert min(sizes) < 0.2
    assert max(sizes) > 0.6
