"""What do the fusion metrics cost? Time of each on a pair of 640 x 512, medians in milliseconds, and their sum.

python benchmarks/metrics.py --threads 2
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from results import RESULTS, save

from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.prepare.synthetic import render_pair


def main() -> None:
    """Time every metric on an average of two synthetic sources."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path, default=RESULTS / "metrics.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    pair = render_pair(0, imgsz=640)
    rgb = torch.from_numpy(pair.visible).permute(2, 0, 1)[None].float() / 255
    infrared = torch.from_numpy(pair.infrared)[None, None].float() / 255
    visible = rgb_to_luminance(rgb)
    fused = (visible + infrared) / 2
    times: dict[str, list[float]] = {name: [] for name in METRICS}
    for _ in range(args.runs):  # all in turn, so that what else runs hits all alike
        for name, metric in METRICS.items():
            start = time.perf_counter()
            metric(fused, visible, infrared)
            times[name].append((time.perf_counter() - start) * 1e3)
    whole = [*map(sum, zip(*times.values(), strict=True))]
    medians = {name: round(statistics.median(values), 1) for name, values in {**times, "all": whole}.items()}
    for name, value in medians.items():
        print(f"{name:>8} {value:8.1f} ms")
    low, _, high = statistics.quantiles(whole, n=4)
    text = f"{medians['all']:.0f} ms (quartiles {low:.0f} to {high:.0f}), VIF {medians['VIF']:.0f} of them"
    label = f"{len(METRICS)} fusion metrics of a pair of 640 by 512, {args.threads} thread{'s' * (args.threads > 1)}"
    more = {name: {"ms": value} for name, value in medians.items()}
    save(args.json, {label: {"measured": text}}, f"quartiles of {args.runs} turns", first="cost", more=more)


if __name__ == "__main__":
    main()
