"""The joint loss: which terms are summed with which gains, and what is logged."""

from types import SimpleNamespace

import pytest
import torch

from metafusion_yolo.config import Gains
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.losses import gradient_loss, intensity_loss, meta_loss, ssim_loss, trust_loss
from metafusion_yolo.nn.criterion import fusion_loss, joint_loss

BATCH = 3
DETECTION = torch.tensor([0.5, 0.25, 0.125])
ITEMS = {"box_loss": DETECTION[0], "cls_loss": DETECTION[1], "dfl_loss": DETECTION[2]}


def joint(gains: Gains, batch: dict, detection: torch.Tensor = DETECTION, distance: str = "cosine"):
    """Return the joint loss with the host's: its loss times the batch size, and its items."""
    given = {key: value for key, value in batch.items() if key not in ("fusion", "taught")}
    host = detection * BATCH, dict(ITEMS)
    return joint_loss(host, given, batch["fusion"], gains, BATCH, batch.get("taught"), distance)


def example(*, requires_grad: bool = False) -> dict:
    generator = torch.Generator().manual_seed(0)
    pair = torch.rand(BATCH, 4, 16, 24, generator=generator)
    luminance = torch.rand(BATCH, 1, 16, 24, generator=generator).requires_grad_(requires_grad)
    return {"img": pair, "fusion": SimpleNamespace(luminance=luminance)}


def taught(*, requires_grad: bool = False) -> dict:
    """Return a batch with predicted meta-features and the backbone features they are to match."""
    generator = torch.Generator().manual_seed(1)
    predicted, target = (
        {stride: torch.randn(BATCH, 5, 2, 3, generator=generator).requires_grad_(requires_grad) for stride in (16, 32)}
        for _ in range(2)
    )
    return {**example(requires_grad=requires_grad), "taught": (predicted, target)}


def expected_terms(batch: dict) -> list[torch.Tensor]:
    images = batch["fusion"].luminance, rgb_to_luminance(batch["img"][:, :3]), batch["img"][:, 3:]
    return [loss(*images) for loss in (ssim_loss, gradient_loss, intensity_loss)]


def test_terms_have_short_names_and_are_unweighted() -> None:
    batch = example()
    _, terms = fusion_loss(batch["fusion"], batch["img"], Gains(2.0, 3.0, 5.0))
    assert list(terms) == ["ssim_loss", "grad_loss", "int_loss"]
    assert max(map(len, terms)) <= 10  # a column of the host's progress table has 11 characters
    for term, expected in zip(terms.values(), expected_terms(batch), strict=True):
        assert term.shape == ()
        torch.testing.assert_close(term, expected)
        assert term > 0


@pytest.mark.parametrize("gains", [Gains(), Gains(2.0, 3.0, 5.0, 7.0), Gains(0.0, 0.0, 1.0, 0.0)])
def test_total_is_the_weighted_sum_times_the_batch_size(gains) -> None:
    batch = example()
    total, items = joint(gains, batch)
    ssim, gradient, intensity = expected_terms(batch)
    expected = BATCH * (
        gains.ssim * ssim
        + gains.gradient * gradient
        + gains.intensity * intensity
        + gains.detection * DETECTION.sum()  # the host's criterion has multiplied its own already
    )
    assert total.shape == (4,)
    torch.testing.assert_close(total.sum(), expected)
    assert list(items) == ["ssim_loss", "grad_loss", "int_loss", "box_loss", "cls_loss", "dfl_loss"]
    for value, unweighted in zip(items.values(), [ssim, gradient, intensity, *DETECTION], strict=True):
        torch.testing.assert_close(value, unweighted)


@pytest.mark.parametrize("gains", [Gains(), Gains(2.0, 3.0, 5.0), Gains(0.0, 0.0, 1.0)])
def test_gradient_is_that_of_the_losses_of_the_whole_batch(gains) -> None:
    batch, reference = example(requires_grad=True), example(requires_grad=True)
    total, _ = fusion_loss(batch["fusion"], batch["img"], gains)
    (3 * total).backward()
    ssim, gradient, intensity = expected_terms(reference)
    (3 * (gains.ssim * ssim + gains.gradient * gradient + gains.intensity * intensity)).backward()
    torch.testing.assert_close(batch["fusion"].luminance.grad, reference["fusion"].luminance.grad)


@pytest.mark.parametrize("i", range(4))
def test_gain_of_zero_switches_its_term_off(i) -> None:
    values = [0.0, 0.0, 0.0, 0.0]
    values[i] = 2.0
    preds = DETECTION.clone().requires_grad_()
    batch = example(requires_grad=True)
    total, items = joint(Gains(*values), batch, preds)
    terms = [*items.values()]
    assert all(value > 0 for value in terms)  # still logged
    expected = terms[i] if i < 3 else DETECTION.sum()
    torch.testing.assert_close(total.sum(), 2 * BATCH * expected)
    total.sum().backward()
    assert torch.equal(preds.grad, torch.full_like(preds, BATCH * values[3]))
    assert batch["fusion"].luminance.grad.any() == (i < 3)


def test_gradient_reaches_both_sides_and_items_are_detached() -> None:
    preds = DETECTION.clone().requires_grad_()
    batch = example(requires_grad=True)
    total, items = joint(Gains(), batch, preds)
    total.sum().backward()
    assert batch["fusion"].luminance.grad.abs().sum() > 0
    assert preds.grad.abs().sum() > 0
    assert not any(value.requires_grad for value in items.values())


@pytest.mark.parametrize("distance", ["cosine", "l1", "l2"])
@pytest.mark.parametrize("gain", [1.0, 3.0, 0.0])
def test_meta_term_is_weighted_and_logged_unweighted(gain, distance) -> None:
    batch, gains = taught(), Gains(meta=gain)
    expected = meta_loss(*batch["taught"], distance)
    total, items = joint(gains, batch, distance=distance)
    plain, _ = joint(gains, example(), distance=distance)
    assert list(items) == ["ssim_loss", "grad_loss", "int_loss", "meta_loss", "box_loss", "cls_loss", "dfl_loss"]
    assert torch.equal(items["meta_loss"], expected)
    assert not items["meta_loss"].requires_grad
    torch.testing.assert_close(total[1], BATCH * gain * expected)
    assert torch.equal(total[[0, 2, 3, 4]], plain)  # and nothing else changes


@pytest.mark.parametrize("gain", [0.0, 1.5])
def test_trust_term_is_weighted_and_the_fusion_is_compared_with_the_sources(gain) -> None:
    batch, generator = example(), torch.Generator().manual_seed(2)
    batch["sources"] = torch.rand(BATCH, 4, 16, 24, generator=generator)
    batch["hidden"] = torch.rand(BATCH, 2, 16, 24, generator=generator) / 2
    shares = torch.rand(BATCH, 2, 4, 6, generator=generator)
    vars(batch["fusion"]).update(weights=shares, coefficients=torch.rand(BATCH, 4, 4, 6, generator=generator))
    total, items = joint(Gains(trust=gain), batch)
    trust = trust_loss(shares, batch["fusion"].coefficients[:, 3:], batch["hidden"])
    assert torch.equal(items["trust_loss"], trust)
    torch.testing.assert_close(total[1], gain * trust * BATCH)
    expected, _ = fusion_loss(batch["fusion"], batch["sources"], Gains())
    torch.testing.assert_close(total[0], expected * BATCH)


def test_meta_term_is_absent_where_nothing_is_taught() -> None:
    total, items = joint(Gains(meta=3.0), example())
    assert "meta_loss" not in items
    assert total.shape == (4,)


def test_meta_term_teaches_the_prediction_only() -> None:
    batch = taught(requires_grad=True)
    total, _ = joint(Gains(meta=1.0), batch)
    total.sum().backward()
    predicted, target = batch["taught"]
    assert all(features.grad.any() for features in predicted.values())
    assert all(features.grad is None for features in target.values())


def test_a_loss_of_the_mean_image_gets_terms_of_the_mean_image() -> None:
    batch = example()
    (total, _), (times, _) = (
        joint_loss((DETECTION.sum(), {}), batch, batch["fusion"], Gains(), 1),
        joint(Gains(), batch),
    )
    torch.testing.assert_close(total.sum() * BATCH, times.sum())
