"""The budget of a comparison, the same for every row."""

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """One budget.

    Attributes:
        pairs: Most pairs to train with and to test with, spread over each split.
        epochs: Epochs of the detector in every row.
        imgsz: Largest image size, pixels; smaller images are not enlarged.
        seeds: Trainings of every row, each with its own seed.
        resamples: Resamples of the bootstrap.
    """

    pairs: int
    epochs: int
    imgsz: int
    seeds: int
    resamples: int


BUDGETS = {
    "quick": Budget(pairs=160, epochs=20, imgsz=256, seeds=1, resamples=500),
    "normal": Budget(pairs=2000, epochs=50, imgsz=512, seeds=1, resamples=1000),
    "full": Budget(pairs=10**9, epochs=100, imgsz=640, seeds=3, resamples=1000),
}


@dataclass(frozen=True)
class Setting:
    """The setting that all rows share, for which their results hold.

    Attributes:
        data: The paired data set.
        pretrained: Detector checkpoint that every row starts from; empty for random weights.
        epochs: Epochs of the detector.
        imgsz: Image size, pixels.
        batch: Batch size.
        folds: Folds of whole blocks of neighbouring frames, 0 for the data set's own split.
        classes: Classes that count; empty for all.
        model: The model YAML of the fused detectors, with its scale letter.
        nbs: Nominal batch of an optimizer step, the host's argument; 0 for the batch size.
        lr0: Learning rate of AdamW; None to let the host choose optimizer and rate.
        device: As for the host.
        pairs: Most pairs of a split, 0 for all.
        bfloat16: Whether to train in bfloat16 on a CPU.
    """

    data: str
    pretrained: str
    epochs: int
    imgsz: int
    batch: int
    folds: int
    classes: Sequence[int] = ()
    model: str = "metafusion-yolov8n.yaml"
    nbs: int = 0
    lr0: float | None = None
    device: str | None = None
    pairs: int = 0
    bfloat16: bool = False


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
