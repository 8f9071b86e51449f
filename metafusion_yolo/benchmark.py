"""Speed and accuracy of a fused detector in the formats that run here: `metafusion benchmark`."""

from __future__ import annotations

from typing import Any

from ultralytics.engine.exporter import export_formats
from ultralytics.utils import LOGGER
from ultralytics.utils.files import file_size

from metafusion_yolo.config import nearest

FORMATS = ("pt", "torchscript", "onnx")


def benchmark_formats(model: Any, data: str, formats: tuple[str, ...], **kwargs: Any) -> list[dict[str, Any]]:
    """Export a model to each format, validate the export, and print a table.

    Args:
        model: A :class:`metafusion_yolo.MetaFusionYOLO` loaded from a checkpoint.
        data: Paired data set.
        formats: "pt" for the checkpoint itself, and the host's export formats.
        **kwargs: The host's arguments, such as `imgsz` and `device`.

    Returns:
        A row a format: `format`, `size_mb`, `mAP50`, `mAP50-95`, and milliseconds a pair: `preprocess`, `inference`,
        `postprocess`.

    Raises:
        ValueError: For an unknown format.
    """
    known = ["pt", *export_formats()["Argument"][1:]]
    for name in formats:
        if name not in known:
            raise ValueError(f"unknown format '{name}', {nearest(name, known)}")
    rows = []
    for name in formats:
        file = model.ckpt_path if name == "pt" else model.export(format=name, **kwargs)
        options = {**kwargs, "data": data, "rect": False, "batch": 1, "plots": False, "metrics": "none"}
        metrics = type(model)(file).val(**options)
        speed = {key: round(metrics.speed[key], 2) for key in ("preprocess", "inference", "postprocess")}
        rows.append(
            {
                "format": name,
                "size_mb": round(file_size(file), 1),
                "mAP50": round(float(metrics.box.map50), 4),
                "mAP50-95": round(float(metrics.box.map), 4),
                **speed,
            }
        )
    LOGGER.info("\n" + table(rows))
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows of equal keys as aligned text."""
    widths = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in rows[0]}
    lines = ["  ".join(f"{key:>{width}}" for key, width in widths.items())]
    lines += ["  ".join(f"{row[key]!s:>{width}}" for key, width in widths.items()) for row in rows]
    return "\n".join(lines)
