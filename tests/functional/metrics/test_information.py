"""Metrics of information against histograms in float64."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from metafusion_yolo.functional.metrics import (
    feature_mutual_information,
    mutual_information,
    normalized_mutual_information,
)
from tests.functional.metrics.test_metrics import as_8_bit, fused_images


def bits(values) -> float:
    counts = np.array(list(Counter(values).values()), dtype=np.float64)
    return float(-(counts / counts.sum() * np.log2(counts / counts.sum())).sum())


def shared(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the mutual information of two images of whole numbers, and the sum of their entropies."""
    x, y = x.ravel().tolist(), y.ravel().tolist()
    total = bits(x) + bits(y)
    return total - bits(zip(x, y, strict=True)), total


def levels(image: np.ndarray) -> np.ndarray:
    return np.rint(255 * image).astype(int)


def reference_mi(fused, visible, infrared) -> float:
    return sum(shared(levels(fused), levels(source))[0] for source in (visible, infrared))


def reference_nmi(fused, visible, infrared) -> float:
    pairs = [shared(levels(fused), levels(source)) for source in (visible, infrared)]
    return sum(2 * information / total for information, total in pairs)


def edges(image: np.ndarray) -> np.ndarray:
    strength = np.zeros((image.shape[0] - 2, image.shape[1] - 2))
    kernel = np.outer([1, 2, 1], [-1, 0, 1])
    for y in range(strength.shape[0]):
        for x in range(strength.shape[1]):
            window = image[y : y + 3, x : x + 3]
            strength[y, x] = abs((kernel * window).sum()) + abs((kernel.T * window).sum())
    return strength / strength.max()


def reference_fmi(fused, visible, infrared) -> float:
    def levels(image):
        return np.floor(255 * edges(image) + 0.5 + 1e-4).astype(int)

    pairs = [shared(levels(fused), levels(source)) for source in (visible, infrared)]
    return sum(information / total for information, total in pairs)


REFERENCES = {
    mutual_information: reference_mi,
    normalized_mutual_information: reference_nmi,
    feature_mutual_information: reference_fmi,
}


@pytest.mark.parametrize("prepare", [tuple, as_8_bit], ids=["continuous", "8-bit"])
@pytest.mark.parametrize(("metric", "reference"), REFERENCES.items(), ids=[f.__name__ for f in REFERENCES])
def test_metrics_match_their_references(metric, reference, prepare) -> None:
    for seed in range(3):
        images = prepare(fused_images(seed))
        expected = reference(*(image[0, 0].numpy() for image in images))
        assert expected > 0.1
        assert metric(*images).item() == pytest.approx(expected, rel=1e-9)
        if prepare is as_8_bit:  # else a sample may lie anywhere between two levels
            assert metric(*(image.float() for image in images)).item() == pytest.approx(expected, rel=1e-5)


def test_known_values() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(1, 1, 8, 4)
    bars = stripes.mT
    assert mutual_information(stripes, bars, bars).item() == pytest.approx(0, abs=1e-6)
    assert mutual_information(stripes, stripes, bars).item() == pytest.approx(1)
    assert mutual_information(1 - stripes, stripes, stripes).item() == pytest.approx(2)  # upside down tells as much
    assert normalized_mutual_information(stripes, stripes, bars).item() == pytest.approx(1)
