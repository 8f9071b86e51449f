"""Validation with one camera spoilt: what is found under every corruption, and what the weights do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from metafusion_yolo.data.planes import PLANES
from metafusion_yolo.evaluation.corruptions import KINDS, STRENGTHS, Area, corrupt
from metafusion_yolo.evaluation.report import PairRecord
from metafusion_yolo.evaluation.robustness import alone
from metafusion_yolo.evaluation.trust import AVERAGE, FUSED, view, weight_change
from metafusion_yolo.nn.fusion import FusionOutput
from metafusion_yolo.nn.rules import PixelRule

Find = Callable[[str, Tensor], None]  # records what is found in pairs (B, 4, H, W) under a name


def find_spoilt(
    pairs: Tensor,
    records: Sequence[PairRecord],
    areas: Sequence[Area],
    find: Find,
    front_end: nn.Module | None,
    weights: Callable[[Tensor], np.ndarray],
    strengths: Sequence[int] = STRENGTHS,
    beside: bool = True,
) -> None:
    """Record detections of a batch under every corruption: fused, spoilt camera alone, average image.

    Args:
        pairs: (B, 4, H, W), R, G, B, IR in [0, 1].
        records: Of these pairs; weights are added to them.
        areas: Where each image is inside its letterbox, pixels.
        find: Records what is found.
        front_end: The front-end; None for exports, which have neither weights nor an average image.
        weights: Returns the weights (B, 2, H / 4, W / 4) of the pairs that were looked at last.
        strengths: Of the corruptions.
        beside: Whether to look at the spoilt camera alone, the average image and the weights too.
    """
    front_end = front_end if beside else None
    well = np.zeros(0)
    if front_end is not None:
        with averaging(front_end):
            find(AVERAGE, pairs)
        well = weights(pairs)
    for kind, (camera, _) in KINDS.items():
        for strength in strengths:
            spoilt, regions = spoil(pairs, records, areas, kind, strength)
            find(view(kind, strength, FUSED), spoilt)
            if beside:
                find(view(kind, strength, camera), alone(spoilt, camera))
            if front_end is None:
                continue
            with averaging(front_end):
                find(view(kind, strength, AVERAGE), spoilt)
            now, c = weights(spoilt), [*PLANES].index(camera)
            for i, (record, region, area) in enumerate(zip(records, regions, areas, strict=True)):
                content = np.zeros(region.shape, bool)
                content[area[1] : area[3], area[0] : area[2]] = True
                record.changes[view(kind, strength)] = weight_change(well[i, c], now[i, c], region, content)


def spoil(
    pairs: Tensor, records: Sequence[PairRecord], areas: Sequence[Area], kind: str, strength: int
) -> tuple[Tensor, list[np.ndarray]]:
    """Return the pairs under a corruption, and how far each pixel is spoilt, (H, W) each."""
    made = [
        corrupt(pair, kind, strength, record.file, area)
        for pair, record, area in zip(pairs, records, areas, strict=True)
    ]
    return torch.stack([one.pair for one in made]), [one.region.cpu().numpy() for one in made]


@contextmanager
def averaging(front_end: nn.Module) -> Iterator[None]:
    """Let the detector see the average of the two cameras, as an image or where their features meet."""
    rule = PixelRule(AVERAGE)

    def average(module: nn.Module, inputs: tuple[Tensor, ...], output: FusionOutput) -> FusionOutput:
        even = rule(inputs[0])
        return replace(output, weights=even.weights, blend=even.blend, colour=even.colour)

    hook = front_end.register_forward_hook(average)
    try:
        yield
    finally:
        hook.remove()
