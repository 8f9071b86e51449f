"""The phases of training: which part learns when and how fast, and whether the detection loss reaches the front-end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from metafusion_yolo.support.errors import UserValueError

PARTS = ("fusion", "backbone", "head")


@dataclass(frozen=True)
class Rates:
    """Learning rate of each part as a multiple of the host's; 0 freezes the part, batch norm included.

    Attributes:
        fusion: The front-end.
        backbone: The backbone of the detector.
        head: The neck and head of the detector.
    """

    fusion: float = 1.0
    backbone: float = 1.0
    head: float = 1.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not math.isfinite(value) or value < 0:
                raise UserValueError(f"fusion: schedule: lr: {f.name} must be a finite number >= 0, not {value}")

    @property
    def learning(self) -> tuple[str, ...]:
        """Parts that are not frozen."""
        return tuple(part for part in PARTS if getattr(self, part) > 0)


@dataclass(frozen=True)
class Phase:
    """One phase of training.

    Attributes:
        name: Name for logs; not a key of the section.
        fraction: Share of all epochs, [0, 1].
        lr: How fast each part learns.
        joint: Whether the detection loss reaches the front-end; if not, the detector gets a detached fused image.
    """

    name: str = field(metadata={"fixed": True})
    fraction: float
    lr: Rates
    joint: bool

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 1:
            raise UserValueError(f"fusion: schedule: {self.name}: fraction must lie in [0, 1], not {self.fraction}")
        if self.fraction and not self.lr.learning:
            raise UserValueError(f"fusion: schedule: {self.name}: nothing learns; give a part of 'lr' a rate above 0")

    @property
    def trains_detector(self) -> bool:
        """Whether the detector learns from the fused images, so that its score reflects this training."""
        return self.lr.head > 0


WARMUP = Phase("warmup", 0.0, Rates(backbone=0.0, head=0.0), joint=False)
JOINT = Phase("joint", 1.0, Rates(fusion=0.2), joint=True)  # the front-end comes trained
FINETUNE = Phase("finetune", 0.0, Rates(fusion=0.0, backbone=0.0), joint=True)


@dataclass(frozen=True)
class Schedule:
    """The phases of training as fractions of its epochs, which add up to 1.

    By default all parts learn together throughout: three phases of 0.2 / 0.4 / 0.4 (10 / 20 / 20 of 50 epochs in the
    paper) leave the detector too few epochs, see docs/experiments.md.

    Source: Zhao et al., "MetaFusion", CVPR 2023 (mutual promotion: fusion, detector on its images, fusion taught by the
    detector, detector on the new images); the one-model form with these three phases is this project's.
    """

    warmup: Phase = WARMUP
    joint: Phase = JOINT
    finetune: Phase = FINETUNE

    def __post_init__(self) -> None:
        total = sum(phase.fraction for phase in self.phases)
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise UserValueError(f"fusion: schedule: the fractions must add up to 1, they add up to {total:g}")

    @property
    def phases(self) -> tuple[Phase, Phase, Phase]:
        """The phases in order."""
        return self.warmup, self.joint, self.finetune

    def phase(self, epoch: int, epochs: int) -> Phase:
        """Return the phase of an epoch.

        Args:
            epoch: Index of the epoch, counted from 0.
            epochs: Number of epochs in all.

        Examples:
            >>> from dataclasses import replace
            >>> half = Schedule(warmup=replace(WARMUP, fraction=0.5), joint=replace(JOINT, fraction=0.5))
            >>> [half.phase(e, 4).name for e in range(4)]
            ['warmup', 'warmup', 'joint', 'joint']
        """
        end = 0.0
        for phase in self.phases:
            end += phase.fraction
            if epoch < round(end * epochs):
                return phase
        return self.phases[-1]
