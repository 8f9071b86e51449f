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
        Fault(
            "infrared image missing, training",
            TRAIN,
            "1 problem in images/train:\n  no infrared image for 'images/train/1.png': looked for "
            "'infrared/train/1.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)",
            removed(INFRARED),
        ),
        Fault(
            "infrared image missing, prediction",
            PREDICT,
            "1 problem in source='images/train':\n  no infrared image for 'images/train/1.png': "
            "looked for 'infrared/train/1.*'; add the file, or set 'infrared:' in the data-set YAML "
            "(at predict: infrared=)",
            removed(INFRARED),
            process=True,
        ),
        Fault(
            "infrared image missing, validation",
            "val model=best.pt data=data.yaml",
            "1 problem in images/val:\n  no infrared image for 'images/val/1.png': looked for "
            "'infrared/val/1.*'; add the file, or set 'infrared:' in the data-set YAML (at predict: "
            "infrared=)",
            removed("infrared/val/1.png"),
        ),
        Fault(
            "infrared image missing, registration",
            "data register data=data.yaml",
            "1 problem in data.yaml:\n  no infrared image for 'images/train/1.png': looked for "
            "'infrared/train/1.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)",
            removed(INFRARED),
        ),
        Fault(
            "infrared image missing, comparison",
            "compare data=data.yaml",
            "1 problem in data.yaml:\n  no infrared image for 'images/train/1.png': looked for "
            "'infrared/train/1.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)",
            removed(INFRARED),
        ),
        Fault(
            "infrared image missing, benchmark",
            "benchmark model=best.pt format=pt",
            "no format could be measured; pt: 1 problem in images/val: no infrared image for "
            "'images/val/1.png': looked for 'infrared/val/1.*'; add the file, or set 'infrared:' in "
            "the da",
            removed("infrared/val/1.png"),
            leaves=["runs/benchmark-2/**"],
        ),
        Fault(
            "infrared image missing, check",
            CHECK,
            "error    missing-partner  1  visible image without an infrared one: images/train/1.png; "
            "add the infrared image or remove this one",
            removed(INFRARED),
            code=1,
        ),
        Fault(
            "visible image missing, training",
            TRAIN,
            "1 problem in images/train:\n  no visible image for 'infrared/train/1.png': looked in "
            "'images/train'; add the visible image or remove this one",
            removed(VISIBLE),
        ),
        Fault(
            "all infrared images missing",
            TRAIN,
            "4 problems in images/train:\n  no infrared image for 'images/train/0.png': looked for "
            "'infrared/train/0.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)\n  no infrared image for 'images/train/1.png': looked for "
            "'infrared/train/1.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)\n  no infrared image for 'images/train/2.png': looked for "
            "'infrared/train/2.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)\n  no infrared image for 'images/train/3.png': looked for "
            "'infrared/train/3.*'; add the file, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=)",
            removed("infrared"),
        ),
        Fault(
            "no visible images at all",
            TRAIN,
            "no images in 'images/train'; give an image, a folder with images, a glob, a .txt list "
            "of images or a .csv list of pairs",
            all_of(*(removed(f"images/train/{i}.png") for i in range(4))),
        ),
        Fault(
            "two infrared images for a visible one",
            PREDICT,
            "1 problem in source='images/train':\n  ambiguous infrared image for "
            "'images/train/1.png': '1.png', '1.tif' in 'infrared/train'; keep one of them",
            written("infrared/train/1.tif", "x"),
        ),
        Fault(
            "empty file",
            PREDICT,
            "'images/train/1.png' is empty (0 bytes); restore the file or remove the pair",
            written(VISIBLE),
            leaves=ONE,
        ),
        Fault(
            "truncated file, prediction",
            PREDICT,
            "'images/train/1.png' cannot be read (…); restore the file or remove the pair",
            cut(VISIBLE),
            leaves=ONE,
        ),
        Fault(
            "truncated file, training",
            TRAIN,
            "1 problem in images/train:\n  'infrared/train/1.png' cannot be read (…); restore the "
            "file or remove the pair",
            cut(INFRARED),
        ),
        Fault(
            "truncated file, fusion",
            FUSE,
            "'infrared/train/1.png' cannot be read (…); restore the file or remove the pair",
            cut(INFRARED),
            leaves=ONE_FUSED,
        ),
        Fault(
            "truncated file, check",
            CHECK,
            "error    unreadable  1  file missing, empty, truncated or no image: "
            "infrared/train/1.png (cannot be read (…); restore the file or remove the pair",
            cut(INFRARED),
            code=1,
        ),
        Fault(
            "text under the name of an image",
            PREDICT,
            "'images/train/1.png' cannot be read (…); restore the file or remove the pair",
            written(VISIBLE, "no image"),
            leaves=ONE,
        ),
        Fault(
            "PDF under the name of an image",
            TRAIN,
            "1 problem in images/train:\n  'images/train/1.png' cannot be read (…); restore the file "
            "or remove the pair",
            written(VISIBLE, b"%PDF-1.4 nothing"),
        ),
        Fault(
            "all pairs broken, to be skipped",
            f"{PREDICT} on_error=skip",
            "none of 4 pairs can be read:\n  'images/train/0.png' cannot be read (…); restore the "
            "file or remove the pair\n  'images/train/1.png' cannot be read (…); restore the file or "
            "remove the pair\n  'images/train/2.png' cannot be read (…); restore the file or remove "
            "the pair\n  'images/train/3.png' cannot be read (…); restore the file or remove the pair",
            all_of(*(written(f"images/train/{i}.png", "x") for i in range(4))),
        ),
        Fault(
            "one pair broken, to be skipped",
            f"{PREDICT} on_error=skip",
            "WARNING 1 of 4 pairs skipped:",
            written(VISIBLE, "x"),
            code=0,
        ),
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
            "error    unreadable  1  file missing, empty, truncated or no image: images/train/1.png "
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
            "two images of different shape",
            PREDICT,
            "'images/train/1.png' and 'infrared/train/1.png' have different sizes (64x48 and 48x48) "
            "and shapes; register them (metafusion data register), or crop them to the same view",
            picture(INFRARED, 48, 48),
            leaves=ONE,
        ),
        Fault("pair of 1 x 1 pixels", PREDICT, "", all_of(picture(VISIBLE, 1, 1, 3), picture(INFRARED, 1, 1)), code=0),
        Fault(
            "pair of 1 x 1 pixels, training",
            TRAIN,
            "",
            all_of(picture(VISIBLE, 1, 1, 3), picture(INFRARED, 1, 1)),
            code=0,
        ),
        Fault("constant infrared image", PREDICT, "Results saved to runs/predict-2", picture(INFRARED, 48, 64), code=0),
        Fault(
            "constant infrared image, check",
            CHECK,
            "warning  blank-image  1  image that shows nothing: infrared/train/1.png (standard "
            "deviation 0.0 of 255, mean 0); remove the pair unless the camera failed on purpose",
            picture(INFRARED, 48, 64),
            code=0,
        ),
        Fault("infrared array of NaN", PREDICT, "", array(np.full((48, 64), np.nan, np.float32)), code=0),
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
            "'infrared/train/1.npy' holds an array (48, 64, 3); save one plane, (H, W), by numpy.save",
            array(np.zeros((48, 64, 3))),
            leaves=ONE,
        ),
        Fault(
            "infrared array of complex numbers",
            PREDICT,
            "'infrared/train/1.npy' holds no image; save an (H, W) array of numbers by numpy.save",
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
            "the link 'images/train/1.png' leads nowhere; restore what it points to, or remove it",
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
            "the link 'images/train/1.png' leads nowhere; restore what it points to, or remove it",
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
        Fault("name that is not UTF-8, prediction", PREDICT, "", renamed(b"\xff"), code=0, process=True),
        Fault("name that is not UTF-8, training", TRAIN, "", renamed(b"\xff"), code=0),
        Fault("name that is not UTF-8, fusion", FUSE, "", renamed(b"\xff"), code=0),
        Fault("name that is not UTF-8, check", CHECK, "", renamed(b"\xff"), code=0),
        Fault(
            "fused image without a source",
            SCORE,
            "1 problem in fused='fused':\n  no image in 'infrared/train' for 'fused/1.png'; add it, "
            "or remove the other",
            all_of(FUSED, removed(INFRARED)),
        ),
        Fault(
            "source of a fused image truncated",
            SCORE,
            "'infrared/train/1.png' cannot be read as an image; restore the file or remove the pair",
            all_of(FUSED, cut(INFRARED)),
            leaves=["runs/metrics-2/metrics.csv"],
        ),
        Fault(
            "fused image of another size",
            SCORE,
            "'fused/1.png' is 8x8 and 'images/train/1.png' 64x48; score images of one size",
            all_of(FUSED, picture("fused/1.png", 8, 8, 3)),
            leaves=["runs/metrics-2/metrics.csv"],
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
