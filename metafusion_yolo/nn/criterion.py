"""The joint loss: fusion terms added to the host's detection loss, with the interface of the host's criterion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metafusion_yolo.config import Gains
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.losses import gradient_loss, intensity_loss, meta_loss, ssim_loss, trust_loss
from metafusion_yolo.nn.fusion import FusionOutput

DetectionLoss = Callable[[Any, dict[str, Any]], tuple[Tensor, dict[str, Tensor]]]
FUSION_LOSSES = {"ssim_loss": ssim_loss, "grad_loss": gradient_loss, "int_loss": intensity_loss}


def fusion_loss(output: FusionOutput, pair: Tensor, gains: Gains) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of the fusion losses, a scalar, and by name each unweighted loss, without gradient.

    Args:
        output: Output of the front-end for the pair.
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        gains: Weights of the terms.
    """
    weights = gains.ssim, gains.gradient, gains.intensity
    total, terms = _LossOfEachImage.apply(output["luminance"], pair, weights)
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


class FusionDetectionLoss:
    """`L = L_ssim + L_gradient + L_intensity + L_trust + λ · L_detection + μ · L_meta`, each term with its gain.

    YOLOv8 is anchor-free and has no objectness term: detection is class, box and distribution focal loss.

    Args:
        detection: The host's criterion; `(preds, batch) -> (loss times batch size, named items)`.
        gains: Weights of the terms.
        distance: See :func:`~metafusion_yolo.functional.losses.meta_loss`.
    """

    def __init__(self, detection: DetectionLoss, gains: Gains, distance: str = "cosine") -> None:
        self.detection = detection
        self.gains = gains
        self.distance = distance

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted fusion, teaching and detection losses, times the batch size, and by name every raw term.

        Args:
            preds: Detector outputs.
            batch: The host's batch with `fusion` (a :class:`FusionOutput`) beside `img` (the pair); with a teacher
                `taught` (predicted and actual backbone features by stride); where cameras were spoilt, `hidden` and
                `sources` of :func:`~metafusion_yolo.nn.degradation.degrade`. Without `fusion`, the images are fused
                already and the loss is the host's.
        """
        detection, items = self.detection(preds, batch)
        if "fusion" not in batch:
            return detection, items
        fusion, terms = fusion_loss(batch["fusion"], batch.get("sources", batch["img"]), self.gains)
        losses = [fusion]
        if "hidden" in batch:
            output = batch["fusion"]
            trust = trust_loss(output["weights"], output["coefficients"][:, 3:], batch["hidden"])
            losses.append(self.gains.trust * trust)
            terms["trust_loss"] = trust.detach()
        if "taught" in batch:
            predicted, target = batch["taught"]
            meta = meta_loss(predicted, target, self.distance)
            losses.append(self.gains.meta * meta)
            terms["meta_loss"] = meta.detach()
        total = torch.cat((torch.stack(losses) * len(batch["img"]), self.gains.detection * detection))
        return total, {**terms, **items}

    def update(self) -> None:
        """Advance the detection loss by one epoch, for heads whose loss changes over time (YOLO26)."""
        if hasattr(self.detection, "update"):
            self.detection.update()

    @property
    def updates(self) -> int:
        """Number of epochs the detection loss has seen; the host sets it on resume."""
        return getattr(self.detection, "updates", 0)

    @updates.setter
    def updates(self, value: int) -> None:
        if hasattr(self.detection, "updates"):
            self.detection.updates = value
