"""Size, accuracy and speed of a fused detector in the formats that run here: `metafusion benchmark`."""

import csv
import shutil
import statistics
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine.exporter import export_formats
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils import LOGGER
from ultralytics.utils.files import file_size, increment_path
from ultralytics.utils.metrics import box_iou
from ultralytics.utils.torch_utils import select_device

from metafusion_yolo.data.description import describe
from metafusion_yolo.data.listing import list_images
from metafusion_yolo.engine.arguments import check_arguments
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.options import Benchmark
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest

PACKAGES = {  # required by each format that is measured by default
    "torchscript": "torch",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "mnn": "MNN",
    "ncnn": "ncnn",
    "litert": "litert_torch",
    "executorch": "executorch",
}
PRECISIONS = ("32", "16", "8", "w8a16", "w8a32")  # bits, or bits of weights and activations
BATCHES = (1, 8)  # batch sizes of the throughput
COMPARED = 30  # pairs on which detections are compared with the reference
CONF = 0.25  # lowest score of these detections
TIMED = 2.0  # seconds of calls from which a throughput is the median
COLUMNS = [
    *("format", "size_mb", "mAP50", "mAP50-95", "preprocess", "inference", "postprocess"),
    *(f"pairs_s_b{batch}" for batch in BATCHES),
    *("boxes", "unmatched", "min_iou", "max_score_diff", "error"),
]


def benchmark_formats(  # noqa: D417 - three in one line
    model: Any,
    data: str,
    formats: Sequence[str] | None = Benchmark.format,
    project: str | None = None,
    name: str | None = None,
    exist_ok: bool = False,
    batches: Sequence[int] = BATCHES,
    **kwargs: Any,
) -> list[dict[str, Any]]:
    """Export a model to each format, measure the export, and write a table, `benchmark.csv` and `benchmark.png`.

    Args:
        model: A :class:`metafusion_yolo.MetaFusionYOLO` loaded from a checkpoint.
        data: Paired data set.
        formats: "pt" for the checkpoint itself, and the host's export formats, with ":16" or ":8" for a lower
            precision (LiteRT: ":w8a16" and ":w8a32" too); None for those whose packages are installed.
        project, name, exist_ok: Where to write, as for the host; by default `runs/benchmark`.
        batches: Batch sizes of the throughput.
        **kwargs: The host's arguments, such as `imgsz` and `device`.

    Returns:
        One row per format: `format`, `size_mb`, `mAP50`, `mAP50-95`; milliseconds per pair `preprocess`, `inference`,
        `postprocess`; pairs per second at batch sizes 1 and 8, `pairs_s_b1` and `pairs_s_b8`; the detections on the
        first 30 pairs compared with those of the first format that ran: number of its `boxes`, number of `unmatched`
        ones of both, lowest overlap `min_iou` and largest score difference `max_score_diff` of the others; `error` if
        the format failed.

    Raises:
        FileNotFoundError: If the data set does not exist.
        ValueError: If a format or precision is unknown, the data set is wrong, or no format could be measured.
    """
    formats = formats or ("pt", *(form for form, package in PACKAGES.items() if find_spec(package)))
    for form in formats:
        check_format(form)
    check_arguments("benchmark", kwargs)
    describe(data)
    folder = increment_path(Path(project or "runs").absolute() / (name or "benchmark"), exist_ok=exist_ok, mkdir=True)
    rows: list[dict[str, Any]] = []
    reference: list[Any] = []
    failures: list[str] = []
    for form in formats:
        try:
            row, results = measure(model, data, form, folder, reference, batches, kwargs)
            reference = reference or results
        except Exception as error:  # the other formats go on
            failures.append(f"{form} failed: {' '.join(str(error).split())}")
            LOGGER.warning(failures[-1])
            row = {"format": form, "error": " ".join(str(error).split())[:200]}
        rows.append({key: row.get(key, "") for key in COLUMNS})
        with (folder / "benchmark.csv").open("w", newline="", encoding="utf-8") as stream:  # a run takes long
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    LOGGER.info(f"\n{table(rows)}\n\nResults saved to {folder}")
    if len(failures) == len(rows):
        raise UserValueError(f"no format could be measured; {failures[0]}")
    plot(rows, folder / "benchmark.png")
    return rows


def check_format(form: str) -> None:
    """Reject an unknown format, or an unknown precision after its colon."""
    name, _, bits = form.partition(":")
    known = ["pt", *export_formats()["Argument"][1:]]
    if name not in known:
        raise UserValueError(f"unknown format '{name}', {nearest(name, known)}")
    if bits not in ("", *PRECISIONS):
        raise UserValueError(f"unknown precision '{bits}' of '{form}', expected {', '.join(PRECISIONS)}")


def measure(
    model: Any, data: str, form: str, folder: Path, reference: list[Any], batches: Sequence[int], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Return the row of a format and its results on the compared pairs."""
    file, options = export(model, data, form, folder, **kwargs), {**kwargs, "verbose": False}
    loaded = type(model)(file)
    metrics = loaded.val(
        **{**options, "data": data, "rect": False, "batch": 1, "plots": False, "metrics": "none"},
        **{"project": str(folder), "name": "val", "exist_ok": True},
    )
    source = list_images(describe(data)["val"])[:COMPARED]
    results = loaded.predict(source, data=data, rect=False, conf=CONF, **options)
    row = {
        "format": form,
        "size_mb": round(file_size(file), 1),
        "mAP50": round(float(metrics.box.map50), 4),
        "mAP50-95": round(float(metrics.box.map), 4),
        **{key: round(metrics.speed[key], 2) for key in ("preprocess", "inference", "postprocess")},
        **compare(reference or results, results),
    }
    imgsz = loaded.predictor.imgsz
    for batch in batches:
        file = file if batch == 1 else export(model, data, form, folder / f"batch{batch}", batch=batch, **kwargs)
        row[f"pairs_s_b{batch}"] = round(throughput(file, batch, imgsz, kwargs.get("device")), 1)
    return row, results


def export(model: Any, data: str, form: str, folder: Path, **kwargs: Any) -> str:
    """Copy the checkpoint into its own folder, export it there, and return the path of the export."""
    name, _, bits = form.partition(":")
    home = folder / form.replace(":", "-")
    home.mkdir(parents=True, exist_ok=True)
    copy = str(shutil.copy(model.ckpt_path, home))
    if name == "pt":
        return copy
    arguments = {**kwargs, "format": name, "verbose": False}
    if bits:
        known = export_formats()
        calibrated = "data" in known["Arguments"][known["Argument"].index(name)]
        arguments |= {"quantize": int(bits) if bits.isdigit() else bits, **({"data": data} if calibrated else {})}
    return type(model)(copy).export(**arguments)


def throughput(file: str, batch: int, imgsz: Sequence[int], device: Any = None) -> float:
    """Return the pairs per second of a backend, from the median of its calls."""
    backend = AutoBackend(file, device=select_device(device, verbose=False), verbose=False)
    backend.eval()
    pairs = torch.rand(batch, NUM_CHANNELS, *imgsz, device=backend.device)
    pairs = pairs.half() if backend.fp16 else pairs
    times: list[float] = []
    with torch.inference_mode():
        backend(pairs)
        while sum(times) < TIMED or len(times) < 3:
            start = time.perf_counter()
            backend(pairs)
            times.append(time.perf_counter() - start)
    return batch / statistics.median(times)


def compare(reference: Sequence[Any], results: Sequence[Any]) -> dict[str, Any]:
    """Match the results of two models on the same pairs, by class and overlap, highest overlap first.

    Returns:
        Number of `boxes` of the reference, of `unmatched` boxes of both, and `min_iou` and `max_score_diff` of matches.
    """
    boxes = unmatched = 0
    worst_iou, worst_score = 1.0, 0.0
    for first, second in zip(reference, results, strict=True):
        a, b = first.found, second.found
        boxes += len(a)
        overlap = box_iou(a.xyxy.float(), b.xyxy.float()) * (a.cls[:, None] == b.cls[None])
        matches = 0
        while overlap.numel() and overlap.max() > 0.5:
            i, j = divmod(int(overlap.argmax()), overlap.shape[1])
            worst_iou = min(worst_iou, float(overlap[i, j]))
            worst_score = max(worst_score, float((a.conf[i] - b.conf[j]).abs()))
            overlap[i], overlap[:, j] = 0, 0
            matches += 1
        unmatched += len(a) + len(b) - 2 * matches
    worst = {"min_iou": round(worst_iou, 4), "max_score_diff": round(worst_score, 5)}
    return {"boxes": boxes, "unmatched": unmatched, **worst}


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows with equal keys as aligned text, without empty columns."""
    keys = [key for key in rows[0] if any(row[key] != "" for row in rows)]
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in keys}
    lines = ["  ".join(f"{key:>{width}}" for key, width in widths.items())]
    lines += ["  ".join(f"{row[key]!s:>{width}}" for key, width in widths.items()) for row in rows]
    return "\n".join(lines)


def plot(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw time, accuracy and size of the formats that ran, side by side."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if not row["error"]][::-1]
    if not shown:
        return
    names, figure = [row["format"] for row in shown], Figure(figsize=(11, 1.2 + 0.4 * len(shown)), layout="constrained")
    time_axes, map_axes, size_axes = figure.subplots(1, 3, sharey=True)
    start = [0.0] * len(shown)
    for stage in ("preprocess", "inference", "postprocess"):
        values = [row[stage] for row in shown]
        time_axes.barh(names, values, left=start, label=stage)
        start = [a + b for a, b in zip(start, values, strict=True)]
    time_axes.legend(fontsize=8)
    for axes, key, label in ((map_axes, "mAP50", "mAP50"), (size_axes, "size_mb", "size, MB")):
        axes.bar_label(axes.barh(names, [row[key] for row in shown], color="0.6"), fontsize=8, padding=2)
        axes.set_xlabel(label)
        axes.margins(x=0.2)
    time_axes.set_xlabel("time per pair, ms (batch 1)")
    figure.savefig(file, dpi=150)
