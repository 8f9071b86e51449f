"""Files of an odd kind: arrays, links, folders, names in another encoding, images of one pixel."""

from __future__ import annotations

import numpy as np

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import all_of, array, bomb, folder, link, picture, renamed

PREDICT = "predict model=best.pt source=images/train"
FUSE = "fuse model=best.pt source=images/train"
TRAIN = "train data=data.yaml"
CHECK = "data check data=data.yaml"
ONE = ("runs/predict-2/0.jpg",)  # the pair before the wrong one, whole
VISIBLE, INFRARED = "images/train/1.png", "infrared/train/1.png"

AREA = Area(
    "Odd files",
    "A camera that shows nothing counts as switched off.",
    [
        Fault(
            "head that promises 10 GB, prediction",
            PREDICT,
            "'images/train/1.png' cannot be read (…); restore the file or remove the pair",
            bomb(VISIBLE),
            leaves=ONE,
        ),
        Fault(
            "head that promises 10 GB, training",
            TRAIN,
            "1 problem in images/train:\n  'infrared/train/1.png' cannot be read (…); restore the "
            "file or remove the pair",
            bomb(INFRARED),
        ),
        Fault(
            "head that promises 10 GB, check",
            CHECK,
            "error    unreadable  1  file missing, empty, truncated or not an image: images/train/1.png "
            "(cannot be read (…); restore the file or remove the pair",
            bomb(VISIBLE),
            code=1,
        ),
        Fault(
            "head that promises 10 GB, registration",
            "data register data=data.yaml",
            "'infrared/train/1.png' cannot be read (…); restore the file or remove the pair",
            bomb(INFRARED),
        ),
        Fault(
            "pair of 1 x 1 pixels",
            PREDICT,
            "",
            all_of(picture(VISIBLE, 1, 1, 3), picture(INFRARED, 1, 1)),
            code=0,
            note="read as any other",
        ),
        Fault(
            "pair of 1 x 1 pixels, validation",
            "val model=best.pt data=data.yaml",
            "val: images/val/1.png: …(1, 1)…",
            all_of(picture("images/val/1.png", 1, 1, 3), picture("infrared/val/1.png", 1, 1)),
            code=0,
        ),
        Fault(
            "constant infrared image",
            PREDICT,
            "Results saved to runs/predict-2",
            picture(INFRARED, 48, 64),
            code=0,
            note="counts as switched off",
        ),
        Fault(
            "constant infrared image, check",
            CHECK,
            "warning  blank-image  1  image that shows nothing: infrared/train/1.png (standard "
            "deviation 0.0 of 255, mean 0); remove the pair unless the camera failed on purpose",
            picture(INFRARED, 48, 64),
            code=0,
        ),
        Fault(
            "infrared array of NaN",
            PREDICT,
            "",
            array(np.full((48, 64), np.nan, np.float32)),
            code=0,
            note="counts as switched off",
        ),
        Fault(
            "infrared array of NaN, check",
            CHECK,
            "warning  blank-image    1  image that shows nothing: infrared/train/1.npy (standard "
            "deviation 0.0 of 255, mean 0); remove the pair unless the camera failed on purpose",
            array(np.full((48, 64), np.nan, np.float32)),
            code=0,
        ),
        Fault(
            "infrared array of three planes",
            PREDICT,
            "'infrared/train/1.npy' holds an array (48, 64, 3); save one plane, (H, W), with numpy.save",
            array(np.zeros((48, 64, 3))),
            leaves=ONE,
        ),
        Fault(
            "infrared array of complex numbers",
            PREDICT,
            "'infrared/train/1.npy' holds no image; save an (H, W) array of numbers with numpy.save",
            array(np.zeros((48, 64), complex)),
            leaves=ONE,
        ),
        Fault(
            "infrared array of Python objects",
            PREDICT,
            "'infrared/train/1.npy' cannot be read (…); restore the file or remove the pair",
            array(np.array([{}], object)),
            leaves=ONE,
        ),
        Fault(
            "folder where an image is expected, training",
            TRAIN,
            "1 problem in images/train:\n  'infrared/train/1.png' is a folder, not an image; restore "
            "the file or take it off the list",
            folder(INFRARED),
        ),
        Fault(
            "folder where an image is expected, prediction",
            PREDICT,
            "'infrared/train/1.png' is a folder, not an image; restore the file or take it off the list",
            folder(INFRARED),
            leaves=ONE,
        ),
        Fault(
            "link to itself, visible",
            PREDICT,
            "the link 'images/train/1.png' is broken; restore its target, or remove it",
            link(VISIBLE, "1.png"),
        ),
        Fault(
            "link to itself, infrared",
            PREDICT,
            "'infrared/train/1.png' is a link that leads nowhere; restore the file or take it off the list",
            link(INFRARED, "1.png"),
            leaves=ONE,
        ),
        Fault(
            "link that leads nowhere",
            TRAIN,
            "the link 'images/train/1.png' is broken; restore its target, or remove it",
            link(VISIBLE, "/nowhere/1.png"),
        ),
        Fault(
            "folder that holds a link to what it lies in",
            PREDICT,
            "2 problems in source='images/train':\n  no infrared image for "
            "'images/train/again/val/0.png': looked for 'infrared/train/again/val/0.*'; add the "
            "file, or set 'infrared:' in the data-set YAML (at predict: infrared=)\n  no infrared "
            "image for 'images/train/again/val/1.png': looked for 'infrared/train/again/val/1.*'; "
            "add the file, or set 'infrared:' in the data-set YAML (at predict: infrared=)",
            link("images/train/again", "../../images"),
        ),
        Fault(
            "name that is not UTF-8, prediction",
            PREDICT,
            "",
            renamed(b"\xff"),
            code=0,
            note="all pairs are used",
            process=True,
        ),
        Fault("name that is not UTF-8, training", TRAIN, "", renamed(b"\xff"), code=0, note="all pairs are used"),
        Fault("name that is not UTF-8, fusion", FUSE, "", renamed(b"\xff"), code=0, note="all pairs are used"),
        Fault(
            "name that is not UTF-8, check",
            CHECK,
            "",
            renamed(b"\xff"),
            code=0,
            note="its bytes are escaped in the report",
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
