"""Does every export find what PyTorch finds? Detections on 30 pairs and mAP50 of each format that runs here.

FP32 passes if every detection has its partner, with IoU >= 0.98 and a score within 0.01; FP16 if mAP50 is within
1 point of PyTorch, INT8 within 3. Prints a table, writes `precision.json`, and exits with 1 if a format does not pass.

Give --classes where some have a handful of boxes: one of them more or less is points of mAP50.

    python benchmarks/parity.py best.pt pairs.yaml --imgsz 512 --formats pt,onnx,openvino,onnx:16,onnx:8
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from results import RESULTS, save

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.export.benchmark import benchmark_formats, table

MIN_IOU, SCORE = 0.98, 0.01
POINTS = {"16": 1.0, "8": 3.0, "w8a16": 3.0, "w8a32": 3.0}  # of mAP50 that a precision may cost
NAMES = {
    "pt": "PyTorch",
    "torchscript": "TorchScript",
    "onnx": "ONNX",
    "openvino": "OpenVINO",
    "mnn": "MNN",
    "ncnn": "NCNN",
    "litert": "LiteRT",
    "executorch": "ExecuTorch",
}


def verdict(row: dict[str, Any], reference: float) -> str:
    """Return "passes", or what is wrong with a row of the benchmark.

    Args:
        row: See :func:`metafusion_yolo.engine.export.benchmark.benchmark_formats`.
        reference: mAP50 of PyTorch, [0, 1].
    """
    if row["error"]:
        return "does not run"
    bits = row["format"].partition(":")[2]
    lost = 100 * (reference - row["mAP50"])
    if bits in POINTS:
        return "passes" if abs(lost) <= POINTS[bits] else f"{lost:+.1f} points lost"
    if row["unmatched"]:
        return f"{row['unmatched']} boxes without a partner"
    if row["min_iou"] < MIN_IOU or row["max_score_diff"] > SCORE:
        return f"IoU {row['min_iou']}, scores {row['max_score_diff']}"
    return "passes"


def cells(rows: list[dict[str, Any]], reference: float) -> dict[str, dict[str, Any]]:
    """Return a row for each format but PyTorch: whether FP32 finds the same, and what lower precision costs.

    Args:
        rows: With their verdicts.
        reference: mAP50 of PyTorch, [0, 1].
    """
    shown: dict[str, dict[str, Any]] = {}
    for row in rows:
        name, _, bits = row["format"].partition(":")
        title = f"{NAMES.get(name, name)}, `{bits}`" if bits.startswith("w") else NAMES.get(name, name)
        if name == "pt":
            continue
        if bits not in POINTS:
            shown.setdefault(title, {})["FP32"] = "same" if row["verdict"] == "passes" else row["verdict"]
        elif not row["error"]:
            precision = "FP16" if bits == "16" else "INT8"
            lost = {"mAP50 lost": 100 * (reference - row["mAP50"]), "size": f"{row['size_mb']} MB"}
            shown.setdefault(title, {}).update({f"{precision}: {key}": value for key, value in lost.items()})
    return shown


def main() -> int:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint")
    parser.add_argument("data", help="data-set YAML, whose 'val' holds at least 30 pairs")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--formats", default=None, help="as of metafusion benchmark; default: what is installed")
    parser.add_argument("--classes", type=int, nargs="*", help="to look at; default: all")
    parser.add_argument("--out", type=Path, default=Path("runs/parity"))
    parser.add_argument("--json", type=Path, default=RESULTS / "precision.json")
    args = parser.parse_args()
    where = {"project": str(args.out.parent), "name": args.out.name, "exist_ok": True}
    formats = args.formats and args.formats.split(",")
    options = {"imgsz": args.imgsz, "classes": args.classes, "batches": (), **where}
    rows = benchmark_formats(MetaFusionYOLO(args.model), args.data, formats, **options)
    reference = next(row["mAP50"] for row in rows if row["format"] == "pt")
    for row in rows:
        row["verdict"] = verdict(row, reference)
    print(table(rows))
    about = {"first": "format", "highest": ["INT8: mAP50 lost"], "mAP50 of PyTorch": 100 * reference}
    boxes = next(row["boxes"] for row in rows if row["format"] == "pt")
    save(args.json, cells(rows, reference), f"none: the same pairs in every format; {boxes} boxes compared", **about)
    return int(any(row["verdict"] != "passes" for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
