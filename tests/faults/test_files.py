"""Image files that are missing, broken or odd."""

from __future__ import annotations

import numpy as np

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import all_of, array, bomb, cut, folder, link, picture, removed, renamed, written

PREDICT = "predict model=best.pt source=images/train"
FUSE = "fuse model=best.pt source=images/train"
TRAIN = "train data=data.yaml"
CHECK = "data check data=data.yaml"
ONE = ("runs/predict-2/0.jpg",)  # the pair before the wrong one, whole
ONE_FUSED = ("runs/fuse-2/0.png",)
VISIBLE, INFRARED = "images/train/1.png", "infrared/train/1.png"
FUSED = all_of(*(picture(f"fused/{i}.png", 48, 64, 3) for i in range(4)))
SCORE = "metrics fused=fused visible=images/train infrared=infrared/train"

AREA = Area(
    "Image files",
    "A pair that is wrong stops training before it starts; `predict` and `fuse` stop at it, or skip it where "
    "`on_error=skip` says so, and what was written before it is whole.",
    [
        Fault("infrared image missing, training", TRAIN, "?", removed(INFRARED)),
        Fault("infrared image missing, prediction", PREDICT, "?", removed(INFRARED)),
        Fault("infrared image missing, validation", "val model=best.pt data=data.yaml", "?", removed("infrared/val/1.png")),
        Fault("infrared image missing, registration", "data register data=data.yaml", "?", removed(INFRARED)),
        Fault("infrared image missing, comparison", "compare data=data.yaml", "?", removed(INFRARED)),
        Fault("infrared image missing, benchmark", "benchmark model=best.pt format=pt", "?", removed("infrared/val/1.png"), leaves=["runs/benchmark-2/**"]),
        Fault("infrared image missing, check", CHECK, "?", removed(INFRARED), code=1),
        Fault("visible image missing, training", TRAIN, "?", removed(VISIBLE)),
        Fault("all infrared images missing", TRAIN, "?", removed("infrared")),
        Fault("no visible images at all", TRAIN, "?", all_of(*(removed(f"images/train/{i}.png") for i in range(4)))),
        Fault("two infrared images for a visible one", PREDICT, "?", written("infrared/train/1.tif", "x")),
        Fault("empty file", PREDICT, "?", written(VISIBLE), leaves=ONE),
        Fault("truncated file, prediction", PREDICT, "?", cut(VISIBLE), leaves=ONE),
        Fault("truncated file, training", TRAIN, "?", cut(INFRARED)),
        Fault("truncated file, fusion", FUSE, "?", cut(INFRARED), leaves=ONE_FUSED),
        Fault("truncated file, check", CHECK, "?", cut(INFRARED), code=1),
        Fault("text under the name of an image", PREDICT, "?", written(VISIBLE, "no image"), leaves=ONE),
        Fault("PDF under the name of an image", TRAIN, "?", written(VISIBLE, b"%PDF-1.4 nothing")),
        Fault("all pairs broken, to be skipped", f"{PREDICT} on_error=skip", "?", all_of(*(written(f"images/train/{i}.png", "x") for i in range(4)))),
        Fault("one pair broken, to be skipped", f"{PREDICT} on_error=skip", "?", written(VISIBLE, "x"), code=0),
        Fault("head that promises 10 GB, prediction", PREDICT, "?", bomb(VISIBLE), leaves=ONE),
        Fault("head that promises 10 GB, training", TRAIN, "?", bomb(INFRARED)),
        Fault("head that promises 10 GB, check", CHECK, "?", bomb(VISIBLE), code=1),
        Fault("head that promises 10 GB, registration", "data register data=data.yaml", "?", bomb(INFRARED)),
        Fault("two images of different shape", PREDICT, "?", picture(INFRARED, 48, 48), leaves=ONE),
        Fault("pair of 1 x 1 pixels", PREDICT, "", all_of(picture(VISIBLE, 1, 1, 3), picture(INFRARED, 1, 1)), code=0),
        Fault("pair of 1 x 1 pixels, training", TRAIN, "", all_of(picture(VISIBLE, 1, 1, 3), picture(INFRARED, 1, 1)), code=0),
        Fault("constant infrared image", PREDICT, "?", picture(INFRARED, 48, 64), code=0),
        Fault("constant infrared image, check", CHECK, "?", picture(INFRARED, 48, 64), code=0),
        Fault("infrared array of NaN", PREDICT, "", array(np.full((48, 64), np.nan, np.float32)), code=0),
        Fault("infrared array of NaN, check", CHECK, "?", array(np.full((48, 64), np.nan, np.float32)), code=0),
        Fault("infrared array of three planes", PREDICT, "?", array(np.zeros((48, 64, 3))), leaves=ONE),
        Fault("infrared array of complex numbers", PREDICT, "?", array(np.zeros((48, 64), complex)), leaves=ONE),
        Fault("infrared array of Python objects", PREDICT, "?", array(np.array([{}], object)), leaves=ONE),
        Fault("folder where an image is expected, training", TRAIN, "?", folder(INFRARED)),
        Fault("folder where an image is expected, prediction", PREDICT, "?", folder(INFRARED), leaves=ONE),
        Fault("link to itself, visible", PREDICT, "?", link(VISIBLE, "1.png")),
        Fault("link to itself, infrared", PREDICT, "?", link(INFRARED, "1.png"), leaves=ONE),
        Fault("link that leads nowhere", TRAIN, "?", link(VISIBLE, "/nowhere/1.png")),
        Fault("folder that holds a link to what it lies in", PREDICT, "?", link("images/train/again", "../../images")),
        Fault("name that is not UTF-8, prediction", PREDICT, "", renamed(b"\xff"), code=0, process=True),
        Fault("name that is not UTF-8, training", TRAIN, "", renamed(b"\xff"), code=0),
        Fault("name that is not UTF-8, fusion", FUSE, "", renamed(b"\xff"), code=0),
        Fault("name that is not UTF-8, check", CHECK, "", renamed(b"\xff"), code=0),
        Fault("fused image without a source", SCORE, "?", all_of(FUSED, removed(INFRARED))),
        Fault("source of a fused image truncated", SCORE, "?", all_of(FUSED, cut(INFRARED)), leaves=["runs/metrics-2/metrics.csv"]),
        Fault("fused image of another size", SCORE, "?", all_of(FUSED, picture("fused/1.png", 8, 8, 3)), leaves=["runs/metrics-2/metrics.csv"]),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
