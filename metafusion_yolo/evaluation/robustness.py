"""Robustness of detection when a camera fails or the infrared image is shifted against the visible one."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metafusion_yolo.data.planes import PLANES
from metafusion_yolo.evaluation.precision import Image, average_precision, with_missing

AS_IS = "both"
SHIFTS = (2, 4, 8, 16)  # pixels of the network's input
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the pairs
DRAWS = 5  # random choices of the pairs that lack a camera; the mean is reported

Curve = list[tuple[float, float]]  # x and mAP50, [0, 1]


def shift_infrared(pair: Tensor, pixels: int) -> Tensor:
    """Return pairs (B, 4, H, W) with the infrared plane shifted right by some pixels and its border replicated."""
    shifted = pair.clone()
    if pixels:
        shifted[:, 3:] = F.pad(pair[:, 3:], (pixels, 0, 0, 0), mode="replicate")[..., :-pixels]
    return shifted


def alone(pair: Tensor, camera: str) -> Tensor:
    """Return pairs (B, 4, H, W) in which only one camera is on, "visible" or "infrared"."""
    kept = torch.zeros_like(pair)
    kept[:, PLANES[camera]] = pair[:, PLANES[camera]]
    return kept


def disturbances(pair: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield name and pairs (B, 4, H, W): "visible" and "infrared" keep that camera only, "shift-2" etc. shift IR."""
    for camera in PLANES:
        yield camera, alone(pair, camera)
    for pixels in SHIFTS:
        yield f"shift-{pixels}", shift_infrared(pair, pixels)


def robustness_curves(found: Mapping[str, Sequence[Image]], classes: dict[int, str]) -> dict[str, dict[str, Curve]]:
    """Return mAP50 against the share of pairs that lack a camera, and against the shift of the infrared image.

    Args:
        found: What was found in every image, undisturbed (`AS_IS`) and under each disturbance.
        classes: Name of each class that counts.

    Returns:
        `missing`: a curve for each camera that fails and one for both alternating, over shares of the pairs; `shift`:
        one curve, over pixels of the network's input.
    """
    both, visible, infrared = (found[view] for view in (AS_IS, "visible", "infrared"))
    left = {
        "infrared missing": (visible, visible),
        "visible missing": (infrared, infrared),
        "either missing": (visible, infrared),
    }

    def precision(images: Sequence[Image]) -> float:
        return float(average_precision(images, classes)["mAP50"]) / 100

    missing = {
        name: [
            (share, float(np.mean([precision(with_missing(both, *views, share, seed)) for seed in range(DRAWS)])))
            for share in SHARES
        ]
        for name, views in left.items()
    }
    shifts = [(0.0, precision(both)), *((float(s), precision(found[f"shift-{s}"])) for s in SHIFTS)]
    return {"missing": missing, "shift": {"infrared shifted": shifts}}
