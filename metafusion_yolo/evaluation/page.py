"""The report of a validation as a self-contained HTML file."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metafusion_yolo import __version__
from metafusion_yolo.evaluation.report import SURE, ValidationReport
from metafusion_yolo.evaluation.trust import response
from metafusion_yolo.support.pages import write_html

TEMPLATE = Path(__file__).with_name("val.html.j2")
PicturedMiss = tuple[str, str, list[tuple[str, str]]]  # file, what it is, name and data URI of each picture


def write_page(
    file: Path,
    report: ValidationReport,
    misses: Sequence[PicturedMiss],
    plots: Sequence[Path],
    *,
    missed: int,
    settings: Mapping[str, Any],
    speed: Mapping[str, float],
) -> Path:
    """Write the page of a validation.

    Args:
        file: The HTML file.
        report: The figures.
        misses: The hardest misses.
        plots: PNG files to show.
        missed: Number of all missed objects.
        settings: What was validated: `model`, `data`, `split`, `imgsz`, `cameras`.
        speed: Milliseconds per pair of each step.

    Returns:
        The path of the file.
    """
    return write_html(
        TEMPLATE,
        file,
        version=__version__,
        report=report,
        response=response(report.trust) if report.trust else "",
        misses=misses,
        missed=missed,
        sure=SURE,
        plots=[(plot.stem, "data:image/png;base64," + base64.b64encode(plot.read_bytes()).decode()) for plot in plots],
        settings=settings,
        speed=speed,
    )
