"""Meta-features and their projection: shapes, composition and derivatives."""

import pytest
import torch

from metafusion_yolo.nn.meta import MetaFeatureExtractor, MetaProjection


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (40, 32)])
def test_shapes(size) -> None:
    height, width = size
    meta_features = MetaFeatureExtractor(6, 5)(features(2, 6, height, width).float())
    assert {stride: f.shape for stride, f in meta_features.items()} == {
        stride: (2, 5, height * 8 // stride, width * 8 // stride) for stride in (16, 32)
    }


def test_each_place_sees_its_own_neighbourhood() -> None:
    torch.manual_seed(0)
    extractor = MetaFeatureExtractor(3, 4).double()
    image = features(1, 3, 16, 16)
    changed = image.clone()
    changed[..., 8, 4] += 1  # seen at stride 2 by cell (4, 2) alone, at stride 4 by cell (2, 1) alone
    before, after = extractor(image), extractor(changed)
    for stride, cell in ((16, [4, 2]), (32, [2, 1])):
        assert (before[stride] != after[stride]).any(1)[0].nonzero().tolist() == [cell]


def test_coarse_features_are_made_from_the_middle_ones() -> None:
    torch.manual_seed(0)
    extractor = MetaFeatureExtractor(3, 4).double()
    meta_features = extractor(features(1, 3, 8, 8))
    assert torch.equal(meta_features[32], extractor.coarse(meta_features[16]))
    meta_features[32].sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in extractor.parameters())


def test_gradcheck() -> None:
    torch.manual_seed(0)
    extractor = MetaFeatureExtractor(2, 3).double()
    assert torch.autograd.gradcheck(lambda x: tuple(extractor(x).values()), features(1, 2, 4, 4).requires_grad_())


@pytest.mark.parametrize("targets", [{16: 7, 32: 9}, {32: 9}])
def test_projection_has_the_shapes_of_the_target(targets) -> None:
    projection = MetaProjection(5, targets).double()
    projected = projection({16: features(2, 5, 4, 6), 32: features(2, 5, 2, 3)})
    assert {stride: f.shape for stride, f in projected.items()} == {
        stride: (2, channels, 64 // stride, 96 // stride) for stride, channels in targets.items()
    }


def test_projection_is_one_linear_map_a_level() -> None:
    torch.manual_seed(0)
    projection = MetaProjection(3, {16: 4, 32: 2}).double()
    meta_features = {16: features(1, 3, 4, 4), 32: features(1, 3, 2, 2)}
    projected = projection(meta_features)
    for stride, f in meta_features.items():
        layer = projection[str(stride)]
        expected = torch.einsum("oc,bchw->bohw", layer.weight[..., 0, 0], f) + layer.bias.view(-1, 1, 1)
        torch.testing.assert_close(projected[stride], expected)
