"""DroneVehicle: oriented polygons in XML, both cameras labelled, images with a white border."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from metafusion_yolo.prepare.convert.formats import (
    TEST,
    TRAIN,
    VAL,
    Format,
    Listing,
    Pair,
    find_folder,
    require_folder,
    side_by_side,
)
from metafusion_yolo.prepare.convert.voc import read_xml

LAYOUT = "train/{trainimg,trainimgr,trainlabel,trainlabelr}, and val and test likewise, as DroneVehicle is published,"
CLASSES = ("car", "truck", "bus", "van", "freight car")
ALIASES = {"feright car": "freight car", "feright": "freight car", "truvk": "truck"}  # they do occur
BORDER = (840, 712, 100)


def read_drone_vehicle(src: Path) -> Listing:
    """List the splits that are there: visible and infrared images, and labels of each."""
    pairs = []
    for split in (TRAIN, VAL, TEST):
        if split != TRAIN and find_folder(src, split) is None:
            continue
        folder = require_folder(src, split, layout=LAYOUT)
        images, infrared, labels, infrared_labels = (
            require_folder(folder, f"{split}{kind}", layout=LAYOUT) for kind in ("img", "imgr", "label", "labelr")
        )
        for name, vis, ir in side_by_side(images, infrared):
            readers = {
                "visible": partial(read_xml, labels / f"{name}.xml"),
                "infrared": partial(read_xml, infrared_labels / f"{name}.xml"),
            }
            pairs.append(Pair(split, name, vis, ir, readers))
    return Listing(pairs, CLASSES, ["split: as published", "boxes: axis-aligned, of the published polygons"])


DRONE_VEHICLE = Format(
    "drone-vehicle",
    "DroneVehicle (Sun et al., 2022), github.com/VisDrone/DroneVehicle",
    read_drone_vehicle,
    ALIASES,
    labels="infrared",
    border=BORDER,
)
