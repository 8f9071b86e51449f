"""Image files that are missing, broken or odd."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import all_of, cut, picture, removed, written

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
    "Training stops before it starts; `predict` and `fuse` stop at the pair, or skip it with `on_error=skip`.",
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
            "no format could be measured; pt failed: 1 problem in images/val: no infrared image for "
            "'images/val/1.png': looked for 'infrared/val/1.*'; add the file, or set 'infrared:' in "
            "the data-set YAML (at predict: infrared=)",
            removed("infrared/val/1.png"),
            leaves=["runs/benchmark-2/*"],
        ),
        Fault(
            "infrared image missing, check",
            CHECK,
            "error    missing-partner  1  visible image without an infrared one: images/train/1.png "
            "(looked for 'infrared/train/1.*'); add the infrared image or remove this one",
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
            "1 problem in images/train:\n  no partner for 4 of 4 images, for example 'images/train/0.png': "
            "looked for 'infrared/train/0.*'; add the files, or set 'infrared:' in the data-set YAML (at "
            "predict: infrared=); a CSV of pairs works too",
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
            "error    unreadable  1  file missing, empty, truncated or not an image: "
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
            note="it is named, the others are there",
        ),
        Fault(
            "two images of different shape",
            PREDICT,
            "'images/train/1.png' and 'infrared/train/1.png' have different sizes (64x48 and 48x48) "
            "and shapes; register them (metafusion data register), or crop them to the same view",
            picture(INFRARED, 48, 48),
            leaves=ONE,
        ),
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
