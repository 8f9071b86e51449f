"""Weights of the fused image follow the edges of what is seen."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metafusion_yolo.nn.edges import follow_edges
from tests.nn.test_fusion import blank, random_net, random_pair


def hot_disc(size: int = 96, radius: float = 10.0) -> tuple[Tensor, Tensor]:
    """Return the local means (1, 2, H, W) of a scene with a hot disc, and where it is (H, W)."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    disc = (rows - size / 2) ** 2 + (columns - size / 2) ** 2 < radius**2
    return torch.stack((torch.full((size, size), 0.3), torch.where(disc, 0.9, 0.2)))[None], disc


def around(disc: Tensor, cells: int) -> Tensor:
    """Return the ring of so many cells around a disc."""
    return functional.max_pool2d(disc[None].float(), 2 * cells + 1, 1, cells)[0].bool() & ~disc


def as_weights(share: Tensor) -> Tensor:
    """Return the weights of both cameras, (1, 2, H, W), by that of the infrared camera (H, W)."""
    return torch.stack((1 - share, share))[None]


def test_no_glow_around_what_is_hot() -> None:
    means, disc = hot_disc()
    blurred = functional.avg_pool2d(0.3 + 0.6 * disc[None].float(), 9, 1, 4, count_include_pad=False)[0]
    ring = around(disc, 4)
    share = follow_edges(as_weights(blurred), means)[0, 1]
    assert (blurred[ring] - 0.3).mean() > 0.1
    assert (share[ring] - 0.3).abs().mean() < 0.04
    assert share[disc].mean() > 0.7


def test_a_thing_of_one_brightness_has_one_weight() -> None:
    means, disc = hot_disc()
    hollow = torch.where(disc & ~around(~disc, 5), 0.4, 0.4 + 0.3 * disc)  # little weight inside, as if it were blind
    share = follow_edges(as_weights(hollow), means)[0, 1]
    assert hollow[disc].std() > 0.08
    assert share[disc].std() < 0.01
    assert share[disc].mean() > share[around(disc, 4)].mean() + 0.2


def test_weights_of_both_add_up_and_stay_in_range() -> None:
    weights = as_weights(random_pair(32, 48)[0, 0])
    shown = follow_edges(weights, random_pair(32, 48)[1:, 1:3])
    assert 0 <= shown.min() <= shown.max() <= 1
    torch.testing.assert_close(shown.sum(1), torch.ones(1, 32, 48))


def test_half_precision_sees_faint_edges() -> None:
    means, disc = hot_disc()
    faint = torch.stack((means[0, 0], torch.where(disc, 0.24, 0.2)))[None]
    weights = as_weights(torch.where(disc, 0.9, 0.3))
    expected = follow_edges(weights, faint)
    torch.testing.assert_close(follow_edges(weights.half(), faint.half()).float(), expected, atol=0.02, rtol=0)
    assert expected[0, 1][disc].mean() > expected[0, 1][around(disc, 4)].mean() + 0.05


@pytest.mark.parametrize("camera", ["visible", "infrared"])
def test_a_blank_camera_still_has_no_say(camera) -> None:
    pair, net = blank(random_pair(64, 96), camera, 0.0), random_net(3.0).eval()
    net.decoder.balanced = True
    nn.init.zeros_(net.decoder.maps.weight[1:])
    nn.init.zeros_(net.decoder.maps.bias[1:])
    rest = pair[:, :3] if camera == "infrared" else pair[:, 3:].expand(-1, 3, -1, -1)
    assert torch.equal(net(pair).fused, rest)


def test_only_the_image_for_people_changes() -> None:
    pair, net = random_pair(64, 96), random_net(1.0).eval()
    pair[:, 3:, :, :48] = 0.5 + 0.01 * pair[:, 3:, :, :48]  # the infrared camera is nearly blind on one side
    net.decoder.balanced = True
    seen, learned = net(pair), net.train()(pair)
    assert torch.equal(seen.weights, learned.weights)  # what joins the features, and what the losses see
    assert (seen.fused - learned.fused).abs().max() > 0.05
