"""How well objects are found when one camera is spoilt, and whether the fusion then trusts the other one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metafusion_yolo.evaluation.corruptions import KINDS, STRENGTHS
from metafusion_yolo.evaluation.precision import Image, average_precision
from metafusion_yolo.evaluation.robustness import AS_IS
from metafusion_yolo.evaluation.weights import CELL

FUSED, AVERAGE = "fused", "average"
BESIDE = ("visible", "infrared", AVERAGE)  # what the same detector finds without the fusion
SPOILT, UNTOUCHED = 0.8, 0.05  # share of a cell from which, or up to which, it counts as spoilt, or as untouched
RESPONDS = 0.1  # fall of the weight from which a fusion is said to respond


class WeightChange(NamedTuple):
    """Mean weight of the spoilt camera in one pair, [0, 1], before and after; NaN where there is no such place."""

    inside: float
    inside_before: float
    outside: float
    outside_before: float


@dataclass(frozen=True)
class Trust:
    """Figures of one kind of damage at one strength.

    Attributes:
        kind: A key of :data:`~metafusion_yolo.evaluation.corruptions.KINDS`.
        camera: The camera that is spoilt.
        strength: 1, 2 or 3.
        mAP50: [0, 1], of the fused image, of either camera alone, and of the average image, by the same detector.
        inside: Mean weight of the spoilt camera in the spoilt region; None for exports and rules.
        inside_before: The same with the camera well.
        outside: Its mean weight elsewhere; None if the region is the whole image.
        outside_before: The same with the camera well.
    """

    kind: str
    camera: str
    strength: int
    mAP50: Mapping[str, float]  # noqa: N815 - the host's word
    inside: float | None
    inside_before: float | None
    outside: float | None
    outside_before: float | None


def view(kind: str, strength: int, of: str = FUSED) -> str:
    """Return the key of detections under a corruption."""
    return f"{kind} {strength} {of}"


MEASURED = view("night", STRENGTHS[0], "visible")  # recorded if every corruption was measured


def weight_change(before: np.ndarray, after: np.ndarray, region: np.ndarray, content: np.ndarray) -> WeightChange:
    """Compare the weight maps of the spoilt camera with and without the damage.

    Args:
        before: Its weights (H / 4, W / 4), [0, 1], with the camera well.
        after: Its weights under the damage.
        region: How far each pixel is spoilt (H, W), [0, 1].
        content: Which pixels are image rather than letterbox (H, W), bool.
    """
    height, width = after.shape

    def cells(pixels: np.ndarray) -> np.ndarray:
        tiled: np.ndarray = pixels[: height * CELL, : width * CELL].reshape(height, CELL, width, CELL)
        return tiled.mean((1, 3))

    share, shown = cells(region), cells(content) == 1

    def mean(weights: np.ndarray, where: np.ndarray) -> float:
        return float(weights[where].mean()) if where.any() else float("nan")

    inside, outside = shown & (share >= SPOILT), shown & (share <= UNTOUCHED)
    return WeightChange(mean(after, inside), mean(before, inside), mean(after, outside), mean(before, outside))


def judge_trust(
    found: Mapping[str, Sequence[Image]], changes: Mapping[str, Sequence[WeightChange]], classes: dict[int, str]
) -> list[Trust]:
    """Return the figures of every kind and strength.

    Args:
        found: What was found in every pair, by :func:`view`, and with both cameras well by each of the views beside.
        changes: Weights of every pair, by :func:`view`; empty for exports and rules.
        classes: Name of each class that counts.
    """

    def precision(name: str) -> float:
        return float(average_precision(found[name], classes)["mAP50"]) / 100

    well = {of: precision(of) for of in ("visible", "infrared")}
    rows = []
    for kind, (camera, _) in KINDS.items():
        for strength in STRENGTHS:
            names = {of: view(kind, strength, of) for of in (FUSED, camera, AVERAGE)}
            spoilt = {of: precision(name) for of, name in names.items() if name in found}
            reached = {of: (well | spoilt)[of] for of in (FUSED, *BESIDE) if of in well | spoilt}
            weights = np.array(changes.get(names[FUSED], []), float).reshape(-1, 4)
            means = [None if np.isnan(column).all() else float(np.nanmean(column)) for column in weights.T]
            rows.append(Trust(kind, camera, strength, reached, *means))
    return rows


def trust_lines(rows: Sequence[Trust], well: float) -> list[str]:
    """Return the figures as text: a line per kind, the mean over all kinds, and the response of the weights.

    Args:
        rows: Figures of every kind and strength.
        well: mAP50 with both cameras well, [0, 1].
    """
    views = [of for of in (FUSED, *BESIDE) if of in rows[0].mAP50]
    weighed = rows[0].inside is not None
    heads = "".join(f"{of:>11}" for of in views) + f"{'its weight inside':>26}" * weighed
    lines = [f"{'mAP50, one camera spoilt':>33}{heads}"]
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row for row in rows if row.kind == kind]
        cells = "".join(f"{np.mean([row.mAP50[of] for row in own]):>11.3g}" for of in views)
        weight = f"{mean_of(own, 'inside_before'):>18.2f} -> {mean_of(own, 'inside'):.2f}" if weighed else ""
        lines.append(f"{f'{own[0].camera}: {kind}':>33}{cells}{weight}")
    means = {of: float(np.mean([row.mAP50[of] for row in rows])) for of in views}
    lines.append(f"{f'mean (both well {well:.3g})':>33}" + "".join(f"{means[of]:>11.3g}" for of in views))
    return [*lines, "Means over strengths 1 to 3. " + response(rows)]


def response(rows: Sequence[Trust]) -> str:
    """Say in a sentence whether the weights respond to a camera that is spoilt."""
    if rows[0].inside is None:
        return "This model does not output weights"
    falls = {
        camera: mean_of([row for row in rows if row.camera == camera], "inside_before")
        - mean_of([row for row in rows if row.camera == camera], "inside")
        for camera in ("visible", "infrared")
    }
    said = " and ".join(f"that of the {camera} camera by {round(fall, 2) + 0:.2f}" for camera, fall in falls.items())
    deaf = [camera for camera, fall in falls.items() if fall < RESPONDS]
    if not deaf:
        return f"The weights respond: where a camera is spoilt, its weight falls, {said}"
    which = "a camera" if len(deaf) > 1 else f"the {deaf[0]} camera"
    return f"The weights do not respond to {which} that is spoilt: there its weight falls, {said}"


def mean_of(rows: Sequence[Trust], name: str) -> float:
    """Return the mean of a figure over rows that have it, NaN if none does."""
    values = [value for row in rows if (value := getattr(row, name)) is not None]
    return float(np.mean(values)) if values else float("nan")


def curves_of(rows: Sequence[Trust], kind: str, clean: Mapping[str, float]) -> dict[str, list[tuple[int, float]]]:
    """Return mAP50 over strength for every view of a kind, from strength 0, where both cameras are well."""
    own = [row for row in rows if row.kind == kind]
    return {
        of: [(0, clean[of])] * (of in clean) + [(row.strength, row.mAP50[of]) for row in own] for of in own[0].mAP50
    }


def clean_figures(found: Mapping[str, Sequence[Image]], classes: dict[int, str]) -> dict[str, float]:
    """Return mAP50 by view, [0, 1], with both cameras well."""
    names = {FUSED: AS_IS, **{of: of for of in BESIDE}}
    return {
        of: float(average_precision(found[name], classes)["mAP50"]) / 100 for of, name in names.items() if name in found
    }
