"""Plots of a validation in addition to the host's, as PNG files, which the host's loggers can read."""

from pathlib import Path

import numpy as np

from metafusion_yolo.evaluation.corruptions import KINDS, STRENGTHS
from metafusion_yolo.evaluation.report import CURVES, WEIGHTS, ValidationReport
from metafusion_yolo.evaluation.trust import FUSED, curves_of, mean_of

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


def plot_trust(report: ValidationReport, file: Path) -> Path:
    """Plot mAP50 over the strength of each kind of damage, of the fused image and of the views beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(2, len(KINDS) // 2, sharex=True, sharey=True)
    colours = {FUSED: "tab:green", "visible": "tab:blue", "infrared": "tab:orange", "average": "tab:gray"}
    for axes, (kind, (camera, _)) in zip(panels.flat, KINDS.items(), strict=True):
        for of, curve in curves_of(report.trust, kind, report.clean).items():
            wide = 3 if of == FUSED else 1.5
            axes.plot(*zip(*curve, strict=True), "o-", label=of, color=colours[of], linewidth=wide, markersize=wide + 1)
        axes.set_title(f"{camera}: {kind}", fontsize=10)
        axes.set_xticks([0, *STRENGTHS], ["well", *map(str, STRENGTHS)])
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylim(bottom=0)
    figure.supylabel("mAP50")
    figure.supxlabel("strength of the damage")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(colours))
    figure.savefig(file, dpi=DPI)
    return file


def plot_spoilt_weights(report: ValidationReport, file: Path) -> Path:
    """Plot the weight of the spoilt camera in the spoilt region and elsewhere, before and after, by kind."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    bars = {
        "well": ("inside_before", "tab:gray"),
        "spoilt, in the region": ("inside", "tab:red"),
        "spoilt, elsewhere": ("outside", "tab:blue"),
    }
    for n, (label, (name, colour)) in enumerate(bars.items()):
        heights = [mean_of([row for row in report.trust if row.kind == kind], name) for kind in KINDS]
        axes.bar(np.arange(len(KINDS)) + 0.27 * (n - 1), heights, 0.25, color=colour, label=label)
    axes.set_xticks(range(len(KINDS)), [f"{camera}:\n{kind}" for kind, (camera, _) in KINDS.items()], fontsize=8)
    axes.set_ylabel("weight of the spoilt camera")
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left", ncols=3, fontsize=8)
    figure.savefig(file, dpi=DPI)
    return file
