"""The start that ships: its file, and what its weights do where a camera is blind."""

import pytest
import torch
from torch.nn import functional as F

from metafusion_yolo.config import FusionConfig
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.degradation import INFRARED, VISIBLE, Draw
from metafusion_yolo.nn.evidence import evidence, local_means, shown_by_both
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.nn.start import build_fusion, load_start


def test_the_start_fits_the_default_front_end_and_is_small() -> None:
    net = FusionNet()
    net.load_state_dict(load_start())
    assert sum(tensor.numel() for tensor in load_start().values()) < 50_000
    assert all(tensor.isfinite().all() for tensor in load_start().values())


def test_models_start_with_it_unless_told_or_of_another_size() -> None:
    start = load_start()
    for config, expected in (({}, True), ({"pretrained": False}, False), ({"channels": 16}, False)):
        config = FusionConfig.from_dict(config)
        assert config.starts_trained is expected
        assert torch.equal(build_fusion(config).mix[0].bias, start["mix.0.bias"]) is expected


@pytest.fixture(scope="module")
def scenes() -> torch.Tensor:
    """Return rendered pairs, which the start has seen the like of."""
    from metafusion_yolo.prepare.synthetic import render_pair

    pairs = [render_pair(seed, imgsz=320) for seed in (400, 404, 408, 412)]  # by day
    images = [torch.cat((torch.from_numpy(p.visible), torch.from_numpy(p.infrared)[..., None]), 2) for p in pairs]
    return torch.stack(images).permute(0, 3, 1, 2) / 255


@pytest.mark.parametrize(
    ("camera", "kind"),
    [(0, "night"), (0, "fog"), (0, "dirt"), (0, "lost"), (1, "washed_out"), (1, "defocus"), (1, "lost")],
)
def test_a_camera_that_is_blind_loses_its_weight_there(scenes, camera, kind) -> None:
    net = FusionNet().eval()
    net.load_state_dict(load_start())
    image = scenes[:, :3] if camera == 0 else scenes[:, 3:]
    kinds = VISIBLE if camera == 0 else INFRARED
    draw = Draw(image, torch.Generator().manual_seed(5))
    damaged = torch.cat([kinds[kind](one, draw)[0].clamp(0, 1) for one in image.split(1)])
    left = slice(0, 160)
    spoilt = scenes.clone()
    spoilt[:, slice(0, 3) if camera == 0 else slice(3, 4), :, left] = damaged[..., left]
    with torch.no_grad():
        before, after = (net(pair).weights[:, camera] for pair in (scenes, spoilt))
    inside, outside = slice(0, 32), slice(56, None)
    assert after[..., inside].mean() < 0.6 * before[..., inside].mean()
    assert (after - before)[..., outside].abs().mean() < 0.2


def test_maps_of_the_start_are_no_constants(scenes) -> None:
    net = FusionNet().eval()
    net.load_state_dict(load_start())
    with torch.no_grad():
        weights = net(scenes).weights[:, 1]
    assert (weights.std((1, 2)) > 0.05).all()
    assert ((weights.mean((1, 2)) > 0.2) & (weights.mean((1, 2)) < 0.9)).all()


@pytest.mark.parametrize("meet", ["image", "P3"])
def test_the_bars_of_a_letterbox_do_not_move_the_weights(scenes, meet) -> None:
    net = build_fusion(FusionConfig.from_dict({"meet": meet})).eval()
    wide = scenes[..., 64:224, :]
    square = torch.full_like(scenes, 114 / 255)
    square[..., 64:224, :] = wide
    with torch.no_grad():
        alone, within = net(wide).weights, net(square).weights[..., 16:56, :]
    assert (alone - within).abs().mean() < 0.02


def test_where_features_meet_neither_camera_is_preferred_at_large(scenes) -> None:
    """Features of both are worth having where both show something; where one is blind, its weight stays low."""
    image, features = (build_fusion(FusionConfig.from_dict({"meet": meet})).eval() for meet in ("image", "P3"))
    lamps = (0.1 * scenes[:, :3] + 0.9 * (scenes[:, :3] > 0.7)).clamp(0, 1)
    blind = torch.full_like(scenes[:, 3:], 0.5)
    blind[..., 0, 0] = 0.6  # it is there, and sees nothing
    with torch.no_grad():
        for net in (image, features):
            net.decoder.maps.bias[0] += 0.25  # a training that likes the infrared camera better: odds of 1
        for visible in (scenes[:, :3], lamps):
            pair = torch.cat((visible, scenes[:, 3:]), 1)
            free, balanced = (torch.logit(net(pair).weights[:, 1:]) for net in (image, features))
            both = F.interpolate(shown(pair), free.shape[2:], mode="bilinear")
            at_large = [(both * odds).sum((1, 2, 3)) / both.sum((1, 2, 3)) for odds in (free, balanced)]
            assert (at_large[1].abs() < 0.75 * at_large[0].abs()).all()
            assert balanced.sigmoid().std((2, 3)).min() > 0.05
            torch.testing.assert_close(balanced[both == 0], free[both == 0])
        spoilt = torch.cat((scenes[:, :3], blind), 1)
        torch.testing.assert_close(features(spoilt).weights, image(spoilt).weights)


def shown(pair: torch.Tensor) -> torch.Tensor:
    luminance, infrared = rgb_to_luminance(pair[:, :3]), pair[:, 3:]
    return shown_by_both(evidence(luminance, infrared, local_means(luminance, infrared)))
