"""The fusion front-end: turns a visible and an infrared image into one image, with the weights that explain it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metafusion_yolo.functional.color import replace_luminance, rgb_to_luminance
from metafusion_yolo.nn.attention import MetaFeatureCrossAttention
from metafusion_yolo.nn.blocks import ConvAct, Encoder, Upsample, resize
from metafusion_yolo.nn.edges import follow_edges
from metafusion_yolo.nn.evidence import EVIDENCE, blank_places, evidence, local_means, shown_by_both
from metafusion_yolo.nn.meta import MetaFeatureExtractor

STRIDE = 32  # the coarsest meta-features; height and width must be multiples of it


@dataclass(eq=False)
class FusionOutput:
    """What a front-end returns. The fused image is composed on first access, so that unused images cost nothing.

    Attributes:
        weights: Share of each camera as predicted, at stride 4, (B, 2, H / 4, W / 4), `[:, 0:1]` visible, `[:, 1:2]`
            infrared, in [0, 1], sum 1.
        coefficients: What the image is composed of, at stride 4, (B, 4, H / 4, W / 4): factor of the visible luminance,
            factor of the infrared image, offset, and share of the visible chroma; see :func:`compose`.
        meta_features: Meta-features by stride, 16 and 32, each (B, C, H / stride, W / stride); empty without attention.
        blend: Returns `luminance`.
        colour: Returns `fused` of `luminance`.
    """

    weights: Tensor
    coefficients: Tensor
    meta_features: dict[int, Tensor]
    blend: Callable[[], Tensor]
    colour: Callable[[Tensor], Tensor]

    @cached_property
    def luminance(self) -> Tensor:
        """Luminance of the fused image before the chroma is added, (B, 1, H, W), [0, 1]."""
        return self.blend()

    @cached_property
    def fused(self) -> Tensor:
        """Fused image (B, 3, H, W), RGB, [0, 1]."""
        return self.colour(self.luminance)


class FusionNet(nn.Module):
    """Fuse a pair into one image that a person can look at and a detector can read.

    `fused luminance = Σ w_k · x_k + g_k · (x_k - mean x_k)` over the two cameras, with a share of the visible chroma:
    weights w set the brightness, gains g restore the detail that blending alone would wash out. All are predicted at
    stride 4. Weights and gains are an affine function of the two images, whose three coefficients are upsampled with
    the share of the chroma and applied to every pixel. A camera with a constant plane counts as absent: its weight and
    gain are exactly 0.

    Where the cameras meet in features the image is for people alone, so out of training its weights follow the edges of
    what is seen (:func:`~metafusion_yolo.nn.edges.follow_edges`); those that join the features stay as predicted.

    Source: this project; locally affine models predicted at low resolution are known from K. He, J. Sun, X. Tang,
    "Guided Image Filtering", TPAMI 2013, and M. Gharbi et al., "Deep Bilateral Learning", SIGGRAPH 2017.

    Args:
        channels: Width of the encoders at stride 8.
        meta_channels: Width of the meta-features.
        heads: Attention heads.
        attention: Whether to predict meta-features and embed them by cross-attention.
        initial_infrared_weight: Share of the infrared camera before training, in (0, 1).
        share_jitter: Largest random change of the log-odds between the cameras in training, see :class:`WeightDecoder`.
    """

    def __init__(
        self,
        channels: int = 32,
        meta_channels: int = 48,
        heads: int = 2,
        attention: bool = True,
        initial_infrared_weight: float = 0.7,
        share_jitter: float = 0.0,
    ) -> None:
        super().__init__()
        self.visible_encoder = Encoder(channels)
        self.infrared_encoder = Encoder(channels)
        self.mix = ConvAct(2 * channels + EVIDENCE, channels, kernel=1)
        if attention:
            self.meta = MetaFeatureExtractor(channels, meta_channels)
            self.attention = MetaFeatureCrossAttention(channels, meta_channels, heads)
        self.embeds = attention
        self.decoder = WeightDecoder(channels, initial_infrared_weight, share_jitter)
        self.upsample = Upsample(4)

    def forward(self, pair: Tensor) -> FusionOutput:
        """Fuse a batch of pairs.

        Args:
            pair: (B, 4, H, W), R, G, B, IR in [0, 1]; H and W multiples of 32.
        """
        visible, infrared = pair[:, :3], pair[:, 3:]
        luminance = rgb_to_luminance(visible)
        visible_stem, visible_features = self.visible_encoder(luminance)
        infrared_stem, infrared_features = self.infrared_encoder(infrared)
        means = local_means(luminance, infrared)
        contrasts = evidence(luminance, infrared, means)
        features = self.mix(torch.cat((visible_features, infrared_features, contrasts), 1))
        meta_features = self.meta(features) if self.embeds else {}
        if self.embeds:
            features = self.attention(query=features, context=meta_features[STRIDE], blank=blank_places(contrasts))
        stems = torch.cat((visible_stem, infrared_stem), 1)
        weights, detail, chroma = self.decoder(features, stems, present(luminance, infrared), contrasts)
        shown = follow_edges(weights, means) if self.decoder.balanced and not self.training else weights
        coefficients = torch.cat((affine_coefficients(shown, shown * detail, means), chroma), 1)
        *affine, chroma = coefficients.split(1, 1)
        return FusionOutput(
            weights=weights,
            coefficients=coefficients,
            meta_features=meta_features,
            blend=lambda: blend(map(self.upsample, affine), luminance, infrared),
            colour=lambda fused: replace_luminance(visible, fused, luminance, self.upsample(chroma)),
        )


def affine_coefficients(weights: Tensor, gains: Tensor, means: Tensor) -> Tensor:
    """Write `Σ w · x + g · (x - mean x)` as `Σ (w + g) · x - Σ g · mean x`, an affine function of the two images.

    Args:
        weights: Share w of each camera (B, 2, H, W), visible first, in [0, 1], sum 1.
        gains: Gain g of the detail of each camera (B, 2, H, W), in [-1, 1].
        means: Local mean of each image (B, 2, H, W), [0, 1].

    Returns:
        (B, 3, H, W): factor of the visible luminance, factor of the infrared image, and offset.
    """
    return torch.cat((weights + gains, -(gains * means).sum(1, keepdim=True)), 1)


def blend(planes: Iterable[Tensor], luminance: Tensor, infrared: Tensor) -> Tensor:
    """Return the fused luminance (B, 1, H, W), [0, 1]: the affine function of both images at every pixel.

    Args:
        planes: Factor of the visible luminance, factor of the infrared image, and offset, each (B, 1, H, W).
        luminance: Luminance of the visible images (B, 1, H, W), [0, 1].
        infrared: Infrared images (B, 1, H, W), [0, 1].
    """
    visible_factor, infrared_factor, offset = planes
    fused = (visible_factor * luminance).add_(infrared_factor * infrared).add_(offset)
    return F.hardtanh_(fused, 0.0, 1.0)


def compose(planes: Iterable[Tensor], visible: Tensor, luminance: Tensor, infrared: Tensor) -> Tensor:
    """Return the fused image (B, 3, H, W), R, G, B in [0, 1]: both images blended, and coloured.

    Args:
        planes: Factor of the visible luminance, factor of the infrared image, offset, and share of the visible chroma,
            [0, 1], each (B, 1, H, W).
        visible: Visible images (B, 3, H, W), R, G, B in [0, 1].
        luminance: Their luminance (B, 1, H, W), [0, 1].
        infrared: Infrared images (B, 1, H, W), [0, 1].
    """
    *affine, chroma = planes
    return replace_luminance(visible, blend(affine, luminance, infrared), luminance, chroma)


def input_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """Return the height and width at which an image is fused: multiples of `STRIDE`, the longer one about `longest`.

    Examples:
        >>> input_size(480, 640, 512)
        (384, 512)
    """
    scale = longest / max(height, width)
    height, width = (max(1, round(side * scale / STRIDE)) * STRIDE for side in (height, width))
    return height, width


class WeightDecoder(nn.Module):
    """Predict the share of each camera, the gain of its detail, and the share of the visible chroma, at stride 4.

    The shares are a sigmoid of the log-odds between the cameras, which are bounded smoothly: no camera that shows
    anything gets less than 2 %, and a map that has gone to one side everywhere still has a gradient to come back by.
    Whether a camera is blind somewhere shows only in a place as a whole, so the features are seen at stride 32 as well,
    about 100 pixels wide. The gain of a camera's detail, 0 at the start, is in proportion to its share: what is not
    trusted is not strengthened either. The chroma has a share of its own, as it is noise in the dark, and elsewhere
    helps a detector even where the brightness is that of the infrared image.

    Where the cameras meet in features, the weights say in which places a camera shows more, not which camera shows more
    overall: most pictures, by day and by night, have useful features from both. So the mean log-odds of the places that
    both cameras show is subtracted there, up to a limit; where one of them is blind, the log-odds stay as they are.

    In training a random number, the same at every pixel, may be added to the log-odds of each pair (`jitter`). Where
    the cameras meet in features that costs detection, so it is off by default.

    Args:
        channels: Channels of the fusion features at stride 8, and of both stems together at stride 4.
        infrared_share: Share of the infrared camera before training, in (0.02, 0.98).
        jitter: Largest absolute value of the random number, 0 or more.
    """

    LIMIT = 4.0  # of the log-odds, either way
    SHARPNESS = 4.0  # of the log-odds per unit of the convolution, so that maps take shape in a short training
    COLOURFUL = 3.0  # log-odds of the chroma before training: 95 % of it
    AT_LARGE = 3.0  # largest mean log-odds that is subtracted if `balanced`
    balanced = False  # whether the mean is subtracted; checkpoints of before have no value of their own

    def __init__(self, channels: int, infrared_share: float, jitter: float = 0.0) -> None:
        super().__init__()
        self.jitter = jitter
        self.reduce = ConvAct(channels, channels // 2)
        self.wide = nn.Sequential(
            ConvAct(channels, channels // 2, kernel=4, stride=4), ConvAct(channels // 2, channels // 2)
        )
        self.lateral = nn.Conv2d(channels, channels // 2, kernel_size=1)
        self.act = nn.ReLU(inplace=True)
        self.maps = nn.Conv2d(channels // 2, 4, kernel_size=1)
        nn.init.normal_(self.maps.weight[:1], std=0.007)  # nearly uniform maps; with a smaller std features learn late
        nn.init.zeros_(self.maps.weight[1:])
        odds = math.log(infrared_share / (1 - infrared_share))
        start = math.atanh(odds / self.LIMIT) * self.LIMIT / self.SHARPNESS
        with torch.no_grad():
            self.maps.bias.copy_(torch.tensor([start, 0, 0, self.COLOURFUL]))  # type: ignore[union-attr]

    def forward(
        self, features: Tensor, stems: Tensor, available: Tensor, contrasts: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return weights (B, 2, H, W), sum 1, detail (B, 2, H, W), in [-1, 1], and chroma (B, 1, H, W), in [0, 1].

        Args:
            features: (B, C, H / 2, W / 2).
            stems: (B, C, H, W).
            available: Cameras that show anything (B, 2, 1, 1), 1 or 0.
            contrasts: Of :func:`~metafusion_yolo.nn.evidence.evidence`, (B, EVIDENCE, H / 2, W / 2).
        """
        coarse = self.reduce(features) + resize(self.wide(features), features)
        maps = self.maps(self.act(resize(coarse, stems) + self.lateral(stems))).contiguous()
        log_odds = self.LIMIT * torch.tanh(self.SHARPNESS / self.LIMIT * maps[:, :1])
        if self.balanced:
            both = shown_by_both(contrasts)
            mean = _mean(F.avg_pool2d(log_odds, 8, 8), both)
            log_odds = log_odds - self.AT_LARGE * torch.tanh(mean / self.AT_LARGE) * resize(both, log_odds)
        shows_visible, shows_infrared = available.split(1, 1)
        log_odds = log_odds + 1e4 * (shows_infrared - shows_visible)
        if self.training and self.jitter:
            log_odds = log_odds + torch.empty_like(shows_visible).uniform_(-self.jitter, self.jitter)
        infrared_weight = log_odds.sigmoid()
        weights = torch.cat((1 - infrared_weight, infrared_weight), 1)
        chroma = shows_visible * (1 + shows_infrared * (maps[:, 3:].sigmoid() - 1))  # all of it without infrared
        return weights, torch.tanh(maps[:, 1:3]), chroma


def _mean(maps: Tensor, shares: Tensor) -> Tensor:
    """Return the mean of maps (B, 1, H, W), each place counted by its share, (B, 1, 1, 1); 0 if none counts."""
    return (maps * shares).sum((2, 3), keepdim=True) / shares.sum((2, 3), keepdim=True).clamp(min=1.0)


def present(luminance: Tensor, infrared: Tensor, stride: int = 8, contrast: float = 1e-3) -> Tensor:
    """Return which cameras show anything, (B, 2, 1, 1), 1 or 0.

    Args:
        luminance: Luminance of the visible images (B, 1, H, W), [0, 1].
        infrared: Infrared images (B, 1, H, W), [0, 1].
        stride: Sampling step in pixels.
        contrast: Largest difference between the samples of a plane that still counts as blank, [0, 1].
    """
    samples = torch.cat([F.max_pool2d(image, 1, stride) for image in (luminance, infrared)], 1)  # NCNN lacks [::stride]
    contrasts = samples.amax((2, 3), keepdim=True) - samples.amin((2, 3), keepdim=True)
    return ((contrasts - contrast) * 6e4).clamp(0, 1)  # NCNN lacks comparisons, and 6e4 fits FP16
