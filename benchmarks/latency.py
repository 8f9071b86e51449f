"""Does the front-end keep the detector fast? Forward time of the fused YOLOv8 against the stock one.

Both run in one process, alternating, on the same threads, batch norm folded: in PyTorch in the memory format that the
host's predictor chooses, or exported alike and run by ONNX Runtime or OpenVINO (in FP32, and in what it chooses itself,
which is bfloat16 on CPUs that have it). Prints a table of medians with the quartiles of the pairwise ratio, and writes
JSON.

    python benchmarks/latency.py --imgsz 640 --scale n --threads 2 --formats pt onnx openvino openvino-auto
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from results import RESULTS, ratio, save
from ultralytics import YOLO
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import LOGGER

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.nn.tasks import FusionDetectionModel

NAMES = {
    "pt": "PyTorch",
    "onnx": "ONNX Runtime",
    "openvino": "OpenVINO, FP32",
    "openvino-auto": "OpenVINO, as it chooses",
}


def milliseconds(run: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def exported(model: Any, folder: Path, name: str, imgsz: int) -> str:
    """Return the ONNX file of a model, exported by its own class of the host's."""
    model.model.pt_path = str(folder / f"{name}.pt")  # under which name the export is written
    return model.export(format="onnx", imgsz=imgsz)


def onnx_runner(file: str, image: np.ndarray, threads: int) -> Callable[[], object]:
    """Return the call of an ONNX Runtime session."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the waiting one slows the other
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"images": image})


def openvino_runner(file: str, image: np.ndarray, threads: int, precision: str | None) -> Callable[[], object]:
    """Return the call of a model compiled by OpenVINO."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    compiled = core.compile_model(core.read_model(file), "CPU", {**settings, **hint})
    return lambda: compiled(image)


def runners(form: str, scale: str, imgsz: int, threads: int, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what runs the fused and the stock model in a format, and in PyTorch the front-end alone."""
    names = {"fused": f"metafusion-yolov8{scale}.yaml", "stock": f"yolov8{scale}.yaml"}
    images = {name: torch.rand(1, channels, imgsz, imgsz) for name, channels in (("fused", 4), ("stock", 3))}
    if form == "pt":
        models = {"fused": FusionDetectionModel, "stock": DetectionModel}
        cpu = torch.device("cpu")
        backends = {
            name: AutoBackend(models[name](names[name], verbose=False).eval(), device=cpu, verbose=False)
            for name in models
        }
        calls = {name: partial(backend, images[name]) for name, backend in backends.items()}
        return {**calls, "front-end": partial(backends["fused"].model.fusion, images["fused"])}
    files = {
        name: exported(model(names[name]), folder, name, imgsz)
        for name, model in (("fused", MetaFusionYOLO), ("stock", YOLO))
    }
    arrays = {name: image.numpy() for name, image in images.items()}
    if form == "onnx":
        return {name: onnx_runner(file, arrays[name], threads) for name, file in files.items()}
    precision = "f32" if form == "openvino" else None
    return {name: openvino_runner(file, arrays[name], threads, precision) for name, file in files.items()}


def compare(calls: dict[str, Callable[[], object]], runs: int, warmup: int) -> dict[str, float]:
    """Return medians in milliseconds and the quartiles of the pairwise ratio."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for i in range(warmup + runs):
            for name in [*calls][:: 1 if i % 2 else -1]:
                elapsed = milliseconds(calls[name])
                if i >= warmup:
                    times[name].append(elapsed)
    ratios = [fused / stock for fused, stock in zip(times["fused"], times["stock"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = {name: round(statistics.median(values), 2) for name, values in times.items()}
    return {**medians, "ratio": round(middle, 3), "ratio_q1": round(low, 3), "ratio_q3": round(high, 3)}


def main() -> None:
    """Run the comparison for every scale and size asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgsz", type=int, nargs="+", default=[640])
    parser.add_argument("--scale", nargs="+", default=["n"])
    parser.add_argument("--formats", nargs="+", default=["pt"], choices=["pt", "onnx", "openvino", "openvino-auto"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS / "latency.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    header = ("format", "scale", "imgsz", "stock", "fused", "front-end", "ratio", "ratio_q1", "ratio_q3")
    LOGGER.setLevel("WARNING")
    print("  ".join(f"{name:>13}" for name in header))
    rows = []
    for form, scale, imgsz in product(args.formats, args.scale, args.imgsz):
        with tempfile.TemporaryDirectory() as folder:
            calls = runners(form, scale, imgsz, args.threads, Path(folder))
            rows.append({"format": form, "scale": scale, "imgsz": imgsz, **compare(calls, args.runs, args.warmup)})
        print("  ".join(f"{rows[-1].get(name, '')!s:>13}" for name in header), flush=True)
    found = {}
    for row in rows:
        label = f"forward of YOLOv8{row['scale']} at {row['imgsz']} px against stock, {NAMES[row['format']]}"
        found[f"{label}, threads: {args.threads}"] = {
            "measured": ratio(row["ratio_q1"], row["ratio"], row["ratio_q3"]),
            **{f"{name}, ms": row[name] for name in ("stock", "fused", "front-end") if name in row},
        }
    save(args.json, found, f"quartiles of {args.runs} runs in turn", first="cost")


if __name__ == "__main__":
    main()
