"""Two spoilt views of an image, and what their fusion should be."""

from types import SimpleNamespace

import pytest
import torch

from metafusion_yolo.config import Gains
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.criterion import restoration_loss
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.nn.universal import one_of_each, two_views


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 8, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=seeded(7))


def test_views_are_pairs_in_range_and_the_seed_decides_them() -> None:
    pair, target = two_views(images(), seeded())
    again, _ = two_views(images(), seeded())
    other, _ = two_views(images(), seeded(1))
    assert pair.shape == (8, 4, 64, 64) and target.shape == (8, 1, 64, 64)
    assert pair.min() >= 0 and pair.max() <= 1 and target.min() >= 0 and target.max() <= 1
    assert torch.equal(pair, again) and not torch.equal(pair, other)


def test_every_part_shows_in_one_view_at_least_and_some_in_one_only() -> None:
    flat = torch.full((32, 3, 64, 64), 0.8)
    pair, target = two_views(flat, seeded())
    clean = rgb_to_luminance(flat)
    first = (rgb_to_luminance(pair[:, :3]) - clean).abs() < 0.02
    second_level = (
        target.where(~first, torch.nan).flatten(1).nanmedian(1).values
    )  # of the second view, where it is alone
    hidden = ~first
    assert 0.05 < hidden.float().mean() < 0.8
    alone = hidden & (target - second_level.view(-1, 1, 1, 1)).abs().lt(0.02)
    assert ((pair[:, 3:] - target).abs()[alone] < 0.05).float().mean() > 0.95  # there the second view shows it


def test_the_target_is_the_first_view_where_the_second_is_hidden() -> None:
    generator = seeded(3)
    pair, target = two_views(images(16), generator)
    luminance = rgb_to_luminance(images(16))
    equal = (target - luminance).abs() < 1e-3
    assert equal.float().mean() > 0.1
    shown = (rgb_to_luminance(pair[:, :3]) - luminance).abs() < 1e-2
    assert shown[equal].float().mean() > 0.95


def test_a_blank_camera_is_never_taken() -> None:
    pair = torch.rand(64, 4, 32, 32, generator=seeded())
    pair[:32, 3] = 0.5
    pair[32:, :3] = 0.0
    taken = one_of_each(pair, seeded())
    assert torch.equal(taken[:32], pair[:32, :3])
    assert torch.equal(taken[32:], pair[32:, 3:].expand(-1, 3, -1, -1))


def test_both_cameras_are_taken() -> None:
    pair = torch.rand(64, 4, 32, 32, generator=seeded())
    infrared = (one_of_each(pair, seeded())[:, :1] == pair[:, 3:]).all(3).all(2).all(1)
    assert 16 < int(infrared.sum()) < 48


def test_a_perfect_restoration_costs_nothing() -> None:
    clean = torch.rand(2, 1, 32, 32, generator=seeded())
    total, items = restoration_loss(SimpleNamespace(luminance=clean), clean, Gains())
    assert total.sum().item() == pytest.approx(0, abs=1e-5)
    assert [*items] == ["ssim_loss", "grad_loss", "int_loss"]
    worse, _ = restoration_loss(SimpleNamespace(luminance=1 - clean), clean, Gains())
    assert worse.sum() > 1


def test_the_front_end_learns_to_look_where_there_is_something_to_see() -> None:
    torch.manual_seed(0)
    net = FusionNet(channels=16, meta_channels=16)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    stripes = torch.rand(8, 3, 1, 64, generator=seeded()).expand(-1, -1, 64, -1)
    half = torch.cat((stripes[..., :32, :], torch.full_like(stripes[..., 32:, :], 0.1)), 2)
    pair = torch.cat((half, rgb_to_luminance(stripes.flip(2) * 0 + 0.1)), 1)
    pair[:, 3:, 32:] = rgb_to_luminance(stripes)[
        ..., 32:, :
    ]  # above, the visible view shows it; below, the infrared one
    for _ in range(60):
        views, clean = two_views(stripes + 0)
        loss = restoration_loss(net(views), clean, Gains())[0].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = net.eval()(pair).weights[:, 1]
    assert weights[:, 9:].mean() - weights[:, :7].mean() > 0.3
