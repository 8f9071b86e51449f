"""Fusion metrics over a data set."""

from __future__ import annotations

import statistics

import pytest
import torch

from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.functional.metrics.accumulator import FusionQuality
from tests.functional.metrics.test_metrics import fused_images


@pytest.mark.parametrize("batches", [(5,), (2, 3), (1, 1, 1, 1, 1)])
def test_figures_are_those_of_the_images_whatever_the_batches(batches) -> None:
    images = fused_images(batch=5)
    quality = FusionQuality()
    start = 0
    for size in batches:
        new = quality.update(*(image[start : start + size] for image in images))
        assert [len(values) for values in new.values()] == [size] * len(METRICS)
        start += size
    for name, metric in METRICS.items():
        values = metric(*images).tolist()
        assert quality.values[name] == pytest.approx(values, abs=1e-9), name
        figure = quality.compute()[name]
        assert figure.images == 5
        assert figure.mean == pytest.approx(sum(values) / 5, abs=1e-9)
        assert figure.std == pytest.approx(statistics.pstdev(values), abs=1e-9)


def test_only_what_is_asked_for() -> None:
    quality = FusionQuality(["SSIM", "EN"])
    assert quality.update(*fused_images()).keys() == {"SSIM", "EN"}


def test_nothing_before_the_first() -> None:
    assert FusionQuality().compute() == {}
    empty = torch.zeros(0, 1, 48, 48)
    assert FusionQuality(["EN"]).update(empty, empty, empty) == {"EN": []}


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match=r"unknown fusion metric 'VIFF', did you mean 'VIF'\?"):
        FusionQuality(["VIFF"])
