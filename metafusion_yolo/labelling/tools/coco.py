"""COCO JSON, with the score and the camera of each box in `score` and `attributes`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metafusion_yolo.labelling.found import Found, Sheet


def write(folder: Path, sheets: Sequence[Sheet], names: Mapping[int, str]) -> Path:
    """Write `coco.json`; category numbers are those of the classes plus 1, as COCO counts from 1."""
    categories = {name: number + 1 for number, name in names.items()}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sheet in sheets:
        width, height = sheet.size
        files = {camera: str(getattr(sheet, camera).relative_to(folder)) for camera in ("visible", "infrared")}
        image = {"id": len(images) + 1, "file_name": f"{sheet.key}{sheet.visible.suffix}", **files}
        images.append({**image, "width": width, "height": height})
        for one in sheet.found:
            left, top, right, bottom = sheet.pixels(one)
            box = {"bbox": [left, top, round(right - left, 2), round(bottom - top, 2)], "iscrowd": 0}
            box |= {"area": round((right - left) * (bottom - top), 2), "segmentation": []}
            more = {"score": one.score, "attributes": {"shows_in": one.shows_in}}
            which = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": categories[one.name]}
            annotations.append(which | box | more)
    file = folder / "coco.json"
    listed = [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": listed}), encoding="utf-8")
    return file


def read(content: dict[str, Any]) -> dict[str, list[Found]]:
    """Return the objects of a COCO file by image."""
    names = {item["id"]: str(item["name"]) for item in content["categories"]}
    images = {item["id"]: item for item in content["images"]}
    found: dict[str, list[Found]] = {str(item["file_name"]): [] for item in content["images"]}
    for item in content["annotations"]:
        image = images[item["image_id"]]
        width, height = float(image["width"]), float(image["height"])
        left, top, across, down = map(float, item["bbox"])
        box = left / width, top / height, (left + across) / width, (top + down) / height
        shows = (item.get("attributes") or {}).get("shows_in", "")
        found[image["file_name"]].append(Found(names[item["category_id"]], box, item.get("score"), shows))
    return found
