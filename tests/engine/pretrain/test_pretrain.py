"""Pre-training: the same seed gives the same pairs and parameters, ranges, and losses with known values."""

import numpy as np
import pytest
import torch

pytest.importorskip("skimage")

from metafusion_yolo.engine.pretrain.pairs import PHOTOGRAPHS, PairMaker, read_photographs, thermal, toned
from metafusion_yolo.engine.pretrain.training import Recipe, balance_loss, feature_loss, train_start

QUICK = Recipe(steps=2, batch=3, side=64)


@pytest.fixture(scope="module")
def maker() -> PairMaker:
    return PairMaker(seed=1, scenes=2)


def test_photographs_are_there() -> None:
    photographs = read_photographs()
    assert len(photographs) == len(PHOTOGRAPHS)
    assert all(p.dtype == np.uint8 and p.ndim == 3 and p.shape[2] == 3 and min(p.shape[:2]) >= 190 for p in photographs)


def test_a_batch_is_half_photographs_half_scenes(maker) -> None:
    views = maker.batch(5, 64)
    assert views.pair.shape == (5, 4, 64, 64)
    assert views.photograph.shape == (3, 3, 64, 64)
    for images in views:
        assert images.dtype == torch.float32
        assert 0 <= images.min() <= images.max() <= 1
    assert (views.pair.flatten(2).std(2) > 0.01).all()


def test_the_same_seed_makes_the_same_pairs() -> None:
    first, second, other = (PairMaker(seed, scenes=1).batch(2, 48).pair for seed in (3, 3, 4))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_thermal_view_differs_in_brightness_and_shares_edges() -> None:
    photo = read_photographs()[0][:256, :256]
    rng = np.random.default_rng(0)
    views = np.stack([thermal(rng, photo) for _ in range(8)])
    assert views.std(0).mean() > 0.1
    assert (np.abs(views.mean((1, 2)) - 0.5) < 0.5).all()


def test_a_curve_stays_in_range() -> None:
    values = toned(np.random.default_rng(0), np.arange(256, dtype=np.uint8)[None])
    assert 0 <= values.min() < values.max() <= 1


def test_balance_looks_at_what_is_well_seen_in_each_image() -> None:
    weights = torch.full((2, 2, 4, 4), 0.5)
    weights[0, 1], weights[1, 1] = 0.9, 0.3  # in the mean over both they would be balanced
    hidden = torch.zeros(2, 2, 4, 4)
    assert balance_loss(weights, hidden, 0.6).item() == pytest.approx(0.09)
    weights[:, 1, :2], weights[:, 1, 2:] = 1.0, 0.6
    hidden[:, 0, :2] = 1
    assert balance_loss(weights, hidden, 0.6).item() == pytest.approx(0.0, abs=1e-12)


def test_feature_loss_is_a_cosine_distance() -> None:
    a = [torch.randn(2, 8, 4, 4), torch.randn(2, 16, 2, 2)]
    assert feature_loss(a, [2 * x for x in a]).item() == pytest.approx(0, abs=1e-6)
    assert feature_loss(a, [-x for x in a]).item() == pytest.approx(2, abs=1e-6)


def test_training_is_repeatable_bit_for_bit() -> None:
    first, second = (train_start(QUICK).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
