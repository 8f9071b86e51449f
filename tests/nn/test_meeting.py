"""Stems for each camera: what joins them, and what of the stock detector they leave as it is."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from metafusion_yolo.nn.meeting import Join, Stems, Tap, depth_of, layer_name, meet_at, split, with_share
from tests.conftest import TINY
from tests.nn.conftest import fused_model, random_pair
from metafusion_yolo.nn.model_yaml import load_model_yaml

LEVELS = {"P2": 3, "P3": 5, "P4": 7, "P5": 10}  # layers of YOLOv8 that each camera has for itself


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def grey(height: int = 64, width: int = 96, batch: int = 2) -> torch.Tensor:
    """Return pairs of cameras that show the same, in grey."""
    return random_pair(height, width, batch)[:, :1].repeat(1, 4, 1, 1)


# What joins ------------------------------------------------------------------------------------------------------------
def test_features_are_joined_by_the_mean_weight_of_their_place() -> None:
    visible, infrared, share = features(2, 6, 4, 5), features(2, 6, 4, 5, seed=1), features(2, 1, 32, 40, seed=2)
    weight = share.double().reshape(2, 1, 4, 8, 5, 8).mean((3, 5))
    expected = (1 - weight) * visible.double() + weight * infrared.double()
    torch.testing.assert_close(Join(6, 8)(visible, infrared, share).double(), expected, atol=1e-6, rtol=0)


def test_trained_join_mixes_the_weighted_channels() -> None:
    join, visible, infrared = Join(6, 4), features(1, 6, 3, 3), features(1, 6, 3, 3, seed=1)
    nn.init.normal_(join.weight)
    nn.init.normal_(join.bias)
    kernel = join.weight[..., 0, 0].double()
    seen = torch.cat((0.75 * visible, 0.25 * infrared), 1).double()
    expected = torch.einsum("oc,bchw->bohw", kernel, seen) + join.bias.double()[:, None, None]
    share = torch.full((1, 1, 12, 12), 0.25)
    torch.testing.assert_close(join(visible, infrared, share).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_camera_without_weight_has_no_part(share) -> None:
    join = Join(6, 4)
    nn.init.normal_(join.weight)
    visible, infrared = features(1, 6, 3, 3), features(1, 6, 3, 3, seed=1)
    mask = torch.full((1, 1, 12, 12), share)
    first = join(visible, infrared, mask)
    other = join(*((visible, 1e3 * infrared) if share == 0 else (1e3 * visible, infrared)), mask)
    assert torch.equal(first, other)


def test_new_weights_of_a_join_are_its_start() -> None:
    join = Join(4, 8)
    start = deepcopy(join.state_dict())
    nn.init.normal_(join.weight)
    join.reset_parameters()
    assert all(torch.equal(value, start[key]) for key, value in join.state_dict().items())


def test_weights_are_pooled_exactly() -> None:
    weights = features(1, 2, 8, 12)
    shown = with_share(random_pair(32, 48, 1), weights)
    assert shown.shape == (1, 5, 32, 48)
    pooled = nn.functional.avg_pool2d(shown[:, 4:], 8)
    torch.testing.assert_close(pooled, nn.functional.avg_pool2d(weights[:, 1:], 2))


# Where ------------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=["yolov8n.yaml", "yolo11n.yaml", "yolo26n.yaml"])
def stock(request) -> DetectionModel:
    torch.manual_seed(0)
    return DetectionModel(request.param, verbose=False).eval()


@pytest.mark.parametrize("level", LEVELS)
def test_grey_pairs_give_what_the_stock_detector_says_of_the_image(level, stock) -> None:
    model = deepcopy(stock)
    meet_at(model, level)
    assert depth_of(model) == LEVELS[level] + (level == "P5" and len(stock.yaml["backbone"]) - 10)
    pair = grey()
    with torch.no_grad():
        expected = stock(pair[:, :3])[0]
        assert torch.equal(model(pair[:, :3])[0], expected)  # an image is read as by the stock detector, bit for bit
        joined = model(with_share(pair, features(2, 2, 16, 24)))[0]
    torch.testing.assert_close(joined, expected, atol=2e-3, rtol=1e-4)
    pair[:, 3] = 0
    with torch.no_grad():
        assert not torch.allclose(model(with_share(pair, features(2, 2, 16, 24)))[0], expected, atol=2e-3)
