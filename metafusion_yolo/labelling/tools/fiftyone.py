"""FiftyOne: a grouped data set of slices `visible` and `infrared`, with the boxes on both."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from metafusion_yolo.labelling.found import INFRARED, VISIBLE, Found, Sheet

FIELD = "objects"


def write(folder: Path, sheets: Sequence[Sheet], names: Mapping[int, str]) -> Path:
    """Write `fiftyone/`, a folder for `fiftyone.Dataset.from_dir` with the type `FiftyOneDataset`.

    Returns:
        The folder.
    """
    root = folder / "fiftyone"
    root.mkdir(exist_ok=True)
    samples = [_sample(root, sheet, camera) for sheet in sheets for camera in (VISIBLE, INFRARED)]
    described = {"name": folder.name, "media_type": "group", "default_classes": [*names.values()]}
    (root / "metadata.json").write_text(json.dumps(described), encoding="utf-8")
    (root / "samples.json").write_text(json.dumps({"samples": samples}), encoding="utf-8")
    return root


def _sample(root: Path, sheet: Sheet, camera: str) -> dict[str, Any]:
    detections = []
    for one in sheet.found:
        left, top, right, bottom = one.box_xyxyn
        box = {"bounding_box": [left, top, right - left, bottom - top], "confidence": one.score}
        detections.append({"_cls": "Detection", "label": one.name, "shows_in": one.shows_in, **box})
    group = {"_cls": "Group", "_id": {"$oid": sha256(sheet.key.encode()).hexdigest()[:24]}, "name": camera}
    return {
        "filepath": os.path.relpath(getattr(sheet, camera), root),
        "tags": [],
        "pair": sheet.key,
        "group": group,
        FIELD: {"_cls": "Detections", "detections": detections},
    }


def read(content: dict[str, Any]) -> dict[str, list[Found]]:
    """Return the objects of an export (`samples.json`) by pair: those of the slice `visible`."""
    found: dict[str, list[Found]] = {}
    for sample in content["samples"]:
        if (sample.get("group") or {}).get("name", VISIBLE) != VISIBLE:
            continue
        objects = found.setdefault(str(sample.get("pair") or sample["filepath"]), [])
        for item in (sample.get(FIELD) or {}).get("detections", ()):
            left, top, across, down = map(float, item["bounding_box"])
            box = left, top, left + across, top + down
            objects.append(Found(item["label"], box, item.get("confidence"), item.get("shows_in") or ""))
    return found
