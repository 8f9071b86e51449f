"""Fixed fusion rules: what each makes of a pixel, and that the detector cannot tell one from a network."""

import pytest
import torch

from metafusion_yolo.config import METHODS
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.nn.fusion import FusionNet, FusionOutput
from metafusion_yolo.nn.rules import PixelRule

RULES = [method for method in METHODS if method != "learned"]
RED, INFRARED = (1.0, 0.0, 0.0), 0.5
LUMINANCE = 0.299  # of red

each_rule = pytest.mark.parametrize("rule", RULES)


def random_pair(batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 4, 32, 64, generator=torch.Generator().manual_seed(0))


@each_rule
def test_output_is_like_that_of_the_network(rule) -> None:
    pair = random_pair()
    output, learned = PixelRule(rule)(pair), FusionNet()(pair)
    assert isinstance(output, FusionOutput)
    for name in ("fused", "luminance", "weights", "coefficients"):
        assert getattr(output, name).shape == getattr(learned, name).shape, name
        assert getattr(output, name).dtype == getattr(learned, name).dtype, name
    for name in ("fused", "luminance", "weights"):
        assert getattr(output, name).min() >= 0, name
        assert getattr(output, name).max() <= 1, name
    torch.testing.assert_close(output.weights.sum(1), torch.ones(2, 8, 16))
    torch.testing.assert_close(output.luminance, rgb_to_luminance(output.fused))
    assert torch.equal(output.coefficients[:, :2], output.weights)
    assert not output.coefficients[:, 2].any()
    assert torch.equal(output.coefficients[:, 3:], output.weights[:, :1])  # the chroma is the visible camera's
    assert output.meta_features == {}


@pytest.mark.parametrize(
    ("rule", "fused", "infrared_weight"),
    [
        ("visible", RED, 0.0),
        ("infrared", (0.5, 0.5, 0.5), 1.0),
        ("average", (0.75, 0.25, 0.25), 0.5),
        ("maximum", (1.0, 0.5, 0.5), 1.0),  # the infrared image is brighter than the luminance of red
        ("false-colour", (LUMINANCE, (LUMINANCE + 0.5) / 2, 0.5), 0.5),
    ],
)
def test_known_values(rule, fused, infrared_weight) -> None:
    pair = torch.tensor([*RED, INFRARED]).view(1, 4, 1, 1).expand(1, 4, 32, 32)
    output = PixelRule(rule)(pair)
    torch.testing.assert_close(output.fused, torch.tensor(fused).view(1, 3, 1, 1).expand(1, 3, 32, 32))
    expected = torch.tensor([1 - infrared_weight, infrared_weight]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    torch.testing.assert_close(output.weights, expected)


def test_one_camera_alone_is_that_camera() -> None:
    pair = random_pair()
    assert torch.equal(PixelRule("visible")(pair).fused, pair[:, :3])
    assert torch.equal(PixelRule("infrared")(pair).fused, pair[:, 3:].expand(-1, 3, -1, -1))


def test_weights_of_the_maximum_are_shares_of_each_cell() -> None:
    pair = torch.zeros(1, 4, 32, 32)
    pair[:, :3] = 0.5
    pair[:, 3, :2, :4] = 1  # half of the first cell of 4 x 4 pixels
    infrared_weight = PixelRule("maximum")(pair).weights[0, 1]
    assert infrared_weight[0, 0] == 0.5
    assert infrared_weight.sum() == 0.5


@each_rule
def test_has_nothing_to_learn(rule) -> None:
    assert list(PixelRule(rule).state_dict()) == []


@each_rule
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_is_that_of_the_pair(rule, dtype) -> None:
    pair = random_pair()
    output = PixelRule(rule)(pair.to(dtype))
    assert output.fused.dtype == dtype
    torch.testing.assert_close(output.fused.float(), PixelRule(rule)(pair).fused, atol=0.01, rtol=0)


@each_rule
def test_images_of_a_batch_do_not_mix(rule) -> None:
    pair = random_pair()
    together = PixelRule(rule)(pair).fused
    assert torch.equal(together[1:], PixelRule(rule)(pair[1:]).fused)
