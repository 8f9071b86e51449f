"""The `fusion:` section of a model YAML as a frozen dataclass that rejects unknown keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from metafusion_yolo.schedule import Schedule
from metafusion_yolo.support.errors import UserTypeError, UserValueError
from metafusion_yolo.support.words import nearest, refuse_unknown

METHODS = ("learned", "visible", "infrared", "average", "maximum", "false-colour")
MEETINGS = ("auto", "image", "P2", "P3", "P4", "P5")
WEIGHING = ("learned", "average")  # methods that give every pixel weights to join features by
LEVELS = (16, 32)
SIZES = ("channels", "meta_channels", "heads", "attention")
DISTANCES = ("cosine", "l1", "l2")

T = TypeVar("T")


@dataclass(frozen=True)
class Gains:
    """Weights of the loss terms, all non-negative. Every term is logged unweighted.

    Attributes:
        ssim: Structural similarity to both sources, weighted by their local variance.
        gradient: Distance of the fused gradient to the stronger source gradient.
        intensity: Distance of the fused luminance to the saliency-weighted sources.
        detection: The host's detection loss (class, box, distribution focal loss).
        meta: Distance of the predicted meta-features to the detector's backbone features.
        look_ahead: Loss of the fusion network after a step towards the meta-features, see `meta: interval`.
        trust: Trust in the other camera where one is blind, see :func:`~metafusion_yolo.functional.losses.trust_loss`.
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
                raise UserValueError(f"fusion: gains: {f.name} must be a finite number >= 0, not {value}")


@dataclass(frozen=True)
class Meta:
    """What the detector teaches the meta-features, and how.

    Attributes:
        levels: Strides of the backbone features to predict, of 16 and 32.
        distance: Distance between prediction and features, see :func:`~metafusion_yolo.functional.losses.meta_loss`.
        interval: Number of batches from one bilevel look-ahead to the next, 0 for none.
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
                raise UserValueError(f"fusion: meta: levels: {level} is unknown, known: 16, 32")
        if self.distance not in DISTANCES:
            raise UserValueError(
                f"fusion: meta: distance: '{self.distance}' is unknown, {nearest(self.distance, DISTANCES)}"
            )
        if self.interval < 0:
            raise UserValueError(f"fusion: meta: interval must be a whole number >= 0, not {self.interval}")
        if not math.isfinite(self.inner_lr) or self.inner_lr <= 0:
            raise UserValueError(f"fusion: meta: inner_lr must be a finite number > 0, not {self.inner_lr}")


@dataclass(frozen=True)
class Augment:
    """Augmentation of the infrared plane and of the mix of cameras; the visible image follows the host's `hsv_*`.

    Attributes:
        infrared_gain: Half-width of the contrast factor around 1.
        infrared_offset: Half-width of the brightness offset, as a share of the range.
        infrared_noise: Largest standard deviation of additive Gaussian noise, as a share of the range.
        infrared_shift: Largest shift of the infrared plane each way, as a share of the longer side of the image.
        modality_dropout: Probability that one camera is blanked, either with the same chance.
        degradation: Probability that a pair is spoilt, in a region or whole: one camera, or each in another region; see
            :func:`~metafusion_yolo.nn.degradation.degrade`.
        share_jitter: Largest change of the log-odds between the weights of the cameras, drawn for each pair.
    """

    infrared_gain: float = 0.3
    infrared_offset: float = 0.1
    infrared_noise: float = 0.02
    infrared_shift: float = 0.0
    modality_dropout: float = 0.2
    degradation: float = 0.5
    share_jitter: float = 0.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value, highest = getattr(self, f.name), 10 if f.name == "share_jitter" else 1
            if not 0 <= value <= highest:
                raise UserValueError(f"fusion: augment: {f.name} must lie in [0, {highest}], not {value}")


@dataclass(frozen=True)
class FusionConfig:
    """Architecture, loss gains, teaching, schedule and augmentation of the fusion front-end.

    Attributes:
        method: "learned", or one of the fixed rules of :class:`~metafusion_yolo.nn.rules.PixelRule`.
        meet: Where the cameras meet: as one "image", or at a level of the detector's backbone, "P2" (stride 4) to "P5"
            (stride 32), up to which each camera has a stem of its own; see :mod:`~metafusion_yolo.nn.meeting`. "auto":
            at P3 by learned weights where the host's detector of boxes has that level, else as an image.
        channels: Width of the encoders at stride 8, even.
        meta_channels: Width of the meta-features.
        heads: Attention heads; divides `channels`.
        attention: Whether meta-features are predicted and embedded by cross-attention.
        pretrained: Whether the front-end starts from the parameters that ship, see docs/start.md; those of other sizes
            than the default start from random ones.
        initial_infrared_weight: Share of the infrared camera in weight maps that start from random parameters, in
            (0.02, 0.98).
        gains: See :class:`Gains`.
        meta: See :class:`Meta`.
        schedule: See :class:`Schedule`.
        augment: See :class:`Augment`.
    """

    method: str = "learned"
    meet: str = "auto"
    channels: int = 32
    meta_channels: int = 48
    heads: int = 2
    attention: bool = True
    pretrained: bool = True
    initial_infrared_weight: float = field(default=0.7, metadata={"former": "start"})
    gains: Gains = field(default_factory=Gains)
    meta: Meta = field(default_factory=Meta)
    schedule: Schedule = field(default_factory=Schedule)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        for name in ("channels", "meta_channels", "heads"):
            if getattr(self, name) < 1:
                raise UserValueError(f"fusion: {name} must be a whole number >= 1, not {getattr(self, name)}")
        if self.channels % 2:
            raise UserValueError(f"fusion: channels must be even (half of them at stride 4), not {self.channels}")
        if self.channels % self.heads:
            raise UserValueError(f"fusion: channels ({self.channels}) must be a multiple of heads ({self.heads})")
        if not 0.02 < self.initial_infrared_weight < 0.98:
            given = self.initial_infrared_weight
            raise UserValueError(f"fusion: initial_infrared_weight must lie in (0.02, 0.98), not {given}")
        if self.method not in METHODS:
            raise UserValueError(f"fusion: method: '{self.method}' is unknown, {nearest(self.method, METHODS)}")
        if self.meet not in MEETINGS:
            raise UserValueError(f"fusion: meet: '{self.meet}' is unknown, {nearest(self.meet, MEETINGS)}")
        if self.meet not in ("auto", "image") and self.method not in WEIGHING:
            raise UserValueError(
                f"fusion: meet: {self.meet} joins features by weights, which method '{self.method}' does not give; set "
                f"meet: image, or method: {' or '.join(WEIGHING)}"
            )

    @property
    def starts_trained(self) -> bool:
        """Whether the front-end starts from the parameters that ship: they are wanted, and of these sizes."""
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

        Examples:
            >>> FusionConfig.from_dict({"gains": {"ssim": 2}}).gains.ssim
            2.0
            >>> FusionConfig.from_dict({"chanels": 32})
            Traceback (most recent call last):
            metafusion_yolo.support.errors.UserValueError: unknown key 'chanels' in 'fusion', did you mean 'channels'?
        """
        return _build(cls(), section, "fusion")

    def to_dict(self) -> dict[str, Any]:
        """Return the section as plain values, complete, so that later defaults do not change it."""
        return _plain(self)


def merged(section: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section with changes merged in, key by key at every depth."""
    result = dict(section)
    for key, value in changes.items():
        result[key] = merged(result.get(key) or {}, value) if isinstance(value, Mapping) else value
    return result


def dotted(section: Mapping[str, Any], prefix: str = "fusion") -> dict[str, Any]:
    """Return the values of a section by their full names.

    Examples:
        >>> dotted({"gains": {"ssim": 2.0}})
        {'fusion.gains.ssim': 2.0}
    """
    values: dict[str, Any] = {}
    for key, value in section.items():
        name = f"{prefix}.{key}"
        values |= dotted(value, name) if isinstance(value, Mapping) else {name: value}
    return values


def section_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section that :func:`dotted` was given; names without the prefix are left out."""
    section: dict[str, Any] = {}
    for name, value in values.items():
        first, *keys = name.split(".")
        if first == "fusion" and keys:
            for key in reversed(keys):
                value = {key: value}
            section = merged(section, value)
    return section


def _plain(config: Any) -> dict[str, Any]:
    """Return a dataclass as a dictionary, recursively, without the fields that are no keys."""
    values = {f.name: getattr(config, f.name) for f in fields(config) if not f.metadata.get("fixed")}
    return {name: _plain(value) if is_dataclass(value) else value for name, value in values.items()}


def _build(default: T, section: Mapping[str, Any] | None, where: str) -> T:
    """Return `default` with the values of a mapping, recursively; None changes nothing."""
    if section is None:
        return default
    if not isinstance(section, Mapping):
        raise UserTypeError(f"'{where}' must be a mapping of keys to values, not {section!r}")
    hints = get_type_hints(type(default))
    known = [f.name for f in fields(default) if not f.metadata.get("fixed")]  # type: ignore[arg-type]
    values = {name: getattr(default, name) for name in known}
    former = {f.metadata["former"]: f.name for f in fields(default) if "former" in f.metadata}  # type: ignore[arg-type]
    refuse_unknown([key for key in section if key not in former], known, f"in '{where}'")
    for given, value in section.items():
        key = former.get(given, given)
        if key != given and key in section:
            raise UserValueError(f"'{where}' has both '{key}' and its former name '{given}'; leave the latter out")
        if is_dataclass(values[key]):
            values[key] = _build(values[key], value, f"{where}: {key}")
        else:
            values[key] = _cast(value, hints[key], f"{where}: {key}")
    return replace(default, **values)  # type: ignore[type-var]


def _cast(value: Any, kind: Any, where: str) -> Any:
    """Return a YAML value as the type of its field: whole numbers become floats, lists tuples."""
    if kind == tuple[int, ...]:
        if isinstance(value, (list, tuple)) and all(type(v) is int for v in value):
            return tuple(value)
        raise UserTypeError(f"'{where}' must be a list of whole numbers, not {value!r}")
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    raise UserTypeError(f"'{where}' must be of type {kind.__name__}, not {value!r}")
