"""The joint loss: fusion terms added to the host's detection loss, whatever its head finds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metafusion_yolo.config import Gains
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.losses import gradient_loss, intensity_loss, meta_loss, ssim_loss, trust_loss
from metafusion_yolo.nn.fusion import FusionOutput

FUSION_LOSSES = {"ssim_loss": ssim_loss, "grad_loss": gradient_loss, "int_loss": intensity_loss}


def fusion_loss(output: FusionOutput, pair: Tensor, gains: Gains) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of the fusion losses, a scalar, and by name each unweighted loss, without gradient.

    Args:
        output: Output of the front-end for the pair.
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        gains: Weights of the terms.
    """
    weights = gains.ssim, gains.gradient, gains.intensity
    total, terms = _LossOfEachImage.apply(output.luminance, pair, weights)
    return total, dict(zip(FUSION_LOSSES, terms.unbind(), strict=True))


class _LossOfEachImage(torch.autograd.Function):
    """The fusion losses, computed and differentiated image by image.

    The losses are means over the images of a batch, so the result is the same, and only the intermediate planes of one
    image exist at a time, which fit the cache. Autograd would keep those of all images at full resolution until the
    detector has run, which takes a quarter more memory. The pair gets no gradient.
    """

    @staticmethod
    def forward(ctx: Any, fused: Tensor, pair: Tensor, weights: tuple[float, ...]) -> tuple[Tensor, Tensor]:
        """Return the weighted sum and the terms (3,) of a batch of fused luminances (B, 1, H, W) and pairs."""
        learns = ctx.needs_input_grad[0]
        gains = fused.new_tensor(weights, dtype=torch.promote_types(fused.dtype, torch.float32))
        terms, gradients = torch.zeros_like(gains), []
        for image, views in zip(fused.detach().split(1), pair.detach().split(1), strict=True):
            sources = rgb_to_luminance(views[:, :3]), views[:, 3:]
            with torch.set_grad_enabled(learns):
                losses = torch.stack([loss(image.requires_grad_(learns), *sources) for loss in FUSION_LOSSES.values()])
                losses = losses / len(fused)
            terms += losses.detach()
            if learns:
                gradients += torch.autograd.grad(losses, image, grad_outputs=gains)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(terms)
        return (terms * gains).sum(), terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient (B, 1, H, W) with respect to the fused luminance."""
        gradient = torch.cat(ctx.saved_tensors)
        return gradient * scale.to(gradient.dtype), None, None


def restoration_loss(output: FusionOutput, clean: Tensor, gains: Gains) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted fusion losses against a clean image, times the batch size, and by name each unweighted loss.

    The clean image stands for both sources, so every term is 0 where the fused luminance equals it.

    Args:
        output: Output of the front-end for two views of the image.
        clean: Luminance of the image (B, 1, H, W), [0, 1].
        gains: Weights of the terms.
    """
    total, terms = fusion_loss(output, clean.expand(-1, 4, -1, -1), gains)
    return total[None] * len(clean), terms


def joint_loss(
    detection: tuple[Tensor, dict[str, Tensor]],
    batch: dict[str, Any],
    output: FusionOutput,
    gains: Gains,
    size: int,
    taught: tuple[dict[int, Tensor], dict[int, Tensor]] | None = None,
    distance: str = "cosine",
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return `L_ssim + L_gradient + L_intensity + L_trust + λ · L_detection + μ · L_meta`, each term with its gain.

    Args:
        detection: The host's loss of its head, whatever it finds, and its named items.
        batch: The host's batch with the pair as `img`; where cameras were spoilt, with `hidden` and `sources` of
            :func:`~metafusion_yolo.nn.degradation.degrade`.
        output: Output of the front-end for the pair.
        gains: Weights of the terms.
        size: What the other terms are multiplied by, as the host has multiplied its own: the batch size, or 1.
        taught: Predicted and actual backbone features by stride, with a teacher.
        distance: See :func:`~metafusion_yolo.functional.losses.meta_loss`.

    Returns:
        Vector of the weighted terms, and by name every raw term.
    """
    detected, items = detection
    fusion, terms = fusion_loss(output, batch.get("sources", batch["img"]), gains)
    losses = [fusion]
    if "hidden" in batch:
        trust = trust_loss(output.weights, output.coefficients[:, 3:], batch["hidden"])
        losses.append(gains.trust * trust)
        terms["trust_loss"] = trust.detach()
    if taught:
        meta = meta_loss(*taught, distance)
        losses.append(gains.meta * meta)
        terms["meta_loss"] = meta.detach()
    total = torch.cat((torch.stack(losses) * size, (gains.detection * detected).reshape(-1)))
    return total, {**terms, **items}
