"""Results as pictures: boxes on a view of the pair, all views together, and what a notebook shows of a result."""

from __future__ import annotations

import html
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from ultralytics.engine.results import Results
from ultralytics.utils.plotting import colors

from metafusion_yolo.support.annotate import Mark, draw_marks
from metafusion_yolo.support.drawing import grid, scale_of, titled, with_legend
from metafusion_yolo.support.errors import MissingPackageError
from metafusion_yolo.support.pages import data_uri

if TYPE_CHECKING:
    from supervision import Detections

    from metafusion_yolo.engine.predict.results import FusionResults


def draw(result: FusionResults, view: str, style: dict[str, Any]) -> np.ndarray:
    """Return a view of a pair with its detections, (H, W, 3) uint8, B, G, R.

    Args:
        result: The pair and its detections.
        view: One of :data:`~metafusion_yolo.options.VIEWS`.
        style: Arguments of the host's `plot`, all of them.
    """
    if view == "panel":
        return _panel(result, style)
    picture = draw_on(result, result.image(view), style)
    return with_legend(picture) if view == "weights" and result.has_weights else picture


def draw_on(result: FusionResults, image: Any, style: dict[str, Any]) -> np.ndarray:
    """Draw detections on an image; masks, keypoints and the rest are drawn by the host, below the boxes."""
    if any(getattr(result, key) is not None for key in result._keys if key not in ("boxes", "obb")):
        image = Results.plot(result, **{**style, "img": image, "boxes": False})
    elif isinstance(image, torch.Tensor):
        image = image.cpu().numpy()
    marks = _marks(result, style) if style["boxes"] else []
    font = None if style["font"] == "Arial.ttf" else style["font"]  # the host's default
    return draw_marks(np.ascontiguousarray(image), marks, style["line_width"], style["font_size"], font)


def _marks(result: FusionResults, style: dict[str, Any]) -> list[Mark]:
    """Return outline, label and colour of each detection, the most certain first."""
    if result.found is None:
        return []
    found = result.found.cpu().numpy()
    corners = found.xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] if result.obb is None else found.xyxyxyxy
    marks = []
    for i, (cls, score) in enumerate(zip(found.cls.astype(int).tolist(), found.conf.tolist(), strict=True)):
        number = int(found.id[i]) if found.is_track else None
        parts = [f"id:{number}"] * (number is not None) * style["labels"]
        parts += [result.names[cls]] * style["labels"] + [f"{score:.2f}"] * style["conf"]
        by = {"class": cls, "instance": i if number is None else number}[style["color_mode"]]
        texts = tuple(dict.fromkeys((" ".join(parts), parts[0] if number is not None else parts[-1]))) if parts else ()
        marks.append(Mark(corners[i], texts, colors(by, True)))
    return [marks[i] for i in np.argsort(-found.conf, kind="stable")]


def _panel(result: FusionResults, style: dict[str, Any]) -> np.ndarray:
    """Return the two cameras, the fused image and the weights, each with the detections, under titles."""
    titles = {"visible": "visible", "infrared": "infrared"}
    if result.has_fusion:
        titles["fused"] = "fused"
    if result.fusion_weights is not None:
        titles["weights"] = f"infrared {scale_of([result.fusion_weights[1]])[1]}"
    pictures = [titled(title, draw(result, view, style)) for view, title in titles.items()]
    return grid([pictures[:2], pictures[2:]] if len(pictures) == 4 else [pictures])


def style_of(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return all arguments of the host's `plot` by name, with its defaults where they are not given."""
    bound = inspect.signature(Results.plot).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return {key: value for key, value in bound.arguments.items() if key != "self"}


def in_notebook() -> bool:
    """Return whether this runs in the kernel of a notebook, which has no windows of its own."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def show_inline(picture: np.ndarray) -> bool:
    """Show a picture (H, W, 3) uint8, B, G, R, in the notebook that this runs in; return whether there is one."""
    if not in_notebook():
        return False
    from IPython.display import Image, display

    display(Image(cv2.imencode(".png", picture)[1].tobytes()))
    return True


def show_each(results: Any) -> Any:
    """Show each result of a list, or of an iterator as it comes, and return the same."""

    def shown() -> Iterator[Any]:
        for result in results:
            result.show()
            yield result

    return [*shown()] if isinstance(results, list) else shown()


def to_html(result: FusionResults) -> str:
    """Return the picture of a result with a caption, and a table of its detections that can be opened."""
    rows = result.summary()
    parts = [Path(result.path).name, result.verbose().rstrip(", ").strip("()"), f"cameras: {result.modalities}"]
    if result.fusion_weights is not None:
        parts.append(f"share of infrared {result.fusion_weights[1].mean():.2f}")
    columns = [key for key in ("track_id", "name", "confidence", "infrared_weight") if rows and key in rows[0]]
    head = "".join(f"<th>{key.replace('_', ' ')}</th>" for key in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row[key])}</td>" for key in columns) + "</tr>" for row in rows)
    table = f"<details><summary>{len(rows)} detections</summary><table><tr>{head}</tr>{body}</table></details>"
    image = data_uri(np.ascontiguousarray(result.plot()[..., ::-1]))
    caption = html.escape("; ".join(parts))
    return f'<img src="{image}" alt="{caption}" style="max-width: 100%"><br>{caption}{table if rows else ""}'


def _cell(value: Any) -> str:
    """Return a value as the text of a table."""
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else html.escape(str(value))


def to_supervision(result: FusionResults) -> Detections:
    """See :meth:`~metafusion_yolo.engine.predict.results.FusionResults.to_supervision`.

    Raises:
        ModuleNotFoundError: If supervision is not installed.
    """
    try:
        from supervision import Detections
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "to_supervision() needs the package 'supervision': pip install supervision"
        ) from error
    found = Detections.from_ultralytics(result)
    found.metadata = {"visible": result.orig_img, "infrared": result.infrared}
    if result.has_fusion:
        found.metadata["fused"] = result.image("fused")
    if result.box_weights is not None:
        found.data["infrared_weight"] = result.box_weights[:, 1]
    return found
