"""Labelled pairs as the writers get them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from metafusion_yolo.labelling.found import Found, Sheet

NAMES = {0: "person", 1: 'car & "van"'}


@pytest.fixture
def sheets(tmp_path) -> list[Sheet]:
    """Three pairs in the folder of a run: two with objects, one without."""
    folder = tmp_path / "project" / "label"
    found = [
        Found("person", (0.125, 0.25, 0.5, 0.75), 0.9, "both"),
        Found('car & "van"', (0.5, 0.5, 1.0, 1.0), 0.6, "visible"),
        Found("person", (0.75, 0.0, 0.875, 0.25), 0.4, "infrared"),
    ]
    sheets = []
    for key, objects in (("images/day 1/0.a", found), ("images/day 2/0.a", found[:1]), ("images/night", [])):
        files = [folder / "pictures" / camera / f"{key}.jpg" for camera in ("visible", "infrared")]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.zeros((48, 64, 3), np.uint8))
        sheets.append(Sheet(key, *files, (64, 48), objects))
    return sheets


@pytest.fixture
def folder(sheets) -> Path:
    """The folder of the run."""
    return sheets[0].visible.parents[4]
