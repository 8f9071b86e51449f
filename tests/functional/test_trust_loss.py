"""The trust loss: a cross-entropy against a loop over the places, known values, derivatives, refusals."""

import numpy as np
import pytest
import torch

from metafusion_yolo.functional.losses import COLOUR, trust_loss


def shares(height: int = 4, width: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weights and chroma within (0.1, 0.9), and regions that do not overlap."""
    infrared, chroma, drawn = torch.rand(3, 2, 1, height, width, generator=torch.Generator().manual_seed(seed)).double()
    infrared, chroma = 0.1 + 0.8 * infrared, 0.1 + 0.8 * chroma
    hidden = torch.cat(((drawn - 0.6).clamp(min=0) * 2, (0.4 - drawn).clamp(min=0) * 2), 1)
    return torch.cat((1 - infrared, infrared), 1), chroma, hidden


def reference(weights: np.ndarray, chroma: np.ndarray, hidden: np.ndarray) -> float:
    """Return the loss by a loop over the places."""
    sums, shares_of = np.zeros(4), np.zeros(4)
    for image, row, column in np.ndindex(len(weights), *weights.shape[2:]):
        place = image, slice(None), row, column
        (visible, infrared), (c,), (hides_visible, hides_infrared) = weights[place], chroma[place], hidden[place]
        wanted = np.array([hides_visible, hides_infrared, hides_visible, 1 - hides_visible])
        sums += wanted * -np.log([1 - visible, 1 - infrared, 1 - c, c])
        shares_of += wanted
    each = sums / shares_of
    return float(each @ [1, 1, *COLOUR])


def test_equals_a_loop() -> None:
    args = shares()
    assert trust_loss(*args).item() == pytest.approx(reference(*(a.numpy() for a in args)), rel=1e-9)


def test_regions_may_be_given_at_the_size_of_the_image() -> None:
    weights, chroma, hidden = shares()
    large = hidden.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(trust_loss(weights, chroma, large), trust_loss(weights, chroma, hidden))


def test_the_other_camera_alone_costs_nothing() -> None:
    hidden = torch.zeros(1, 2, 2, 4)
    hidden[:, 0, :, :2], hidden[:, 1, :, 2:] = 1, 1  # the left is hidden from the visible camera
    weights, chroma = 1 - hidden, 1 - hidden[:, :1]
    assert trust_loss(weights, chroma, hidden).item() == 0
    assert trust_loss(hidden, chroma, hidden).item() > 5


def test_weights_are_free_where_nothing_is_hidden() -> None:
    weights, chroma, hidden = shares()
    weights.requires_grad_()
    trust_loss(weights, chroma, hidden).backward()
    assert torch.equal((weights.grad == 0), (hidden == 0))


def test_a_blank_camera_gives_a_finite_value() -> None:
    weights = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).requires_grad_()
    loss = trust_loss(weights, torch.zeros(1, 1, 1, 1), torch.tensor([0.0, 1.0]).view(1, 2, 1, 1))
    loss.backward()
    assert loss.isfinite()
    assert weights.grad is not None
    assert weights.grad.isfinite().all()


def test_gradcheck() -> None:
    weights, chroma, hidden = shares()
    assert torch.autograd.gradcheck(
        lambda w, c: trust_loss(w, c, hidden), (weights.requires_grad_(), chroma.requires_grad_())
    )


def test_refuses_shapes_that_do_not_go_together() -> None:
    weights, chroma, hidden = shares()
    with pytest.raises(ValueError, match="do not go together"):
        trust_loss(weights, chroma, hidden[:, :1])
    with pytest.raises(ValueError, match="do not go together"):
        trust_loss(weights, chroma[..., :2], hidden)
