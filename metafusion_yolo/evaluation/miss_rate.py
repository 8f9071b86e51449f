"""The log-average miss rate of pedestrian benchmarks."""

import numpy as np

from metafusion_yolo.support.errors import UserValueError

FALSE_ALARMS = np.logspace(-2, 0, 9)  # per image
LEAST = 1e-10  # a miss rate of 0 has no logarithm


def log_average_miss_rate(hits: np.ndarray, scores: np.ndarray, objects: int, images: int) -> float:
    """Return the log-average miss rate of a class (MR⁻²): the geometric mean of its miss rates at few false alarms.

    The miss rate is read at nine numbers of false alarms per image, evenly spaced in log-space from 0.01 to 1, with the
    lowest score threshold that does not exceed the number. If even the best detection exceeds it, all objects count as
    missed. Less is better.

    Args:
        hits: Whether each detection matches an object at an IoU of 0.5 (N,), bool; an object is matched once.
        scores: Score of each detection (N,).
        objects: Number of labelled objects, at least 1.
        images: Number of images, at least 1.

    Returns:
        No unit, [1e-10, 1].

    Raises:
        ValueError: If there are no objects or no images.

    Source:
        P. Dollár, C. Wojek, B. Schiele, P. Perona, "Pedestrian Detection: An Evaluation of the State of the Art", IEEE
        TPAMI 34 (2012), section 3.1. Their "reasonable" subset (height of 50 pixels, little occlusion) and their ignore
        regions are not applied: all labelled objects count.

    Examples:
        >>> log_average_miss_rate(np.array([True, False]), np.array([0.9, 0.8]), objects=2, images=10)
        0.5
    """
    if objects < 1 or images < 1:
        raise UserValueError(f"expected at least one object and one image, got {objects} and {images}")
    ranked = np.asarray(hits, bool)[np.argsort(-np.asarray(scores), kind="stable")]
    misses = np.concatenate(([1.0], 1 - ranked.cumsum() / objects))
    alarms = np.concatenate(([0.0], (~ranked).cumsum() / images))
    last = np.searchsorted(alarms, FALSE_ALARMS, side="right") - 1
    return float(np.exp(np.log(np.maximum(misses[last], LEAST)).mean()))
