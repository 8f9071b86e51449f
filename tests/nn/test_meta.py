"""Meta-features: shapes, composition and derivatives."""

import pytest
import torch

from metafusion_yolo.nn.meta import MetaFeatureExtractor


def features(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (40, 32)])
def test_shapes(size) -> None:
    height, width = size
    middle, coarse = MetaFeatureExtractor(6, 5)(features(2, 6, height, width).float())
    assert middle.shape == (2, 5, height // 2, width // 2)
    assert coarse.shape == (2, 5, height // 4, width // 4)


def test_each_place_sees_its_own_neighbourhood() -> None:
    torch.manual_seed(0)
    extractor = MetaFeatureExtractor(3, 4).double()
    image = features(1, 3, 16, 16)
    changed = image.clone()
    changed[..., 8, 4] += 1  # seen at stride 2 by cell (4, 2) alone, at stride 4 by cell (2, 1) alone
    for cell, before, after in zip([(4, 2), (2, 1)], extractor(image), extractor(changed), strict=True):
        moved = (before != after).any(1)[0].nonzero().tolist()
        assert moved == [list(cell)]


def test_coarse_features_are_made_from_the_middle_ones() -> None:
    torch.manual_seed(0)
    extractor = MetaFeatureExtractor(3, 4).double()
    middle, coarse = extractor(features(1, 3, 8, 8))
    assert torch.equal(coarse, extractor.coarse(middle))
    coarse.sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in extractor.parameters())


def test_gradcheck() -> None:
    torch.manual_seed(0)
    extractor = MetaFeatureExtractor(2, 3).double()
    assert torch.autograd.gradcheck(extractor, features(1, 2, 4, 4).requires_grad_())
