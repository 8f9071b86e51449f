"""Does the front-end keep the detector fast? Forward time of the fused YOLOv8 against the stock one.

Both run in one process, alternating, on the same threads, batch norm folded, in the memory format that the host's
predictor chooses. Prints a table of medians with the quartiles of the pairwise ratio, and writes JSON.

    python benchmarks/latency.py --imgsz 640 --scale n --threads 2
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import ultralytics
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.nn.tasks import DetectionModel

from metafusion_yolo.nn.tasks import FusionDetectionModel


def milliseconds(run: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def compare(scale: str, imgsz: int, runs: int, warmup: int) -> dict[str, float]:
    """Return medians in milliseconds and the quartiles of the pairwise ratio at one scale and size."""
    cpu = torch.device("cpu")
    models = {
        "fused": (FusionDetectionModel(f"metafusion-yolov8{scale}.yaml", verbose=False), 4),
        "stock": (DetectionModel(f"yolov8{scale}.yaml", verbose=False), 3),
    }
    backends = {name: AutoBackend(model.eval(), device=cpu, verbose=False) for name, (model, _) in models.items()}
    images = {name: torch.rand(1, channels, imgsz, imgsz) for name, (_, channels) in models.items()}
    front_end = backends["fused"].model.fusion
    times: dict[str, list[float]] = {"fused": [], "stock": [], "front-end": []}
    with torch.inference_mode():
        for i in range(warmup + runs):
            order = ("fused", "stock") if i % 2 else ("stock", "fused")
            for name in order:
                elapsed = milliseconds(lambda name=name: backends[name](images[name]))
                if i >= warmup:
                    times[name].append(elapsed)
            elapsed = milliseconds(lambda: front_end(images["fused"]))
            if i >= warmup:
                times["front-end"].append(elapsed)
    ratios = [fused / stock for fused, stock in zip(times["fused"], times["stock"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    extra = sum(p.numel() for p in front_end.parameters())
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    return {**medians, "ratio": round(middle, 3), "ratio_q1": round(low, 3), "ratio_q3": round(high, 3), "extra": extra}


def main() -> None:
    """Run the comparison for every scale and size asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgsz", type=int, nargs="+", default=[640])
    parser.add_argument("--scale", nargs="+", default=["n"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/latency.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    header = ("scale", "imgsz", "stock", "fused", "front-end", "ratio", "ratio_q1", "ratio_q3", "extra")
    print("  ".join(f"{name:>9}" for name in header))
    rows = []
    for scale in args.scale:
        for imgsz in args.imgsz:
            rows.append({"scale": scale, "imgsz": imgsz, **compare(scale, imgsz, args.runs, args.warmup)})
            print("  ".join(f"{rows[-1][name]:>9}" for name in header), flush=True)
    machine = {"processor": platform.processor() or platform.machine(), "threads": args.threads}
    versions = {"torch": torch.__version__, "ultralytics": ultralytics.__version__}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps({"rows": rows, **machine, **versions}, indent=2))


if __name__ == "__main__":
    main()
