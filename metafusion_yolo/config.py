"""The `fusion:` section of a model YAML, as a frozen dataclass that refuses what it does not know."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from metafusion_yolo.schedule import Schedule

METHODS = ("learned", "visible", "infrared", "average", "maximum", "false-colour")
LEVELS = (16, 32)
SIZES = ("channels", "meta_channels", "heads", "attention")
DISTANCES = ("cosine", "l1", "l2")

T = TypeVar("T")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word.

    Example:
        >>> nearest("epoch", ["epochs", "batch"])
        "did you mean 'epochs'?"
        >>> nearest("zzz", ["b", "a"])
        'known: a, b'
    """
    known = sorted(known)
    match = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(known)}"


@dataclass(frozen=True)
class Gains:
    """Weights of the loss terms, all non-negative. Every term is logged unweighted.

    Attributes:
        ssim: Structural similarity to both sources, weighted by their local variance.
        gradient: Distance of the fused gradient to the stronger source gradient.
        intensity: Distance of the fused luminance to the saliency-weighted sources.
        detection: The host's detection loss (class, box, distribution focal loss).
        meta: Distance of the predicted meta-features to the detector's backbone features.
        look_ahead: What the fusion network would lose after a step towards the meta-features, see `meta: interval`.
        trust: The other camera where one is blind, see :func:`~metafusion_yolo.losses.trust_loss`.
    """

    ssim: float = 1.0
    gradient: float = 10.0
    intensity: float = 1.0
    detection: float = 1.0
    meta: float = 0.0
    look_ahead: float = 1.0
    trust: float = 1.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"fusion: gains: {f.name} must be a finite number >= 0, not {value}")


@dataclass(frozen=True)
class Meta:
    """What the detector teaches the meta-features, and how.

    Attributes:
        levels: Strides of the backbone features to predict, of 16 and 32.
        distance: How far a prediction is from them: see :func:`~metafusion_yolo.losses.meta_loss`.
        interval: Every how many batches the bilevel look-ahead is taken, 0 for never.
        inner_lr: Step of the look-ahead on the fusion network.
        first_order: Whether to leave second derivatives out of the look-ahead.
    """

    levels: tuple[int, ...] = LEVELS
    distance: str = "cosine"
    interval: int = 0
    inner_lr: float = 0.01
    first_order: bool = False

    def __post_init__(self) -> None:
        for level in self.levels:
            if level not in LEVELS:
                raise ValueError(f"fusion: meta: levels: {level} is unknown, known: 16, 32")
        if self.distance not in DISTANCES:
            raise ValueError(
                f"fusion: meta: distance: '{self.distance}' is unknown, {nearest(self.distance, DISTANCES)}"
            )
        if self.interval < 0:
            raise ValueError(f"fusion: meta: interval must be a whole number >= 0, not {self.interval}")
        if not math.isfinite(self.inner_lr) or self.inner_lr <= 0:
            raise ValueError(f"fusion: meta: inner_lr must be a finite number > 0, not {self.inner_lr}")


@dataclass(frozen=True)
class Augment:
    """Augmentation of what the host leaves alone: the infrared plane and how the cameras go together.

    The visible image follows the host's `hsv_*`.

    Attributes:
        infrared_gain: Half-width of the contrast factor around 1.
        infrared_offset: Half-width of the brightness offset, as a share of the range.
        infrared_noise: Largest standard deviation of additive Gaussian noise, as a share of the range.
        infrared_shift: Largest shift of the infrared plane each way, as a share of the longer side of the image.
        modality_dropout: Probability that one camera, drawn evenly, is blanked.
        degradation: Probability that a pair is spoilt in training, one camera or either, in a region or whole; see
            :func:`~metafusion_yolo.nn.degradation.degrade`.
        share_jitter: Largest change of the log-odds between the weights of the cameras, drawn for each pair.
    """

    infrared_gain: float = 0.3
    infrared_offset: float = 0.1
    infrared_noise: float = 0.02
    infrared_shift: float = 0.0
    modality_dropout: float = 0.2
    degradation: float = 0.5
    share_jitter: float = 1.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value, highest = getattr(self, f.name), 10 if f.name == "share_jitter" else 1
            if not 0 <= value <= highest:
                raise ValueError(f"fusion: augment: {f.name} must lie in [0, {highest}], not {value}")


@dataclass(frozen=True)
class FusionConfig:
    """Architecture, loss gains, teaching, schedule and augmentation of the fusion front-end.

    Attributes:
        method: "learned", or one of the fixed rules of :class:`~metafusion_yolo.nn.rules.PixelRule`.
        channels: Width of the encoders at stride 8, even.
        meta_channels: Width of the meta-features.
        heads: Attention heads; divides `channels`.
        attention: Whether meta-features are predicted and embedded by cross-attention.
        pretrained: Whether the front-end starts with the parameters that ship; those of other sizes start at random.
        start: Share of the infrared camera in the weight maps where they start at random, in (0.02, 0.98).
        gains: See :class:`Gains`.
        meta: See :class:`Meta`.
        schedule: See :class:`Schedule`.
        augment: See :class:`Augment`.
    """

    method: str = "learned"
    channels: int = 32
    meta_channels: int = 48
    heads: int = 2
    attention: bool = True
    pretrained: bool = True
    start: float = 0.7
    gains: Gains = field(default_factory=Gains)
    meta: Meta = field(default_factory=Meta)
    schedule: Schedule = field(default_factory=Schedule)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        for name in ("channels", "meta_channels", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"fusion: {name} must be a whole number >= 1, not {getattr(self, name)}")
        if self.channels % 2:
            raise ValueError(f"fusion: channels must be even (half of them at stride 4), not {self.channels}")
        if self.channels % self.heads:
            raise ValueError(f"fusion: channels ({self.channels}) must be a multiple of heads ({self.heads})")
        if not 0.02 < self.start < 0.98:
            raise ValueError(f"fusion: start must lie in (0.02, 0.98), not {self.start}")
        if self.method not in METHODS:
            raise ValueError(f"fusion: method: '{self.method}' is unknown, {nearest(self.method, METHODS)}")

    @property
    def starts_trained(self) -> bool:
        """Whether the parameters that ship are those of a front-end of these sizes, and are wanted."""
        return self.pretrained and all(getattr(self, name) == getattr(FusionConfig, name) for name in SIZES)

    @property
    def teaches(self) -> bool:
        """Whether the detector teaches the meta-features."""
        looks_ahead = self.meta.interval > 0 and self.gains.look_ahead > 0
        return bool(self.meta.levels) and (self.gains.meta > 0 or looks_ahead)

    @classmethod
    def from_dict(cls, section: Mapping[str, Any] | None) -> FusionConfig:
        """Read the `fusion:` section.

        Args:
            section: The parsed section, None for the defaults.

        Raises:
            ValueError: For an unknown key (naming the closest known one), or a value out of its range.
            TypeError: For a value of the wrong type.

        Example:
            >>> FusionConfig.from_dict({"gains": {"ssim": 2}}).gains.ssim
            2.0
            >>> FusionConfig.from_dict({"chanels": 32})
            Traceback (most recent call last):
            ValueError: unknown key 'chanels' in 'fusion', did you mean 'channels'?
        """
        return _build(cls(), section, "fusion")


def _build(default: T, section: Mapping[str, Any] | None, where: str) -> T:
    """Return a dataclass instance with the values of a mapping put in, recursively; None puts none in."""
    if section is None:
        return default
    if not isinstance(section, Mapping):
        raise TypeError(f"'{where}' must be a mapping of keys to values, not {section!r}")
    hints = get_type_hints(type(default))
    known = [f.name for f in fields(default) if not f.metadata.get("fixed")]  # type: ignore[arg-type]
    values = {name: getattr(default, name) for name in known}
    for key, value in section.items():
        if key not in values:
            raise ValueError(f"unknown key '{key}' in '{where}', {nearest(key, values)}")
        if is_dataclass(values[key]):
            values[key] = _build(values[key], value, f"{where}: {key}")
        else:
            values[key] = _cast(value, hints[key], f"{where}: {key}")
    return replace(default, **values)  # type: ignore[type-var]


def _cast(value: Any, kind: Any, where: str) -> Any:
    """Return a YAML value as the type of its field; whole numbers pass as floats, lists as tuples."""
    if kind == tuple[int, ...]:
        if isinstance(value, (list, tuple)) and all(type(v) is int for v in value):
            return tuple(value)
        raise TypeError(f"'{where}' must be a list of whole numbers, not {value!r}")
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    raise TypeError(f"'{where}' must be of type {kind.__name__}, not {value!r}")
