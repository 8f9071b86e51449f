"""Fusion losses: does the fused luminance keep the structure, the edges and the brightness of both sources?

Every fusion loss compares three single-channel images (B, 1, H, W) in [0, 1] and returns one scalar, the mean over
batch and pixels, 0 for a perfect fusion. A source that is blank (constant over the whole image) has no say in any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.ssim import check_planes, check_size, single_precision, ssim_of_moments, window_means

SSIM_STRIDE = 3  # from window to window of the SSIM loss: they overlap so far that all pixels still weigh alike
LEAST_SHARE = 1e-3  # of a camera whose logarithm is taken
COLOUR = (0.1, 0.3)  # weights of the chroma in the trust loss: where it should go, where it should stay
NOTICEABLE = 1e-3  # a quarter of an 8-bit step: contrast up to this is rounding noise, and counts as 0


def ssim_loss(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Ask for the local structure of whichever source has more of it.

    `L = 1 - mean_w [ λ(w) SSIM(v, f | w) + (1 - λ(w)) SSIM(i, f | w) ]`, `λ(w) = s(v | w) / (s(v | w) + s(i | w))`,
    saliency `s(. | w)` = variance in the window w. Every third window across and down is taken.

    Args:
        fused: Fused luminance f (B, 1, H, W), [0, 1]; H and W at least 11.
        visible: Luminance v of the visible image, like `fused`.
        infrared: Infrared image i, like `fused`.

    Returns:
        Scalar in [0, 2]; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W), the shapes differ, or an image is smaller than the window.

    Source:
        G. Piella, H. Heijmans, "A new quality metric for image fusion", ICIP 2003: the fusion quality index Q. Here
        with SSIM in place of its forerunner, the universal image quality index, and in its Gaussian windows, see
        :func:`~metafusion_yolo.ssim.ssim_map`, of which a ninth says the same of the whole image; and λ is stated
        where neither source varies (standard deviation at most `NOTICEABLE`): even between the sources that vary
        anywhere.

    Example:
        >>> image = torch.rand(1, 1, 16, 16)
        >>> ssim_loss(image, image, torch.zeros_like(image)).item()  # a blank infrared image has no say
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
    """Ask for the sharper edge of the two sources at every pixel.

    `L = 1/(HW) || |∇f| - max(|∇v|, |∇i|) ||_1`, `|∇x| = |∂x/∂u| + |∂x/∂v|` by the Sobel operator.

    Args:
        fused: Fused luminance f (B, 1, H, W), [0, 1]; H and W at least 3.
        visible: Luminance v of the visible image, like `fused`.
        infrared: Infrared image i, like `fused`.

    Returns:
        Scalar in [0, 1], luminance per pixel; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W), the shapes differ, or an image is smaller than 3 × 3.

    Source:
        L. Tang, J. Yuan, J. Ma, "Image fusion in the loop of high-level vision tasks: A semantic-aware real-time
        infrared and visible image fusion network", Information Fusion 82 (2022), texture loss. Here the Sobel operator
        is divided by 8, so that it is a slope, and taken where it lies inside the image, so that the frame is no edge.

    Example:
        >>> ramp = torch.linspace(0, 1, 9).expand(1, 1, 9, 9)
        >>> gradient_loss(torch.zeros_like(ramp), ramp, ramp).item()  # a slope of 1/8 per pixel is lost
        0.125
    """
    fused, visible, infrared = check_planes(fused=fused, visible=visible, infrared=infrared)
    sharper = torch.maximum(sobel_magnitude(visible), sobel_magnitude(infrared))
    return (sobel_magnitude(fused) - sharper).abs().mean()


def intensity_loss(fused: Tensor, visible: Tensor, infrared: Tensor) -> Tensor:
    """Ask for the brightness of the source that stands out.

    `L = 1/(HW) || f - t(v, i) ||_1`, t of :func:`saliency_weighted_source`.

    Args:
        fused: Fused luminance f (B, 1, H, W), [0, 1].
        visible: Luminance v of the visible image, like `fused`.
        infrared: Infrared image i, like `fused`.

    Returns:
        Scalar in [0, 1]; float32 for half-precision images.

    Raises:
        TypeError: If an image is not a floating-point tensor.
        ValueError: If an image is not (B, 1, H, W), or the shapes differ.

    Source:
        The form of the intensity loss of L. Tang, J. Yuan, J. Ma, Information Fusion 82 (2022), with another target.

    Example:
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

    Example:
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
    """Ask the meta-features to say what the detector's backbone sees.

    `L = mean d(p, t)` over levels and places, p and t the channels of a place. "cosine": `d = 1 - cos(p, t)`; "l1" and
    "l2": mean absolute and squared difference to `(t - mean(t)) / std(t)`. No gradient reaches t.

    Args:
        predicted: Predicted backbone features by stride, (B, C, h, w).
        target: The detector's by stride, like `predicted`; strides beyond its are left out.
        distance: "cosine", "l1" or "l2".

    Returns:
        Scalar, 0 or more, "cosine" at most 2; float32 for half-precision features.

    Raises:
        ValueError: If there is no level, a shape differs, or the distance is unknown.

    Source:
        After the guide loss of Zhao et al., "MetaFusion", CVPR 2023. The normalisation is this project's: features of
        different depths differ in scale.

    Example:
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
    """Mix the sources by how far each pixel stands out from its image: the brightness that a fused pixel should have.

    `t = (s_v v + s_i i) / (s_v + s_i)`, saliency `s_x = |x - mean(x)|`. Where neither pixel stands out (by more than
    `NOTICEABLE`), the mix is even between the sources that are not blank. Not differentiated through.

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
        sum of its distances from all others, by the histogram; here the distance from the mean stands in for it, and
        the normalised weights are this project's.

    Example:
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
        noise: A saliency up to this counts as 0. Where both do, the share is even, or all with the one image that has
            any saliency elsewhere.
    """
    visible, infrared = F.threshold(visible, noise, 0.0), F.threshold(infrared, noise, 0.0)
    total = visible + infrared
    any_v, any_i = ((s.amax((2, 3), keepdim=True) > 0).to(s.dtype) for s in (visible, infrared))
    return torch.where(total > 0, visible / total.clamp(min=noise), (1 + any_v - any_i) / 2)
