"""Label Studio: both images of a pair side by side, each box drawn on the one that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from metafusion_yolo.labelling.found import BOTH, CAMERAS, INFRARED, VISIBLE, Found, Sheet
from metafusion_yolo.prepare.convert.boxes import union

Result = dict[str, Any]


def write(folder: Path, sheets: Sequence[Sheet], names: Mapping[int, str]) -> Path:
    """Write `label-studio/config.xml`, the labelling interface, and `tasks.json`, with the boxes as predictions.

    Pictures are served by Label Studio from the folder of the run, whose parent is its document root.

    Returns:
        The folder.
    """
    root = folder / "label-studio"
    root.mkdir(exist_ok=True)
    (root / "config.xml").write_text(_interface(names), encoding="utf-8")
    tasks: list[dict[str, Any]] = []
    for sheet in sheets:
        paths = {camera: getattr(sheet, camera).relative_to(folder.parent) for camera in (VISIBLE, INFRARED)}
        urls = {camera: f"/data/local-files/?d={quote(path.as_posix())}" for camera, path in paths.items()}
        results = [_result(f"box{number}", sheet, one) for number, one in enumerate(sheet.found)]
        scores = [one.score for one in sheet.found if one.score is not None]
        prediction = {"model_version": "metafusion", "score": min(scores, default=0.0), "result": results}
        data: dict[str, str] = {"pair": sheet.key, **urls}
        tasks.append({"data": data, "predictions": [prediction]})
    (root / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    return root


def _interface(names: Mapping[int, str]) -> str:
    labels = "".join(f"<Label value={quoteattr(name)}/>" for name in names.values())
    panes = "".join(
        f'<View style="flex: 1"><Header value="{camera}"/>'
        f'<RectangleLabels name="{camera}-boxes" toName="{camera}">{labels}</RectangleLabels>'
        f'<Image name="{camera}" value="${camera}" zoom="true"/></View>'
        for camera in (VISIBLE, INFRARED)
    )
    return f'<View style="display: flex; gap: 8px">{panes}</View>\n'


def _result(identity: str, sheet: Sheet, one: Found) -> Result:
    camera = INFRARED if one.shows_in == INFRARED else VISIBLE
    left, top, right, bottom = (100 * side for side in one.box_xyxyn)
    width, height = sheet.size
    box = {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
    return {
        "id": identity,
        "type": "rectanglelabels",
        "from_name": f"{camera}-boxes",
        "to_name": camera,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": one.score,
        "meta": {"text": [one.shows_in]},
        "value": {**box, "rectanglelabels": [one.name]},
    }


def read(tasks: list[dict[str, Any]]) -> dict[str, list[Found]]:
    """Return the objects of an export (JSON) by pair; tasks that nobody has done are left out.

    Of several annotations the newest counts. A person may draw an object on both images: boxes of one class with an
    IoU of at least 0.5 become one.
    """
    found: dict[str, list[Found]] = {}
    for task in tasks:
        done = [item for item in task.get("annotations") or () if not item.get("was_cancelled")]
        if not done:
            continue
        newest = max(done, key=lambda item: str(item.get("updated_at") or item.get("created_at") or ""))
        data = task["data"]
        found[str(data.get("pair") or data[VISIBLE])] = _merged([_found(r) for r in newest["result"] if _is_box(r)])
    return found


def _is_box(result: Result) -> bool:
    return result["type"] == "rectanglelabels" and bool(result["value"].get("rectanglelabels"))


def _found(result: Result) -> tuple[str, Found]:
    """Return an object and the image on which its box is drawn; a turned box becomes the upright one around it."""
    value = result["value"]
    width, height = (float(result[f"original_{side}"]) for side in ("width", "height"))
    left, top, across, down = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    turn = np.deg2rad(float(value.get("rotation") or 0))  # about the upper left corner, in pixels
    sides = np.array([[across * width, 0], [0, down * height]])
    turned = sides @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = np.array([left, top]) + np.stack([[0, 0], *turned, turned.sum(0)]) / [width, height]
    (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
    camera = result["to_name"]
    noted = [text for text in (result.get("meta") or {}).get("text", ()) if text in CAMERAS]
    return camera, Found(value["rectanglelabels"][0], (x1, y1, x2, y2), result.get("score"), (*noted, camera)[0])


def _merged(drawn: list[tuple[str, Found]]) -> list[Found]:
    """Return the objects of both images, those that are drawn on both once."""
    names = sorted({one.name for _, one in drawn})
    sides = {
        camera: np.array([(names.index(f.name), *f.box_xyxyn) for on, f in drawn if on == camera]).reshape(-1, 5)
        for camera in (VISIBLE, INFRARED)
    }
    notes = {one.box_xyxyn: one for _, one in drawn}
    merged = []
    for number, *box in union(sides[VISIBLE], sides[INFRARED]).tolist():
        merged.append(notes.get(tuple(box)) or Found(names[int(number)], tuple(box), None, BOTH))
    return merged
