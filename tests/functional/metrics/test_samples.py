"""Metrics of the samples against loops and SciPy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from metafusion_yolo.functional.metrics import (
    average_gradient,
    correlation_coefficient,
    mean_squared_error,
    peak_signal_to_noise_ratio,
    spatial_frequency,
    standard_deviation,
)
from tests.functional.metrics.test_metrics import as_8_bit, fused_images


def reference_sd(fused, visible, infrared) -> float:
    return (255 * fused).std()


def reference_sf(fused, visible, infrared) -> float:
    image = 255 * fused
    rows = [(image[y, x] - image[y, x - 1]) ** 2 for y in range(len(image)) for x in range(1, image.shape[1])]
    columns = [(image[y, x] - image[y - 1, x]) ** 2 for y in range(1, len(image)) for x in range(image.shape[1])]
    return math.sqrt(sum(rows) / len(rows) + sum(columns) / len(columns))


def reference_ag(fused, visible, infrared) -> float:
    image, slopes = 255 * fused, []
    for y in range(len(image) - 1):
        for x in range(image.shape[1] - 1):
            across, down = image[y, x + 1] - image[y, x], image[y + 1, x] - image[y, x]
            slopes.append(math.sqrt((across**2 + down**2) / 2))
    return sum(slopes) / len(slopes)


def reference_cc(fused, visible, infrared) -> float:
    return np.mean([stats.pearsonr(fused.ravel(), source.ravel()).statistic for source in (visible, infrared)])


def reference_mse(fused, visible, infrared) -> float:
    return np.mean([np.mean((fused - source) ** 2) for source in (visible, infrared)])


def reference_psnr(fused, visible, infrared) -> float:
    return 20 * math.log10(255 / math.sqrt(255**2 * reference_mse(fused, visible, infrared)))


REFERENCES = {
    standard_deviation: reference_sd,
    spatial_frequency: reference_sf,
    average_gradient: reference_ag,
    correlation_coefficient: reference_cc,
    mean_squared_error: reference_mse,
    peak_signal_to_noise_ratio: reference_psnr,
}


@pytest.mark.parametrize("prepare", [tuple, as_8_bit], ids=["continuous", "8-bit"])
@pytest.mark.parametrize(("metric", "reference"), REFERENCES.items(), ids=[f.__name__ for f in REFERENCES])
def test_metrics_match_their_references(metric, reference, prepare) -> None:
    for seed in range(3):
        images = prepare(fused_images(seed))
        expected = reference(*(image[0, 0].numpy() for image in images))
        assert metric(*images).item() == pytest.approx(expected, rel=1e-10)
        assert metric(*(image.float() for image in images)).item() == pytest.approx(expected, rel=1e-5)


def test_known_values() -> None:
    zeros = torch.zeros(1, 1, 4, 4)
    checkers = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(1, 1, 2, 2)
    assert spatial_frequency(checkers, zeros, zeros).item() == pytest.approx(255 * math.sqrt(2))
    assert average_gradient(checkers, zeros, zeros).item() == pytest.approx(255)
    assert standard_deviation(checkers, zeros, zeros).item() == pytest.approx(127.5)
    assert mean_squared_error(checkers, zeros, checkers).item() == pytest.approx(0.25)
    assert peak_signal_to_noise_ratio(zeros, zeros, zeros + 1).item() == pytest.approx(10 * math.log10(2), rel=1e-6)
    assert correlation_coefficient(checkers, checkers, 1 - checkers).item() == pytest.approx(0, abs=1e-6)
