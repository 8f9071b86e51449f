"""The joint loss: fusion terms beside the host's detection loss, in the host's criterion contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from metafusion_yolo.color import rgb_to_luminance
from metafusion_yolo.config import Gains
from metafusion_yolo.losses import gradient_loss, intensity_loss, meta_loss, ssim_loss
from metafusion_yolo.nn.fusion import FusionOutput

DetectionLoss = Callable[[Any, dict[str, Any]], tuple[Tensor, dict[str, Tensor]]]
FUSION_LOSSES = {"ssim_loss": ssim_loss, "grad_loss": gradient_loss, "int_loss": intensity_loss}


def fusion_terms(output: FusionOutput, pair: Tensor) -> dict[str, Tensor]:
    """Return the fusion losses by name, unweighted scalars.

    Args:
        output: What the front-end made of the pair.
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
    """
    terms = _LossesOfEachImage.apply(output["luminance"], rgb_to_luminance(pair[:, :3]), pair[:, 3:])
    return dict(zip(FUSION_LOSSES, terms.unbind(), strict=True))


class _LossesOfEachImage(torch.autograd.Function):
    """The fusion losses, image after image, each differentiated at once.

    They are means over the images of a batch, so nothing is lost, and at any time there are the intermediate planes of
    one loss of one image. Left to autograd, those of all wait at full resolution until the detector has run too, which
    takes a quarter more memory. The sources get no gradient.
    """

    @staticmethod
    def forward(ctx: Any, fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
        """Return the terms (3,) of three batches (B, 1, H, W)."""
        size, learns = len(fused), ctx.needs_input_grad[0]
        terms = fused.new_zeros(len(FUSION_LOSSES), dtype=torch.promote_types(fused.dtype, torch.float32))
        gradients = fused.new_empty(len(FUSION_LOSSES) if learns else 0, *fused.shape)
        for n, (image, *sources) in enumerate(
            zip(*(x.detach().split(1) for x in (fused, visible, infrared)), strict=True)
        ):
            for k, loss in enumerate(FUSION_LOSSES.values()):
                with torch.set_grad_enabled(learns):
                    term = loss(image.requires_grad_(learns), *sources) / size
                terms[k] += term.detach()
                if learns:
                    gradients[k, n] = torch.autograd.grad(term, image)[0][0]
        ctx.save_for_backward(gradients)
        return terms

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient (B, 1, H, W) with respect to the fused luminance."""
        (gradients,) = ctx.saved_tensors
        return torch.tensordot(weights.to(gradients.dtype), gradients, 1), None, None


def restoration_loss(output: FusionOutput, clean: Tensor, gains: Gains) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted fusion losses against one clean image, times the batch size, and each unweighted by name.

    The clean image stands for both sources, so that every term is 0 where the fused luminance equals it.

    Args:
        output: What the front-end made of a pair of views of the image.
        clean: Luminance of the image (B, 1, H, W), [0, 1].
        gains: Weights of the terms.
    """
    terms = fusion_terms(output, clean.expand(-1, 4, -1, -1))
    weights = gains.ssim, gains.gradient, gains.intensity
    weighted = torch.stack([gain * term for gain, term in zip(weights, terms.values(), strict=True)])
    return weighted * len(clean), {name: term.detach() for name, term in terms.items()}


class FusionDetectionLoss:
    """`L = L_ssim + L_gradient + L_intensity + λ · L_detection + μ · L_meta`, each term with its gain.

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
        """Return the weighted terms, times the batch size, and every term unweighted by name.

        Args:
            preds: Detector outputs.
            batch: The host's batch; with `fusion` (a :class:`FusionOutput`) beside `img` (the pair), and `taught`
                (backbone features as predicted and as they are, by stride) where there is a teacher. A batch without
                `fusion` holds images that are fused already: the loss is the host's.
        """
        detection, items = self.detection(preds, batch)
        if "fusion" not in batch:
            return detection, items
        pair = batch["img"]
        terms = fusion_terms(batch["fusion"], pair)
        gains = [self.gains.ssim, self.gains.gradient, self.gains.intensity]
        if "taught" in batch:
            predicted, target = batch["taught"]
            terms["meta_loss"] = meta_loss(predicted, target, self.distance)
            gains.append(self.gains.meta)
        fusion = torch.stack([gain * term for gain, term in zip(gains, terms.values(), strict=True)]) * len(pair)
        total = torch.cat((fusion, self.gains.detection * detection))
        return total, {**{name: term.detach() for name, term in terms.items()}, **items}

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
