"""Fusion quality: how much of the two sources is left in the fused image?

All metrics share one contract; their docstrings state what is particular to each.

Args:
    fused: Fused luminance F (B, 1, H, W), [0, 1]. EN, SD, SF and AG measure this image alone.
    visible: Luminance V of the visible image, like `fused`.
    infrared: Infrared image I, like `fused`.

Returns:
    One value per image (B,), never NaN; float32 for half-precision images.

Raises:
    TypeError: If an image is not a floating-point tensor.
    ValueError: If an image is not (B, 1, H, W) in [0, 1], the shapes differ, or an image is too small for the metric.

Published scripts disagree on details, so each docstring states the definition it follows.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from metafusion_yolo.functional.metrics.edges import fusion_artifacts, gradient_preservation
from metafusion_yolo.functional.metrics.information import (
    entropy,
    feature_mutual_information,
    mutual_information,
    normalized_mutual_information,
)
from metafusion_yolo.functional.metrics.samples import (
    average_gradient,
    correlation_coefficient,
    mean_squared_error,
    peak_signal_to_noise_ratio,
    spatial_frequency,
    standard_deviation,
    sum_of_correlations_of_differences,
)
from metafusion_yolo.functional.metrics.structure import multi_scale_ssim, ssim, visual_information_fidelity

Metric = Callable[[Tensor, Tensor, Tensor], Tensor]

METRICS: dict[str, Metric] = {
    "EN": entropy,
    "SD": standard_deviation,
    "SF": spatial_frequency,
    "AG": average_gradient,
    "MI": mutual_information,
    "NMI": normalized_mutual_information,
    "CC": correlation_coefficient,
    "SCD": sum_of_correlations_of_differences,
    "MSE": mean_squared_error,
    "PSNR": peak_signal_to_noise_ratio,
    "SSIM": ssim,
    "MS-SSIM": multi_scale_ssim,
    "VIF": visual_information_fidelity,
    "Qabf": gradient_preservation,
    "Nabf": fusion_artifacts,
    "FMI": feature_mutual_information,
}
LESS_IS_BETTER = frozenset({"MSE", "Nabf"})

__all__ = [
    "LESS_IS_BETTER",
    "METRICS",
    "Metric",
    "average_gradient",
    "correlation_coefficient",
    "entropy",
    "feature_mutual_information",
    "fusion_artifacts",
    "gradient_preservation",
    "mean_squared_error",
    "multi_scale_ssim",
    "mutual_information",
    "normalized_mutual_information",
    "peak_signal_to_noise_ratio",
    "spatial_frequency",
    "ssim",
    "standard_deviation",
    "sum_of_correlations_of_differences",
    "visual_information_fidelity",
]
