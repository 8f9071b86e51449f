"""Reports as self-contained HTML files: one style sheet, pictures as data URIs."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

QUALITY = 80  # of the JPEG


def write_html(template: Path, file: str | Path, **values: Any) -> Path:
    """Render a template, which may include `page.css`, to a file.

    Args:
        template: The Jinja template.
        file: The HTML file; its folder is created.
        **values: Variables of the template.

    Returns:
        The path of the file.

    Raises:
        jinja2.UndefinedError: If a variable of the template is missing.
        OSError: If the file cannot be written.
    """
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    html = environment(template.parent).get_template(template.name).render(**values)
    path.write_text(html, encoding="utf-8", errors="backslashreplace")  # file names may have another encoding
    return path


def environment(*folders: Path) -> Environment:
    """Return a Jinja environment over some folders of templates and `page.css`."""
    found = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["sum_values"] = lambda counts: sum(counts.values())
    return found


def draw_box(image: np.ndarray, box_xyxy: Sequence[float] | np.ndarray, colour: Sequence[int], width: int = 2) -> None:
    """Draw a line of some pixels width around a box, in place."""
    x0, y0, x1, y1 = (round(float(v)) for v in box_xyxy)
    cv2.rectangle(image, (x0 - width, y0 - width), (x1 + width, y1 + width), colour, width)


def data_uri(image: np.ndarray) -> str:
    """Return an (H, W, 3) uint8 image, R, G, B, as a JPEG in a data URI."""
    content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()
