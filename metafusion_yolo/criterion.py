"""The joint loss: fusion terms beside the host's detection loss, in the host's criterion contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metafusion_yolo.color import rgb_to_luminance
from metafusion_yolo.config import Gains
from metafusion_yolo.losses import gradient_loss, intensity_loss, meta_loss, ssim_loss, trust_loss
from metafusion_yolo.nn.fusion import FusionOutput

DetectionLoss = Callable[[Any, dict[str, Any]], tuple[Tensor, dict[str, Tensor]]]
FUSION_LOSSES = {"ssim_loss": ssim_loss, "grad_loss": gradient_loss, "int_loss": intensity_loss}


def fusion_loss(output: FusionOutput, pair: Tensor, gains: Gains) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of the fusion losses, a scalar, and each unweighted by name, without gradient.

    Args:
        output: What the front-end made of the pair.
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        gains: Weights of the terms.
    """
    weights = gains.ssim, gains.gradient, gains.intensity
    total, terms = _LossOfEachImage.apply(output["luminance"], pair, weights)
    return total, dict(zip(FUSION_LOSSES, terms.unbind(), strict=True))


class _LossOfEachImage(torch.autograd.Function):
    """The fusion losses, image after image, each differentiated at once.

    They are means over the images of a batch, so nothing is lost, and at any time there are the intermediate planes of
    one image, which stay in the cache. Left to autograd, those of all wait at full resolution until the detector has
    run too, which takes a quarter more memory. The pair gets no gradient.
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
    """Return the weighted fusion losses against one clean image, times the batch size, and each unweighted by name.

    The clean image stands for both sources, so that every term is 0 where the fused luminance equals it.

    Args:
        output: What the front-end made of a pair of views of the image.
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
        distance: That of :func:`~metafusion_yolo.losses.meta_loss`.
    """

    def __init__(self, detection: DetectionLoss, gains: Gains, distance: str = "cosine") -> None:
        self.detection = detection
        self.gains = gains
        self.distance = distance

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the losses of fusion, of teaching, and the detector's, all weighted, times the batch size.

        With them comes every term unweighted, by name.

        Args:
            preds: Detector outputs.
            batch: The host's batch; with `fusion` (a :class:`FusionOutput`) beside `img` (the pair), and `taught`
                (backbone features as predicted and as they are, by stride) where there is a teacher, and, where cameras
                were spoilt, `hidden` and `sources` of :func:`~metafusion_yolo.nn.degradation.degrade`. A batch without
                `fusion` holds images that are fused already: the loss is the host's.
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
        """Advance the detection loss by an epoch, for heads whose loss changes over time (YOLO26)."""
        if hasattr(self.detection, "update"):
            self.detection.update()

    @property
    def updates(self) -> int:
        """Epochs the detection loss has seen; the host sets it when it resumes."""
        return getattr(self.detection, "updates", 0)

    @updates.setter
    def updates(self, value: int) -> None:
        if hasattr(self.detection, "updates"):
            self.detection.updates = value
