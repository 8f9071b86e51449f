"""Fusion losses: does the fused luminance keep the structure, the edges and the brightness of both sources?

The three fusion losses share one contract; a blank source (constant over the whole image) has no influence on any.

Args:
    fused: Fused luminance f (B, 1, H, W), [0, 1].
    visible: Luminance v of the visible image, like `fused`.
    infrared: Infrared image i, like `fused`.

Returns:
    Scalar, the mean over batch and pixels, 0 for a perfect fusion; float32 for half-precision images.

Raises:
    TypeError: If an image is not a floating-point tensor.
    ValueError: If an image is not (B, 1, H, W), the shapes differ, or an image is smaller than the window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.functional.ssim import check_planes, check_size, single_precision, ssim_of_moments, window_means

SSIM_STRIDE = 3  # pixels between windows of the SSIM loss; they overlap enough to weigh all pixels alike
NOTICEABLE = 1e-3  # contrast up to a quarter of an 8-bit step is rounding noise and counts as 0
LEAST_SHARE = 1e-3  # of a camera whose logarithm is taken
COLOUR = (0.1, 0.3)  # weights of the chroma in the trust loss: where it should go, where it should stay


def ssim_loss(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Reward the local structure of the source that has more of it, in [0, 2].

    `L = 1 - mean_w [ λ(w) SSIM(v, f | w) + (1 - λ(w)) SSIM(i, f | w) ]`, `λ(w) = s(v | w) / (s(v | w) + s(i | w))`,
    saliency `s(. | w)` = variance in the window w, 11 × 11 pixels. Every third window across and down is taken.

    Source:
        G. Piella, H. Heijmans, "A new quality metric for image fusion", ICIP 2003: the fusion quality index Q. Here
        SSIM in its Gaussian windows (:func:`~metafusion_yolo.functional.ssim.ssim_map`) replaces its forerunner, the
        universal image quality index; a ninth of the windows represents the whole image. Where neither source varies
        (standard deviation at most `NOTICEABLE`), λ is even between the sources that vary elsewhere.

    Examples:
        >>> image = torch.rand(1, 1, 16, 16)
        >>> ssim_loss(image, image, torch.zeros_like(image)).item()  # a blank infrared image has no influence
        0.0
    """
    fused, visible, infrared = check_planes(fused=fused, visible=visible, infrared=infrared)
    means = partial(window_means, stride=SSIM_STRIDE)
    mean_v, mean_i, power_v, power_i = means(visible, infrared, visible**2, infrared**2)
    mean_f, power_f, product_v, product_i = means(fused, fused**2, fused * visible, fused * infrared)
    ssim_v = ssim_of_moments(mean_v, mean_f, power_v, power_f, product_v)
    ssim_i = ssim_of_moments(mean_i, mean_f, power_i, power_f, product_i)
    share_v = _share(power_v - mean_v**2, power_i - mean_i**2, noise=NOTICEABLE**2)
    return (1 - torch.lerp(ssim_i, ssim_v, share_v)).mean()


def gradient_loss(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Reward the sharper edge of the two sources at every pixel; luminance per pixel, in [0, 1].

    `L = 1/(HW) || |∇f| - max(|∇v|, |∇i|) ||_1`, `|∇x| = |∂x/∂u| + |∂x/∂v|` by the Sobel operator, window 3 × 3.

    Source:
        L. Tang, J. Yuan, J. Ma, "Image fusion in the loop of high-level vision tasks: A semantic-aware real-time
        infrared and visible image fusion network", Information Fusion 82 (2022), texture loss. Here the Sobel operator
        is divided by 8, which makes it a slope, and stays inside the image, so that the frame is not an edge.

    Examples:
        >>> ramp = torch.linspace(0, 1, 9).expand(1, 1, 9, 9)
        >>> gradient_loss(torch.zeros_like(ramp), ramp, ramp).item()  # a slope of 1/8 per pixel is lost
        0.125
    """
    fused, visible, infrared = check_planes(fused=fused, visible=visible, infrared=infrared)
    sharper = torch.maximum(sobel_magnitude(visible), sobel_magnitude(infrared))
    return (sobel_magnitude(fused) - sharper).abs().mean()


def intensity_loss(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Reward the brightness of the source that stands out, in [0, 1].

    `L = 1/(HW) || f - t(v, i) ||_1`, t of :func:`saliency_weighted_source`.

    Source:
        The form of the intensity loss of L. Tang, J. Yuan, J. Ma, Information Fusion 82 (2022), with another target.

    Examples:
        >>> intensity_loss(torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)).item()
        1.0
    """
    fused, visible, infrared = check_planes(fused=fused, visible=visible, infrared=infrared)
    return (fused - saliency_weighted_source(visible, infrared)).abs().mean()


def trust_loss(weights: Tensor, chroma: Tensor, hidden: Tensor) -> Tensor:
    """Ask for the other camera where one is blind, and for no colour where the visible one is.

    `L = Σ_k mean_{h_k} [ -log(1 - w_k) ] + β · mean_{h_v} [ -log(1 - c) ] + γ · mean_{1 - h_v} [ -log c ]`, β = 0.1,
    γ = 0.3: a cross-entropy of the weights w_k over the places that are hidden from camera k, to the degree h_k, and of
    the share of chroma c everywhere, which is kept in doubt. Where nothing is hidden, the weights are left to what else
    is asked of them.

    Args:
        weights: Share of each camera (B, 2, h, w), visible first, in [0, 1].
        chroma: Share of the visible chroma (B, 1, h, w), in [0, 1].
        hidden: How far each camera is blind, (B, 2, H, W), in [0, 1]; H and W are h and w or a multiple of them.

    Returns:
        Scalar, 0 or more; float32 for half-precision weights.

    Raises:
        ValueError: If the shapes do not go together.

    Source:
        This project.

    Examples:
        >>> all_infrared = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
        >>> night = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
        >>> trust_loss(all_infrared, torch.zeros(1, 1, 1, 1), night).item()
        0.0
    """
    if hidden.shape[:2] != weights.shape[:2] or chroma.shape != weights[:, :1].shape:
        raise ValueError(
            f"weights (B, 2, h, w), chroma (B, 1, h, w) and hidden (B, 2, H, W) do not go together: "
            f"{tuple(weights.shape)}, {tuple(chroma.shape)}, {tuple(hidden.shape)}"
        )
    hidden = F.interpolate(single_precision(hidden), size=weights.shape[-2:], mode="area")
    shares = torch.cat((1 - single_precision(weights), 1 - single_precision(chroma), single_precision(chroma)), 1)
    wanted = torch.cat((hidden, hidden[:, :1], 1 - hidden[:, :1]), 1)
    surprise = -(wanted * shares.clamp(min=LEAST_SHARE).log()).mean((0, 2, 3)) / wanted.mean((0, 2, 3)).clamp(min=0.05)
    return (surprise * surprise.new_tensor((1, 1, *COLOUR))).sum()


def meta_loss(predicted: Mapping[int, Tensor], target: Mapping[int, Tensor], distance: str = "cosine") -> Tensor:
    """Compare the backbone features that the meta-features predict with those of the detector.

    `L = mean d(p, t)` over levels and places, p and t the channels of a place. "cosine": `d = 1 - cos(p, t)`; "l1" and
    "l2": mean absolute and squared difference to `(t - mean(t)) / std(t)`. No gradient reaches t.

    Args:
        predicted: Predicted backbone features by stride, (B, C, h, w).
        target: The detector's features by stride, like `predicted`; additional strides are ignored.
        distance: "cosine", "l1" or "l2".

    Returns:
        Scalar, 0 or more, "cosine" at most 2; float32 for half-precision features.

    Raises:
        KeyError: If `target` lacks a stride of `predicted`.
        ValueError: If there is no level, a shape differs, or the distance is unknown.

    Source:
        After the guide loss of Zhao et al., "MetaFusion", CVPR 2023. The normalisation is this project's, because
        features of different depths differ in scale.

    Examples:
        >>> features = {16: torch.ones(1, 8, 4, 4)}
        >>> meta_loss(features, {16: -features[16]}).item()
        2.0
    """
    if not predicted or distance not in DISTANCES:
        raise ValueError(f"expected at least one level and one of {', '.join(DISTANCES)}, got {distance!r}")
    levels = {
        stride: (single_precision(p), single_precision(target[stride].detach())) for stride, p in predicted.items()
    }
    for stride, (p, t) in levels.items():
        if p.shape != t.shape:
            raise ValueError(f"features at stride {stride} must be {tuple(t.shape)}, got {tuple(p.shape)}")
    return torch.stack([DISTANCES[distance](p, t).mean() for p, t in levels.values()]).mean()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": lambda p, t: 1 - F.cosine_similarity(p, t, dim=1),  # instance_norm below: over the channels of a place
    "l1": lambda p, t: (p - F.instance_norm(t.flatten(2).mT).mT.view_as(t)).abs(),
    "l2": lambda p, t: (p - F.instance_norm(t.flatten(2).mT).mT.view_as(t)).square(),
}


@torch.no_grad()
def saliency_weighted_source(visible: Tensor, infrared: Tensor) -> Tensor:
    """Return the brightness that each fused pixel should have: the sources, weighted by how far a pixel stands out.

    `t = (s_v v + s_i i) / (s_v + s_i)`, saliency `s_x = |x - mean(x)|`. Where neither pixel stands out (by more than
    `NOTICEABLE`), the mix is even between the sources that are not blank. No gradient passes.

    Args:
        visible: Luminance v of the visible image (B, 1, H, W), [0, 1].
        infrared: Infrared image i, like `visible`.

    Returns:
        Target luminance (B, 1, H, W), between the two sources; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W), or the shapes differ.

    Source:
        After J. Ma, Z. Zhou, B. Wang, H. Zong, "Infrared and visible image fusion based on visual saliency map and
        weighted least square optimization", Infrared Physics & Technology 82 (2017). Their saliency of a pixel is the
        sum of its distances from all others, by the histogram. This project uses its distance from the mean, and
        normalised weights.

    Examples:
        >>> person = torch.tensor([[0.0, 0.0, 0.0, 1.0]]).view(1, 1, 2, 2)
        >>> torch.equal(saliency_weighted_source(torch.full_like(person, 0.5), person), person)
        True
    """
    visible, infrared = check_planes(visible=visible, infrared=infrared)
    saliency_v = (visible - visible.mean((2, 3), keepdim=True)).abs()
    saliency_i = (infrared - infrared.mean((2, 3), keepdim=True)).abs()
    return torch.lerp(infrared, visible, _share(saliency_v, saliency_i, noise=NOTICEABLE))


def sobel_magnitude(image: Tensor) -> Tensor:
    """Return the slope `|∂x/∂u| + |∂x/∂v|` of an image by the Sobel operator divided by 8.

    Args:
        image: (B, 1, H, W), [0, 1]; H and W at least 3.

    Returns:
        Slope (B, 1, H - 2, W - 2), luminance per pixel, [0, 1]; exactly 0 where the image is constant.

    Raises:
        ValueError: If the image is smaller than 3 × 3.

    Source:
        I. Sobel, G. Feldman, "A 3×3 isotropic gradient operator for image processing" (1968).
    """
    check_size(image, 3)
    columns = torch.add(image[..., :-2, :] + image[..., 2:, :], image[..., 1:-1, :], alpha=2)
    rows = torch.add(image[..., :-2] + image[..., 2:], image[..., 1:-1], alpha=2)
    across, down = columns[..., 2:] - columns[..., :-2], rows[..., 2:, :] - rows[..., :-2, :]
    return (across.abs() + down.abs()) / 8


@torch.no_grad()
def _share(visible: Tensor, infrared: Tensor, noise: float) -> Tensor:
    """Return the share of the visible image in each place, in [0, 1].

    Args:
        visible: Saliency of the visible image (B, 1, H, W), 0 or more.
        infrared: Saliency of the infrared image, like `visible`.
        noise: Saliency up to this counts as 0. Where both are 0, the share is even, unless only one image has saliency
            elsewhere: then that image takes all.
    """
    visible, infrared = F.threshold(visible, noise, 0.0), F.threshold(infrared, noise, 0.0)
    total = visible + infrared
    any_v, any_i = ((s.amax((2, 3), keepdim=True) > 0).to(s.dtype) for s in (visible, infrared))
    return torch.where(total > 0, visible / total.clamp(min=noise), (1 + any_v - any_i) / 2)
