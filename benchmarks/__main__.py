"""Renew the figures of README and docs: all that two cores can renew in a night, or some by name.

What was measured with the code as it is stays as it is, so a night that was cut short goes on where it stopped.

    python -m benchmarks --list
    python -m benchmarks all --data roadscene.yaml --weights yolov8n.pt
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the benchmarks are scripts beside one another

from results import RESULTS, ROOT, load  # noqa: E402


class Benchmark(NamedTuple):
    """A command that leaves `docs/results/NAME.json`, and how long it takes on two cores."""

    command: str
    minutes: int


UNTRAINED = "untrained.py --data {data} --model {weights}"
NIGHT = {
    "operations": Benchmark("operations.py", 1),
    "metrics": Benchmark("metrics.py --threads 1", 1),
    "streams": Benchmark("streams.py --seconds 25", 1),
    "latency": Benchmark("latency.py --threads 1 --formats pt onnx openvino", 4),
    "loading": Benchmark("loading.py --turns 8 --items 48", 5),
    "data-check": Benchmark("data_check.py --pairs 10000", 3),
    "meet": Benchmark("meet.py --data {data} --model {weights} --threads 1", 12),
    "registration": Benchmark("registration.py {pairs} --warps 20 --cases whole half shuffled --freedoms 0 4 6 8", 50),
    "untrained": Benchmark(UNTRAINED, 5),
    "spoilt": Benchmark(f"{UNTRAINED} --imgsz 512 --spoilt", 25),
    "labels": Benchmark("labels.py --data {data} --model {weights} --train --folds 2 --seeds 0 1", 90),
    "parallax": Benchmark("parallax.py", 1),
    "align": Benchmark("align.py --data {data} --model {weights}", 15),
    "slicing": Benchmark("slicing.py {pairs} {weights} --threads 1", 2),
    "predict": Benchmark("predict.py --pairs 500 --save 0 --pretrained {weights} --threads 1", 15),
    "step-time": Benchmark("step_time.py --imgsz 640 --batch 8 --threads 2", 10),
    "memory": Benchmark("memory.py --pairs 5000 --imgsz 96 --video", 15),
}
ELSEWHERE = {
    "trained": "days of two cores: python benchmarks/accuracy.py, then trained.py and upper.py",
    "tasks": "hours of two cores: python benchmarks/tasks.py --weights yolov8n.pt",
    "kills": "hours, and it does damage: python benchmarks/stress/kills.py --kills 50",
    "precision": "it needs a trained checkpoint: python benchmarks/parity.py last.pt pairs.yaml",
    "scale": "an hour of a core for a million pairs: python benchmarks/growth.py",
    "gpu": "it needs a GPU: python benchmarks/gpu.py",
}


def main() -> int:
    """Run what is missing, and tell what is not run and why."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all, or names of --list")
    parser.add_argument("--list", action="store_true", help="show the names, what they take, and what is up to date")
    parser.add_argument(
        "--data", type=Path, default=Path("roadscene.yaml"), help="YAML of the labelled RoadScene pairs"
    )
    parser.add_argument("--weights", type=Path, default=Path("yolov8n.pt"), help="stock YOLOv8n")
    parser.add_argument("--again", action="store_true", help="measure what is up to date, too")
    args = parser.parse_args()
    if unknown := {*args.names} - {"all", *NIGHT}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; choose among all, {', '.join(NIGHT)}")
    names = [*NIGHT] if args.list or "all" in args.names else args.names
    failed = 0
    for name in names:
        reason = why_not(name, args.data, args.weights, args.again)
        if args.list or reason:
            print(f"{name:<14}{NIGHT[name].minutes:>4} min  {reason or 'to be measured'}", flush=True)
        else:
            failed += not run(name, args.data, args.weights)
    if args.list or "all" in args.names:
        print(*(f"{name:<14}   not in a night: {reason}" for name, reason in ELSEWHERE.items()), sep="\n")
    return min(failed, 1)


def why_not(name: str, data: Path, weights: Path, again: bool) -> str:
    """Return why a benchmark is not to be run, or nothing."""
    command = NIGHT[name].command
    if not again and is_current(name):
        return "up to date"
    if ("{data}" in command or "{pairs}" in command) and not data.is_file():
        return f"skipped: no data set at {data}; name it by --data"
    if "{weights}" in command and not weights.is_file():
        return f"skipped: no weights at {weights}; name them by --weights"
    if "openvino" in command and not find_spec("openvino"):
        return "skipped: OpenVINO is not installed"
    return ""


def is_current(name: str) -> bool:
    """Return whether neither the package nor the script has changed since the result was measured."""
    if not (RESULTS / f"{name}.json").is_file() or "carried" in load(name):
        return False
    code = ("metafusion_yolo", "cfg", f"benchmarks/{NIGHT[name].command.split()[0]}")
    commit = load(name)["commit"]
    same = subprocess.run(["git", "diff", "--quiet", commit, "--", *code], cwd=ROOT, capture_output=True, check=False)
    return same.returncode == 0  # a commit that ends in + had changes of its own, and is none that git knows


def run(name: str, data: Path, weights: Path) -> bool:
    """Run a benchmark in a process of its own and write the pages; return whether it went well."""
    from metafusion_yolo.support.resources import read_yaml

    places = {"data": data.resolve(), "weights": weights.resolve(), "pairs": ""}
    if "{pairs}" in NIGHT[name].command:
        places["pairs"] = data.resolve().parent / read_yaml(data)["path"]
    script, *arguments = [word.format(**places) for word in NIGHT[name].command.split()]
    target = RESULTS / f"{name}.json"
    print(f"{name:<14}{NIGHT[name].minutes:>4} min  running", flush=True)
    start = time.monotonic()
    command = [sys.executable, str(HERE / script), *arguments, "--json", str(target)]
    done = subprocess.run(command, check=False)
    print(
        f"{name:<14}{(time.monotonic() - start) / 60:>4.0f} min  {'done' if done.returncode == 0 else 'FAILED'}",
        flush=True,
    )
    subprocess.run([sys.executable, str(HERE / "results.py")], check=False)
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
