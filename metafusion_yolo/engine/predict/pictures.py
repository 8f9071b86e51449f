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

from metafusion_yolo.data.temperatures import Reading, Thermogram
from metafusion_yolo.support.annotate import Mark, draw_marks
from metafusion_yolo.support.drawing import grid, scale_of, titled, with_legend, with_scale
from metafusion_yolo.support.errors import MissingPackageError, UserTypeError, UserValueError
from metafusion_yolo.support.pages import data_uri

if TYPE_CHECKING:
    from supervision import Detections

    from metafusion_yolo.engine.predict.results import FusionResults


BRIGHT = 200  # of the strongest of B, G, R, from which a cross has a black edge


def draw(result: FusionResults, view: str, style: dict[str, Any]) -> np.ndarray:
    """Return a view of a pair with its detections, (H, W, 3) uint8, B, G, R.

    Args:
        result: The pair and its detections.
        view: One of :data:`~metafusion_yolo.options.VIEWS`.
        style: Arguments of the host's `plot`, all of them.
    """
    if view == "panel":
        return _panel(result, style)
    image = result.image(view)
    if style.get("temperatures") and view == "infrared" and result.thermogram is not None:
        image = result.thermogram.picture(image.shape[1::-1])
    picture = draw_on(result, image, style)
    return with_legend(picture) if view == "weights" and result.has_weights else picture


def draw_on(result: FusionResults, image: Any, style: dict[str, Any]) -> np.ndarray:
    """Draw detections on an image; masks, keypoints and the rest are drawn by the host, below the boxes."""
    heat = result.thermogram if style.get("temperatures") else None
    if any(getattr(result, key) is not None for key in result._keys if key not in ("boxes", "obb")):
        told = {key: value for key, value in style.items() if key != "temperatures"}
        image = Results.plot(result, **{**told, "img": image, "boxes": False})
    elif isinstance(image, torch.Tensor):
        image = image.cpu().numpy()
    marks = _marks(result, style) if style["boxes"] else []
    font = None if style["font"] == "Arial.ttf" else style["font"]  # the host's default
    picture = np.array(image)
    spots = _hot_spots(picture, heat, result.temperatures or []) if heat is not None else None
    picture = draw_marks(picture, marks, style["line_width"], style["font_size"], font, spots)
    return picture if heat is None else _with_bar(picture, heat)


def _hot_spots(picture: np.ndarray, heat: Thermogram, readings: list[Reading | None]) -> np.ndarray:
    """Mark the hottest spot of each object in the colour of its temperature; return what the crosses fill, (N, 4)."""
    size = max(3, round(0.006 * sum(picture.shape[:2])))
    places = np.array([reading.hot for reading in readings if reading]).reshape(-1, 2) - 0.5
    for place, reading in zip(places.round().astype(int).tolist(), filter(None, readings), strict=True):
        colour = heat.colours(np.array([[reading.maximum]]))[0, 0].tolist()
        for line, tint in ((3, (255 * (max(colour) < BRIGHT),) * 3), (1, colour)):
            cv2.drawMarker(picture, place, tint, cv2.MARKER_CROSS, 2 * size + line, line)
    return np.hstack((places - size - 2, places + size + 3))


def _with_bar(picture: np.ndarray, heat: Thermogram) -> np.ndarray:
    """Add the colour bar; where the image goes beyond it, the bar ends in an arrow, and words tell how far."""
    if heat.extremes is None:
        return picture
    (low, high), (lowest, highest) = heat.limits, heat.extremes
    beyond = lowest < low, highest > high
    short = f"{low:.1f} {heat.sign}", f"{high:.1f} {heat.sign}"
    long = short[0] + f" (min {lowest:.1f})" * beyond[0], short[1] + f" (max {highest:.1f})" * beyond[1]
    return with_scale(picture, [long, short], heat.colours(np.linspace(low, high, 256)[None]), beyond)


def outlines(result: FusionResults) -> list[np.ndarray]:
    """Return the outline (P, 2) of each object in pixels of the visible image: of its mask, else of its box."""
    if result.masks is not None:
        boxes = list(_corners(result))
        return [mask if len(mask) > 2 else box for mask, box in zip(result.masks.xy, boxes, strict=True)]
    return list(_corners(result))


def _corners(result: FusionResults) -> np.ndarray:
    """Return the corners of the boxes (K, 4, 2)."""
    if result.found is None:
        return np.zeros((0, 4, 2))
    found = result.found.cpu().numpy()
    return np.asarray(found.xyxy[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] if result.obb is None else found.xyxyxyxy)


def _marks(result: FusionResults, style: dict[str, Any]) -> list[Mark]:
    """Return outline, label and colour of each detection, the most certain first."""
    if result.found is None:
        return []
    found, corners = result.found.cpu().numpy(), _corners(result)
    readings = (result.temperatures if style.get("temperatures") else None) or [None] * len(corners)
    marks = []
    for i, (cls, score) in enumerate(zip(found.cls.astype(int).tolist(), found.conf.tolist(), strict=True)):
        number = int(found.id[i]) if found.is_track else None
        parts = [f"id:{number}"] * (number is not None) * style["labels"]
        parts += [result.names[cls]] * style["labels"] + [f"{score:.2f}"] * style["conf"]
        if (reading := readings[i]) is not None and result.thermogram is not None:
            parts.append(f"{reading.maximum:.1f} {result.thermogram.sign}")
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
    if (mode := bound.arguments["color_mode"]) not in ("class", "instance"):
        raise UserValueError(f"unknown color_mode '{mode}', expected class or instance")
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
    """Show each result, those of an iterator as they come, and return the same results."""

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
    columns = [key for key, value in rows[0].items() if key != "class" and not isinstance(value, dict)] if rows else []
    what = "detections" if result.found is not None else "rows"
    head = "".join(f"<th>{key.replace('_', ' ')}</th>" for key in columns)
    body = "".join("<tr>" + "".join(f"<td>{_cell(row[key])}</td>" for key in columns) + "</tr>" for row in rows)
    table = f"<details><summary>{len(rows)} {what}</summary><table><tr>{head}</tr>{body}</table></details>"
    image = data_uri(np.ascontiguousarray(result.plot()[..., ::-1]))
    caption = html.escape("; ".join(filter(None, parts)))
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
    if result.found is None:
        own = next(key for key in ("probs", "semantic_mask", "depth") if getattr(result, key) is not None)
        raise UserTypeError(f"to_supervision() is for detections, and this model finds none; use result.{own}")
    found = Detections.from_ultralytics(result)
    found.metadata = {"visible": result.orig_img, "infrared": result.infrared}
    if result.has_fusion:
        found.metadata["fused"] = result.image("fused")
    if result.box_weights is not None:
        found.data["infrared_weight"] = result.box_weights[:, 1]
    return found
