"""From the counts of a thermal sensor to the 8-bit plane of a pair."""

from __future__ import annotations

import numpy as np

PERCENTILES = (0.1, 99.9)  # of an image's counts; outside them lie dead pixels and sun glints


def to_uint8(infrared: np.ndarray) -> np.ndarray:
    """Stretch an infrared image over the 8-bit range, so that a narrow 14-bit signal keeps its levels.

    8-bit images pass unchanged. Other images are stretched linearly between their percentiles 0.1 and 99.9, or between
    minimum and maximum where the percentiles coincide; dropping the low byte instead would leave a typical 16-bit scene
    a handful of grey levels.

    Args:
        infrared: (H, W), any integer or floating-point type, hot is bright.

    Returns:
        (H, W) uint8, 0 to 255. A constant image becomes 0; values that are not finite count as the coldest.

    Example:
        >>> to_uint8(np.array([[7000, 7100], [7200, 7244]], dtype=np.uint16)).tolist()
        [[0, 104], [209, 255]]
    """
    if infrared.dtype == np.uint8:
        return infrared
    counts = infrared.astype(np.float64)
    finite = np.isfinite(counts)
    if not finite.any():
        return np.zeros(infrared.shape, np.uint8)
    low, high = np.percentile(counts[finite], PERCENTILES)
    if high <= low:  # one small hot target before an even background
        low, high = counts[finite].min(), counts[finite].max()
    counts = np.where(finite, counts, low)
    if high <= low:
        return np.zeros(infrared.shape, np.uint8)
    return np.clip((counts - low) / (high - low) * 255 + 0.5, 0, 255).astype(np.uint8)
