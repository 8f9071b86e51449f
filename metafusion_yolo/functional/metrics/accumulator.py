"""Fusion metrics over a data set."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest


class Summary(NamedTuple):
    """A metric over the images of a data set.

    Attributes:
        mean: Mean over the images.
        std: Standard deviation over the images, 0 for a single one.
        images: Number of images.
    """

    mean: float
    std: float
    images: int


class FusionQuality:
    """Collect fusion metrics over batches; the result does not depend on how the images are batched.

    Args:
        names: As for :func:`parse_metrics`.

    Attributes:
        values: Value of every image by metric, in the order of the images.

    Raises:
        ValueError: If a metric is unknown.

    Examples:
        >>> import torch
        >>> quality = FusionQuality(["SSIM"])
        >>> image = torch.rand(2, 1, 16, 16)
        >>> quality.update(image, image, image)
        {'SSIM': [1.0, 1.0]}
        >>> quality.compute()["SSIM"]
        Summary(mean=1.0, std=0.0, images=2)
    """

    def __init__(self, names: str | Sequence[str] | None = "all") -> None:
        self.values: dict[str, list[float]] = {name: [] for name in parse_metrics(names)}

    def update(self, fused: Tensor, visible: Tensor, infrared: Tensor) -> dict[str, list[float]]:
        """Measure a batch of images, each (B, 1, H, W) in [0, 1], and return its values by metric."""
        new = {name: METRICS[name](fused, visible, infrared).tolist() for name in self.values}
        for name, values in new.items():
            self.values[name] += values
        return new

    def compute(self) -> dict[str, Summary]:
        """Return the summary over all images so far, by metric; empty before the first image."""
        return {
            name: Summary(statistics.fmean(values), statistics.pstdev(values), len(values))
            for name, values in self.values.items()
            if values
        }


def parse_metrics(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the requested fusion metrics.

    Args:
        names: Names as a list or separated by commas, "all" or "none"; None means none.

    Raises:
        ValueError: If a name is unknown.
    """
    if names is None or names in ("all", "none"):
        return tuple(METRICS) if names == "all" else ()
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    for name in names:
        if name not in METRICS:
            raise UserValueError(f"unknown fusion metric '{name}', {nearest(name, (*METRICS, 'all', 'none'))}")
    return tuple(names)
