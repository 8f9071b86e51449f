"""The report as a self-contained HTML file: findings with pictures, statistics as plots."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from metafusion_yolo import __version__
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.prepare.check.findings import SEVERITIES, Case, Finding
from metafusion_yolo.prepare.check.report import CheckReport
from metafusion_yolo.prepare.check.sequences import MISREGISTERED, PairSequence, describe_shift, polarity_signs
from metafusion_yolo.prepare.check.thumbnails import can_be_shown, picture_case
from metafusion_yolo.support.pages import write_html
from metafusion_yolo.support.pages.plots import histogram, scatter
from metafusion_yolo.support.sampling import evenly

TEMPLATE = Path(__file__).with_name("report.html.j2")
PICTURED = 4  # cases of a finding shown with pictures
LISTED = 30  # cases of a finding shown by name
SEQUENCES = 100  # rows of the table
DRAWN = 5000  # points of a plot
BRIGHTNESS, CONTRAST = tuple(range(0, 257, 16)), tuple(range(0, 129, 8))
SHIFTS = tuple(round(0.5 * i, 1) for i in range(21))  # % of the width
BOX_SIZES = (0, 4, 8, 16, 32, 64, 128, 256, 512, 1024)  # pixels


def write_page(report: CheckReport, file: str | Path) -> Path:
    """Write the report of a check to an HTML file, whose folder is created, and its counts to `check.json` beside it.

    Returns:
        The path of the HTML file.
    """
    reader = PairReader(report.source.rig)
    counts = {severity: report.count(severity) for severity in SEVERITIES}
    path = write_html(
        TEMPLATE,
        file,
        report=report,
        version=__version__,
        counts=counts,
        findings=[_finding(report, finding, reader) for finding in report.findings],
        plots=_plots(report),
        boxes=_boxes_by_class(report),
        bars=_bars(report),
        sequences=_sequences(report),
        hidden=max(0, len(report.sequences) - SEQUENCES),
    )
    told = {"data": str(report.source.yaml), "pairs": len(report.pairs)}
    told |= {f"{severity}s": count for severity, count in counts.items()}
    path.with_name("check.json").write_text(json.dumps(told), encoding="utf-8")
    return path


def _finding(report: CheckReport, finding: Finding, reader: PairReader) -> dict[str, Any]:
    pictured = [*islice(filter(can_be_shown, finding.cases), PICTURED)]
    listed = [*islice((case for case in finding.cases if case not in pictured), LISTED)]

    def said(case: Case) -> tuple[str, str]:
        return report.short(case.file), report.short_text(case.detail)

    return {
        "kind": finding.kind,
        "count": finding.count,
        "pictured": [(*said(case), picture_case(case, reader)) for case in pictured],
        "listed": [said(case) for case in listed],
        "more": finding.count - len(pictured) - len(listed),
    }


def _plots(report: CheckReport) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return title, drawing and names of the series of each plot."""
    pairs, both = report.measured, ("visible", "infrared")
    points = 100 * np.concatenate([np.zeros((0, 2)), *(sequence.clear_shifts for sequence in report.sequences)])
    drawn = points[evenly(range(len(points)), DRAWN)]
    lengths = {"shift": np.hypot(*points.T)}
    boxes = (size for pair in pairs for size in (pair.boxes_xywhn[:, 2:] * pair.visible.size).prod(1).tolist())
    sizes = np.sqrt(np.fromiter(boxes, np.float64))
    brightness = {camera: np.fromiter((getattr(pair, camera).brightness for pair in pairs), float) for camera in both}
    contrast = {camera: np.fromiter((getattr(pair, camera).contrast for pair in pairs), float) for camera in both}
    clear = f"{len(points)} of {sum(pair.shift is not None for pair in pairs)} pairs are clear"
    where = "infrared lies right and down by, % of the width"
    direction = f"Direction of {len(drawn)} of the shifts" if len(drawn) < len(points) else "Direction of the shifts"
    return [
        ("Brightness of the images", histogram(brightness, BRIGHTNESS, "mean grey of an image, 0 to 255"), both),
        ("Contrast of the images", histogram(contrast, CONTRAST, "standard deviation of the grey"), both),
        (f"Shift between the cameras: {clear}", histogram(lengths, SHIFTS, "shift, % of the width"), ()),
        (direction, scatter({"shift": drawn}, 5, 100 * MISREGISTERED, where), ()),
        ("Size of the boxes", histogram({"box": sizes}, BOX_SIZES, "square root of the area, pixels"), ()),
    ]


def _boxes_by_class(report: CheckReport) -> list[tuple[str, dict[str, int]]]:
    """Return the name of each class and its number of boxes by split."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for pair in report.measured:
        for cls in pair.classes.tolist():
            counts[cls][pair.files.split] += 1
    splits = report.splits()
    return [(name, {s: counts[cls][s] for s in splits}) for cls, name in report.source.names.items()]


def _bars(report: CheckReport) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return title and rows of each bar chart."""
    pairs = report.measured
    return [
        ("Size of the visible images", _ranked("{} x {}".format(*pair.visible.size) for pair in pairs)),
        ("Size of the infrared images", _ranked("{} x {}".format(*pair.infrared.size) for pair in pairs)),
        ("Depth of the infrared images", _ranked(_depth(p.infrared.depth, p.infrared.levels) for p in pairs)),
    ]


def _depth(depth: str, levels: int) -> str:
    """Return the type of the samples and the number of bits that the used levels need."""
    return f"{depth}, {int(np.ceil(np.log2(levels)))} bits used" if levels > 1 else depth


def _ranked(values: Iterable[str], shown: int = 6) -> list[tuple[str, int]]:
    """Return the most frequent values with their counts, and the others as one row."""
    ranked = Counter(values).most_common()
    rest = sum(count for _, count in ranked[shown:])
    return ranked[:shown] + ([(f"{len(ranked) - shown} others", rest)] if rest else [])


def _sequences(report: CheckReport) -> list[tuple[str, int, str, str, str]]:
    """Return the rows of the table of sequences."""
    boxes, layout = polarity_signs(report.sequences)
    return [
        (report.short(s.name), len(s.pairs), _median(s), _share(boxes.get(i)), _share(layout.get(i)))
        for i, s in enumerate(report.sequences[:SEQUENCES])
    ]


def _median(sequence: PairSequence) -> str:
    shift = describe_shift(*sequence.median_shift) if sequence.median_shift else "unclear"
    return f"{shift} ({len(sequence.clear_shifts)} clear)"


def _share(signs: np.ndarray | None) -> str:
    return "" if signs is None else f"{signs.mean():.0%}"
