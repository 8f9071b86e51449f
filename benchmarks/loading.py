"""Does the second camera slow training down? Pairs a second of the training loader against the host's images a second.

The host loads the visible images alone, this package twice the files. Both run in one process, in turns, one worker
each, with the mosaic and the augmentation of a training run. Writes 640 x 512 JPEG pairs to a temporary folder unless
it is given a data set, prints medians with the quartiles of the ratio turn by turn, and writes JSON.

    python benchmarks/loading.py --imgsz 640 --turns 8
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from results import RESULTS, ratio, save
from ultralytics.cfg import get_cfg
from ultralytics.data.build import build_yolo_dataset
from ultralytics.data.utils import check_det_dataset

from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.prepare.synthetic import render_pair

STRIDE = 32


def write_pairs(root: Path, count: int, scenes: int = 12) -> Path:
    """Write JPEG pairs of 640 x 512 pixels, a few rendered scenes again and again, and return their YAML."""
    for folder in ("images", "infrared", "labels"):
        (root / folder / "train").mkdir(parents=True)
    rendered = [render_pair(seed, 640) for seed in range(scenes)]
    for i in range(count):
        pair = rendered[i % scenes]
        size = np.array(pair.infrared.shape[::-1])
        corners = pair.boxes_xyxy / np.tile(size, 2)
        rows = np.column_stack((pair.classes, (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]))
        np.savetxt(root / "labels" / "train" / f"{i:04d}.txt", rows, fmt=["%d", *["%.6f"] * 4])
        cv2.imwrite(str(root / "images" / "train" / f"{i:04d}.jpg"), pair.visible[..., ::-1])
        cv2.imwrite(str(root / "infrared" / "train" / f"{i:04d}.jpg"), pair.infrared)
    description = {"path": str(root), "train": "images/train", "val": "images/train", "names": ["person", "car"]}
    (root / "data.yaml").write_text(yaml.safe_dump(description))
    return root / "data.yaml"


def build(data: Path, imgsz: int, cache: str) -> dict[str, Any]:
    """Return the data set of this package and the host's, as a training run builds them."""
    args = get_cfg(overrides={"imgsz": imgsz, "cache": cache or False, "task": "detect", "deterministic": False})
    description = check_det_dataset(str(data))
    folder = description["train"]
    return {
        "pairs": build_paired_dataset(args, folder, 16, description, "train", STRIDE),
        "visible": build_yolo_dataset(args, folder, 16, description),
    }


def per_second(dataset: Any, order: np.ndarray) -> float:
    """Return how many items a second the data set gives in this order."""
    start = time.perf_counter()
    for i in order:
        dataset[int(i)]
    return len(order) / (time.perf_counter() - start)


def compare(datasets: dict[str, Any], turns: int, items: int) -> dict[str, float]:
    """Return the medians and the quartiles of the ratio, turn by turn."""
    rng = np.random.default_rng(0)
    speeds: dict[str, list[float]] = {name: [] for name in datasets}
    for turn in range(turns + 1):
        order = rng.integers(0, len(datasets["pairs"]), items)
        for name in datasets if turn % 2 else reversed(datasets):
            speed = per_second(datasets[name], order)
            if turn:  # the first warms up: the host's mosaic needs a full buffer
                speeds[name].append(speed)
    ratios = [ours / host for ours, host in zip(speeds["pairs"], speeds["visible"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = {name: round(statistics.median(values), 1) for name, values in speeds.items()}
    return {**medians, "ratio": round(middle, 3), "ratio_q1": round(low, 3), "ratio_q3": round(high, 3)}


def main() -> None:
    """Compare without a cache and with the images in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="YAML of a paired data set; made for the purpose if left out")
    parser.add_argument("--pairs", type=int, default=96)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--json", type=Path, default=RESULTS / "loading.json")
    args = parser.parse_args()

    cv2.setNumThreads(0)  # as in the host's workers
    header = ("cache", "visible", "pairs", "ratio", "ratio_q1", "ratio_q3")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or write_pairs(Path(folder) / "pairs", args.pairs)
        print("  ".join(f"{name:>9}" for name in header))
        for cache in ("", "ram"):
            rows.append({"cache": cache or "none"} | compare(build(data, args.imgsz, cache), args.turns, args.items))
            print("  ".join(f"{rows[-1][name]:>9}" for name in header), flush=True)
    label = f"loading for training at {args.imgsz} px, pairs a second against the host's images a second, cache: "
    found = {label + row["cache"]: {"measured": ratio(row["ratio_q1"], row["ratio"], row["ratio_q3"])} for row in rows}
    save(args.json, found, f"quartiles of {args.turns} turns", first="cost")


if __name__ == "__main__":
    main()
