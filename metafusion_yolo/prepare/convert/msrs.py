"""MSRS: masks of all pixels to boxes, or its small subset that is labelled with boxes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.data.reading import open_image
from metafusion_yolo.prepare.convert.formats import (
    SHARED,
    TEST,
    TRAIN,
    Box,
    Format,
    Listing,
    Pair,
    find_folder,
    require_folder,
    side_by_side,
)
from metafusion_yolo.prepare.convert.yolo import read_rows

LAYOUT = "{train,test}/{vi,ir,Segmentation_labels}, as MSRS is published, or vi, ir and labels of its folder detection,"
CLASSES = ("person", "bicycle", "car")  # the numbers that its own boxes have, 0 and 2, are those of COCO
VALUES = {"car": 1, "person": 2, "bicycle": 3}  # of the masks; the rest are kerbs, car stops, guard rails, cones, bumps
SPECK = 20  # pixels


def read_mask(file: Path) -> list[Box]:
    """Return a box for each connected region of a class, neighbours over a corner included.

    Objects of one class that touch are one region, hence one box.

    Raises:
        LabelError: If the mask is missing, cannot be read or is no mask of class numbers.
    """
    if not file.is_file():
        raise LabelError("mask is missing")
    try:
        with open_image(file) as image:
            mask = np.array(image)  # a palette keeps its numbers, which OpenCV would turn into colours
    except Exception as error:  # decoders raise whatever they like on broken files
        raise LabelError("mask that cannot be read") from error
    if mask.ndim != 2:
        raise LabelError("mask of colours instead of class numbers")
    boxes = []
    for name, value in VALUES.items():
        _, _, regions, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=8)
        for x, y, w, h, area in regions[1:].tolist():  # the first is the background
            boxes.append(Box(name, (x, y, x + w, y + h), f"region of less than {SPECK} pixels" if area < SPECK else ""))
    return boxes


def read_msrs(src: Path) -> Listing:
    """List the pairs with masks by their published split, or those of the detection subset, which has none."""
    if find_folder(src, TRAIN) is None and (labels := find_folder(src, "labels")):
        pairs = []
        for name, vis, ir in side_by_side(*(require_folder(src, camera, layout=LAYOUT) for camera in ("vi", "ir"))):
            read = partial(read_rows, labels / f"{name}.txt", vis, CLASSES)
            pairs.append(Pair("", name, vis, ir, {SHARED: read}))
        return Listing(pairs, CLASSES)
    pairs = []
    for split in (TRAIN, TEST):
        folder = require_folder(src, split, layout=LAYOUT)
        visible, infrared, masks = (
            require_folder(folder, name, layout=LAYOUT) for name in ("vi", "ir", "Segmentation_labels")
        )
        for name, vis, ir in side_by_side(visible, infrared):
            pairs.append(Pair(split, name, vis, ir, {SHARED: partial(read_mask, masks / f"{name}.png")}))
    notes = [
        "split: as published; the test split, about every fourth frame, validates: near duplicates are on both sides",
        "boxes: connected regions of the masks; objects that touch are one box",
    ]
    return Listing(pairs, CLASSES, notes)


MSRS = Format("msrs", "MSRS (Tang et al., 2022), github.com/Linfeng-Tang/MSRS", read_msrs)
