"""Do the weights respond? Those of trained models on the pairs they were not trained with, as is and spoilt.

For every run of the accuracy table that is given: how much the weight of the infrared camera differs within an image,
and how far the weight of a spoilt camera falls where it is spoilt, at strength 2 of 3, and from where: it cannot fall
by more. Writes JSON.

    python benchmarks/weights.py runs/accuracy/runs/default-fold*
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from results import RESULTS, save
from torch import Tensor, nn

from metafusion_yolo.compare.training import load_last
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.planes import PLANES
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import split_pairs
from metafusion_yolo.evaluation.corruptions import KINDS, corrupt
from metafusion_yolo.evaluation.trust import weight_change
from metafusion_yolo.nn.fusion import input_size

STRENGTH = 2
BEFORE, FALLS = "before", "falls by"


def pairs_of(run: Path, imgsz: int) -> Iterator[tuple[str, Tensor]]:
    """Yield the pairs (4, H, W), [0, 1], that a run was tested on, by visible file."""
    data = describe(str(run / "data" / "pairs.yaml"))
    rig = Rig.from_yaml(data)
    reader = PairReader(rig)
    for visible, infrared in split_pairs(data, "val", rig).partners.items():
        pair = reader.read(visible, infrared or None)
        size = input_size(*pair.shape[:2], imgsz)[::-1]
        small = cv2.resize(pair, size, interpolation=cv2.INTER_LINEAR)
        yield visible, torch.from_numpy(small).permute(2, 0, 1) / 255


def weights_of(front_end: nn.Module, pair: Tensor) -> np.ndarray:
    """Return the weights of both cameras (2, H / 4, W / 4), [0, 1], visible first."""
    weights: np.ndarray = front_end(pair[None]).weights[0].numpy()
    return weights


@torch.inference_mode()
def measure(runs: list[Path], imgsz: int) -> dict[str, list[float]]:
    """Return for each figure its values, one an image."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        model: Any = load_last(run / "train" / "weights" / "last.pt")
        front_end = model.float().eval().fusion
        for file, pair in pairs_of(run, imgsz):
            well = weights_of(front_end, pair)
            found["infrared weight, mean"].append(well[1].mean())
            found["infrared weight, spread within an image"].append(well[1].std())
            everywhere = np.ones(pair.shape[1:], bool)
            for kind, (camera, _) in KINDS.items():
                spoilt = corrupt(pair, kind, STRENGTH, file)
                c = [*PLANES].index(camera)
                now = weights_of(front_end, spoilt.pair)
                change = weight_change(well[c], now[c], spoilt.region.numpy(), everywhere)
                if not np.isnan(change.inside):
                    found[f"{camera}, {kind}: {FALLS}"].append(change.inside_before - change.inside)
                    found[f"{camera}, {kind}: {BEFORE}"].append(change.inside_before)
    return found


def main() -> None:
    """Measure the runs, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of accuracy.py")
    parser.add_argument("--imgsz", type=int, default=512)
    parser.add_argument("--json", type=Path, default=RESULTS / "weights.json")
    args = parser.parse_args()
    rows = {}
    found = measure(args.runs, args.imgsz)
    before = {name.replace(BEFORE, FALLS): found.pop(name) for name in [*found] if name.endswith(BEFORE)}
    for name, values in found.items():
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
        rows[name] = {"mean": round(float(np.mean(values)), 2), "nine in ten above": round(float(low), 2)}
        rows[name] |= {"median": round(float(middle), 2), "one in ten above": round(float(high), 2)}
        if name in before:
            rows[name][BEFORE] = round(float(np.mean(before[name])), 2)
        print(f"{name:45} {rows[name]}")
    save(args.json, rows, f"over the images of {len(args.runs)} runs", first="weight", digits=2)


if __name__ == "__main__":
    main()
