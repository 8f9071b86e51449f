"""Does prediction on pairs keep up? End to end over a folder of pairs, against the host on the visible folder alone.

Writes pairs of 640 x 512 (JPEG visible, PNG infrared), then predicts on a part of them at a time, fused and stock in
turn, until all are done: same scale, size, threads and settings. Prints pairs a second and the quartiles of the ratio
of the times, for PyTorch and for ONNX, and what reading ahead and writing behind saves; writes JSON.

    python benchmarks/predict.py --pairs 500 --pretrained yolov8n.pt
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import cv2
import torch
from results import RESULTS, ratio, save
from ultralytics import YOLO

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.synthetic import render_pair

SIZE = 640, 512  # width and height of the images
DISTINCT = 25
COLUMNS = ("ratio", "ratio_q1", "ratio_q3", "overlap", "overlap_q1", "overlap_q3")


def write_pairs(folder: Path, count: int, part: int) -> list[Path]:
    """Write `count` pairs of a few distinct scenes in folders of `part` each; return the folders."""
    scenes = [render_pair(seed, imgsz=SIZE[0]) for seed in range(DISTINCT)]
    folders = [folder / f"{start:05d}" for start in range(0, count, part)]
    for i in range(count):
        scene, beside = scenes[i % DISTINCT], folders[i // part]
        for camera, image, suffix in (
            ("images", cv2.cvtColor(scene.visible, cv2.COLOR_RGB2BGR), "jpg"),
            ("infrared", scene.infrared, "png"),
        ):
            (beside / camera).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(beside / camera / f"{i:06d}.{suffix}"), cv2.resize(image, SIZE))
    return folders


def seconds(model: Any, source: Path, **kwargs: Any) -> float:
    """Return the time of a prediction over a folder, results dropped as they come."""
    start = time.perf_counter()
    deque(model.predict(str(source), stream=True, verbose=False, device="cpu", **kwargs), maxlen=0)
    return time.perf_counter() - start


def gain(fused: Any, folders: list[Path], **kwargs: Any) -> dict[str, float]:
    """Return the quartiles of the time with reading ahead and writing behind over the time without, in turn."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for i, folder in enumerate(folders):
        for overlap in (True, False) if i % 2 else (False, True):
            fused.predictor.overlap = overlap
            times[overlap].append(seconds(fused, folder / "images", **kwargs))
    fused.predictor.overlap = True
    low, middle, high = statistics.quantiles([a / b for a, b in zip(times[True], times[False], strict=True)], n=4)
    return {"overlap": round(middle, 3), "overlap_q1": round(low, 3), "overlap_q3": round(high, 3)}


def compare(fused: Any, stock: Any, folders: list[Path], **kwargs: Any) -> dict[str, float]:
    """Return images a second of both and the quartiles of fused over stock, a folder at a time, in turn."""
    times: dict[str, list[float]] = {"fused": [], "stock": []}
    for i, folder in enumerate([folders[0], *folders]):
        for name in ("fused", "stock") if i % 2 else ("stock", "fused"):
            elapsed = seconds({"fused": fused, "stock": stock}[name], folder / "images", **kwargs)
            if i:  # the first is to warm up
                times[name].append(elapsed)
    ratios = [a / b for a, b in zip(times["fused"], times["stock"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    count = len(list((folders[0] / "images").iterdir()))
    rates = {name: round(count / statistics.median(values), 2) for name, values in times.items()}
    return {**rates, "ratio": round(middle, 3), "ratio_q1": round(low, 3), "ratio_q3": round(high, 3)}


def main() -> None:
    """Write the pairs, then compare in both formats, with and without drawing and writing the images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--part", type=int, default=25, help="pairs a turn")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--pretrained", help="detector checkpoint; left out, the weights are random")
    parser.add_argument("--formats", nargs="+", default=["pt", "onnx"], help="pt, onnx, ...")
    parser.add_argument("--save", type=int, nargs="+", default=[0, 1], help="1: draw and write the images, 0: do not")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, default=RESULTS / "predict.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    header = ("format", "save", "stock", "fused", *COLUMNS)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        folders = write_pairs(Path(folder), args.pairs, args.part)
        models = {"fused": MetaFusionYOLO("metafusion-yolov8n.yaml"), "stock": YOLO("yolov8n.yaml")}
        print("  ".join(f"{name:>9}" for name in header))
        for format in args.formats:
            ready = {}
            for name, model in models.items():
                if args.pretrained:
                    model.load(args.pretrained)
                ready[name] = model
                if format != "pt":
                    model.model.pt_path = f"{name}.pt"  # under which name the export is written
                    file = model.export(format=format, imgsz=args.imgsz)
                    ready[name] = type(model)(file, task="detect")
            for saved in args.save:
                settings = {"folders": folders, "imgsz": args.imgsz, "save": bool(saved), "project": folder}
                row = {**compare(**ready, **settings), **gain(ready["fused"], **settings)}
                rows.append({"format": format, "save": bool(saved), **row})
                print("  ".join(f"{rows[-1][name]!s:>9}" for name in header), flush=True)
    found = {
        f"prediction of {args.pairs} pairs of 640 by 512, {row['format']}{', images written' * row['save']}": {
            "host, images a second": row["stock"],
            "pairs a second": row["fused"],
            "measured": ratio(row["ratio_q1"], row["ratio"], row["ratio_q3"]),
            "overlap on / off": ratio(row["overlap_q1"], row["overlap"], row["overlap_q3"]),
        }
        for row in rows
    }
    save(args.json, found, f"quartiles over parts of {args.part} pairs", first="cost")


if __name__ == "__main__":
    main()
