"""MSRS: segmentation masks to boxes, or its small subset that is labelled with boxes."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from metafusion_yolo.data.labels import LabelError
from metafusion_yolo.data.reading import open_image
from metafusion_yolo.prepare.convert import formats
from metafusion_yolo.prepare.convert.formats import Box, Format, Listing, Pair
from metafusion_yolo.prepare.convert.yolo import read_rows

LAYOUT = "{train,test}/{vi,ir,Segmentation_labels}, as MSRS is published, or vi, ir and labels of its folder detection,"
CLASSES = ("person", "bicycle", "car")  # its own boxes use the class numbers 0 and 2 of COCO
VALUES = {"car": 1, "person": 2, "bicycle": 3}  # of the masks; others are kerbs, car stops, guard rails, cones, bumps
SPECK = 20  # pixels; smaller regions are left out


def read_mask(file: Path) -> list[Box]:
    """Return a box and an outline for each 8-connected region of a class; objects of a class that touch get one box."""
    if not file.is_file():
        raise LabelError("mask is missing")
    try:
        with open_image(file) as image:
            mask = np.array(image)  # class numbers of a palette, which OpenCV would turn into colours
    except Exception as error:  # decoders raise errors of any type on broken files
        raise LabelError("mask that cannot be read") from error
    if mask.ndim != 2:
        raise LabelError("mask of colours instead of class numbers")
    boxes = []
    for name, value in VALUES.items():
        _, numbers, regions, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=8)
        for number, (x, y, w, h, area) in enumerate(regions[1:].tolist(), 1):  # the first is the background
            contours, _ = cv2.findContours(
                (numbers == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            outline = cv2.approxPolyDP(max(contours, key=len), 1, True).reshape(-1, 2).tolist()
            reason = f"region of less than {SPECK} pixels" if area < SPECK else ""
            boxes.append(Box(name, (x, y, x + w, y + h), reason, outline))
    return boxes


def read_msrs(src: Path) -> Listing:
    """List the pairs with masks by their published split, or those of the detection subset, which has no split."""
    if formats.find_folder(src, "train") is None and (labels := formats.find_folder(src, "labels")):
        pairs = []
        for name, vis, ir in formats.side_by_side(
            *(formats.require_folder(src, camera, layout=LAYOUT) for camera in ("vi", "ir"))
        ):
            read = partial(read_rows, labels / f"{name}.txt", vis, CLASSES)
            pairs.append(Pair("", name, vis, ir, {formats.SHARED: read}))
        return Listing(pairs, CLASSES)
    pairs = []
    for split in ("train", "test"):
        folder = formats.require_folder(src, split, layout=LAYOUT)
        visible, infrared, masks = (
            formats.require_folder(folder, name, layout=LAYOUT) for name in ("vi", "ir", "Segmentation_labels")
        )
        for name, vis, ir in formats.side_by_side(visible, infrared):
            pairs.append(Pair(split, name, vis, ir, {formats.SHARED: partial(read_mask, masks / f"{name}.png")}))
    notes = [
        "split: as published; the test split, about every fourth frame, validates: near duplicates are on both sides",
        "boxes: connected regions of the masks; objects that touch are one box",
    ]
    return Listing(pairs, CLASSES, notes)


MSRS = Format("msrs", "MSRS (Tang et al., 2022), github.com/Linfeng-Tang/MSRS", read_msrs, outlines="segments")
