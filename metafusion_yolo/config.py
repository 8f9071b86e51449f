"""The `fusion:` section of a model YAML, as a frozen dataclass that refuses what it does not know."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

PARTS = ("fusion", "backbone", "head")
STARTS = ("even", "visible", "infrared")

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
        detection: The host's detection loss (class, box, distribution focal loss) as seen by the front-end.
    """

    ssim: float = 1.0
    gradient: float = 10.0
    intensity: float = 20.0
    detection: float = 1.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"fusion: gains: {f.name} must be a finite number >= 0, not {value}")


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Attributes:
        name: Its name, for logs; not a key of the section.
        fraction: Share of all epochs, [0, 1].
        train: Which parts learn: `fusion` (front-end), `backbone`, `head` (neck and head) of the detector.
        joint: Whether the detection loss reaches the front-end. If not, the detector sees a detached fused image.
    """

    name: str = field(metadata={"fixed": True})
    fraction: float
    train: tuple[str, ...]
    joint: bool

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fusion: schedule: {self.name}: fraction must lie in [0, 1], not {self.fraction}")
        if not self.train:
            raise ValueError(f"fusion: schedule: {self.name}: 'train' is empty; name parts, {nearest('', PARTS)}")
        for part in self.train:
            if part not in PARTS:
                raise ValueError(
                    f"fusion: schedule: {self.name}: unknown part '{part}' in 'train', {nearest(part, PARTS)}"
                )


WARMUP = Phase("warmup", 0.2, ("fusion",), joint=False)
JOINT = Phase("joint", 0.4, PARTS, joint=True)
FINETUNE = Phase("finetune", 0.4, ("head",), joint=True)


@dataclass(frozen=True)
class Schedule:
    """The phases of training as fractions of its epochs, which add up to 1.

    The paper trains fusion alone, then both, then the detector on the new images; the default fractions are its
    10 / 20 / 20 of 50 epochs.

    Source: Zhao et al., "MetaFusion", CVPR 2023 (mutual promotion); the one-model form is this project's.
    """

    warmup: Phase = WARMUP
    joint: Phase = JOINT
    finetune: Phase = FINETUNE

    def __post_init__(self) -> None:
        total = sum(phase.fraction for phase in self.phases)
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"fusion: schedule: the fractions must add up to 1, they add up to {total:g}")

    @property
    def phases(self) -> tuple[Phase, Phase, Phase]:
        """The phases in order."""
        return self.warmup, self.joint, self.finetune

    def phase(self, epoch: int, epochs: int) -> Phase:
        """Return the phase of an epoch.

        Args:
            epoch: Index of the epoch, counted from 0.
            epochs: Number of epochs in all.

        Example:
            >>> [Schedule().phase(e, 5).name for e in range(5)]
            ['warmup', 'joint', 'joint', 'finetune', 'finetune']
            >>> Schedule().phase(0, 1).name
            'joint'
        """
        end = 0.0
        for phase in self.phases:
            end += phase.fraction
            if epoch < round(end * epochs):
                return phase
        return self.phases[-1]


@dataclass(frozen=True)
class Augment:
    """Photometric augmentation of the infrared plane and modality drop-out. The visible image follows `hsv_*`.

    Attributes:
        infrared_gain: Half-width of the contrast factor around 1.
        infrared_offset: Half-width of the brightness offset, as a share of the range.
        infrared_noise: Largest standard deviation of additive Gaussian noise, as a share of the range.
        modality_dropout: Probability that one camera, drawn evenly, is blanked.
    """

    infrared_gain: float = 0.3
    infrared_offset: float = 0.1
    infrared_noise: float = 0.02
    modality_dropout: float = 0.1

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not 0 <= value <= 1:
                raise ValueError(f"fusion: augment: {f.name} must lie in [0, 1], not {value}")


@dataclass(frozen=True)
class FusionConfig:
    """Architecture, loss gains, schedule and augmentation of the fusion front-end.

    Attributes:
        channels: Width of the encoders at stride 8, even.
        meta_channels: Width of the meta-features.
        heads: Attention heads; divides `channels`.
        detail_channels: Width of the half-resolution detail branch.
        start: Which camera the weight maps favour before training.
        gains: See :class:`Gains`.
        schedule: See :class:`Schedule`.
        augment: See :class:`Augment`.
    """

    channels: int = 32
    meta_channels: int = 48
    heads: int = 2
    detail_channels: int = 8
    start: str = "even"
    gains: Gains = field(default_factory=Gains)
    schedule: Schedule = field(default_factory=Schedule)
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        for name in ("channels", "meta_channels", "heads", "detail_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"fusion: {name} must be a whole number >= 1, not {getattr(self, name)}")
        if self.channels % 2:
            raise ValueError(f"fusion: channels must be even (half of them at stride 4), not {self.channels}")
        if self.channels % self.heads:
            raise ValueError(f"fusion: channels ({self.channels}) must be a multiple of heads ({self.heads})")
        if self.start not in STARTS:
            raise ValueError(f"fusion: start: '{self.start}' is unknown, {nearest(self.start, STARTS)}")

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
    if kind == tuple[str, ...]:
        if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
            return tuple(value)
        raise TypeError(f"'{where}' must be a list of names, not {value!r}")
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is kind:
        return value
    raise TypeError(f"'{where}' must be of type {kind.__name__}, not {value!r}")
