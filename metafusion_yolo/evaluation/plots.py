"""Plots of a validation in addition to the host's, as PNG files, which the host's loggers can read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metafusion_yolo.evaluation.report import CURVES, WEIGHTS, ValidationReport

DPI = 140


def plot_weights(report: ValidationReport, file: Path) -> Path:
    """Plot the distribution of the infrared weight inside and outside labelled boxes, and return the file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    edges = report.histogram["edges"]
    for where, colour in zip(WEIGHTS, ("tab:orange", "tab:blue"), strict=True):
        counts = np.array(report.histogram[where], float)
        average = report.rows[0].weights[where]
        label = f"{where} boxes" + ("" if average is None else f", mean {average:.2f}")
        axes.stairs(100 * counts / max(counts.sum(), 1), edges, fill=True, alpha=0.5, color=colour, label=label)
    axes.set_xlabel("weight of the infrared camera")
    axes.set_ylabel("share of the area, %")
    axes.set_xlim(0, 1)
    axes.legend()
    figure.savefig(file, dpi=DPI)
    return file


def plot_curves(report: ValidationReport, key: str, file: Path) -> Path:
    """Plot mAP50 under a disturbance, a key of `CURVES`, and return the file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, curve in report.curves[key].items():
        axes.plot(*zip(*curve, strict=True), marker="o", label=name)
    axes.set_xlabel(CURVES[key])
    axes.set_ylabel("mAP50")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=DPI)
    return file
