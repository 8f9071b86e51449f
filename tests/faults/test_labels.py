"""Label files."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import all_of, folder, labelled, removed

VAL = "val model=best.pt data=data.yaml"
TRAIN = "train data=data.yaml"
CHECK = "data check data=data.yaml"
UNKNOWN = all_of(*(labelled("5 0.5 0.5 0.1 0.1\n", f"train/{i}") for i in range(4)))
SPLIT = "compare data=data.yaml folds=2"

AREA = Area(
    "Labels",
    "As in Ultralytics, training leaves out a pair whose label file is wrong, and says so.",
    [
        Fault(
            "coordinate above 1, validation",
            VAL,
            "val: images/val/1.png: …[1.5]",
            labelled("0 1.5 0.5 0.1 0.1\n", "val/1"),
            code=0,
        ),
        Fault(
            "coordinate above 1, check",
            CHECK,
            "error    label-out-of-range  1  box coordinates outside 0 to 1: labels/train/1.txt "
            "(line 1: x, y, width, height = 1.5, 0.5, 0.1, 0.1); divide pixels by the width and "
            "height",
            labelled("0 1.5 0.5 0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "pixels instead of shares, check",
            CHECK,
            "error    label-out-of-range  1  box coordinates outside 0 to 1: labels/train/1.txt "
            "(line 1: x, y, width, height = 32, 20, 12, 18); divide pixels by the width and height",
            labelled("0 32 20 12 18\n"),
            code=1,
        ),
        Fault(
            "images of a classifier that lie in no folder of a class",
            "classify train data=data.yaml imgsz=32",
            "'images/train/0.png' of 'images/train' is in the folder 'train', which is not one of the classes "
            "'person', 'car'; the folder of an image is its class, so sort the images into folders of these names",
        ),
        Fault(
            "corners of an oriented box in a wrong order, check",
            CHECK,
            "warning  label-crosses  1  polygon or oriented box that crosses itself: labels/train/1.txt (line 1: "
            "polygon of 4 points); order its points around the object",
            labelled("0 0.1 0.1 0.5 0.5 0.5 0.1 0.1 0.5\n"),
            code=0,
        ),
        Fault(
            "NaN",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt (line 1 "
            "has no whole class and finite numbers: '0 nan 0.5 0.1 0.1'); write a line 'class x y "
            "width height' for each box",
            labelled("0 nan 0.5 0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "infinity",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt (line 1 "
            "has no whole class and finite numbers: '0 0.5 0.5 0.1 inf'); write a line 'class x y "
            "width height' for each box",
            labelled("0 0.5 0.5 0.1 inf\n"),
            code=1,
        ),
        Fault(
            "negative class",
            CHECK,
            "error    label-unknown-class  1  class that the YAML does not name: labels/train/1.txt "
            "(line 1: class -1, expected 0 to 1); correct the class, or add it under 'names:'",
            labelled("-1 0.5 0.5 0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "class that the YAML does not name, validation",
            VAL,
            "val: images/val/1.png: …class 2…",
            labelled("2 0.5 0.5 0.1 0.1\n", "val/1"),
            code=0,
        ),
        Fault(
            "class that the YAML does not name, check",
            CHECK,
            "error    label-unknown-class  1  class that the YAML does not name: labels/train/1.txt "
            "(line 1: class 2, expected 0 to 1); correct the class, or add it under 'names:'",
            labelled("2 0.5 0.5 0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "class with a fraction",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt (line 1 "
            "has no whole class and finite numbers: '0.5 0.5 0.5 0.1 0.1'); write a line 'class x y "
            "width height' for each box",
            labelled("0.5 0.5 0.5 0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "class by its name",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt (line 1 "
            "is not made of numbers: 'person 0.5 0.5 0.1 0.1'); write a line 'class x y width "
            "height' for each box",
            labelled("person 0.5 0.5 0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "too few columns",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt (line 1 "
            "has 3 columns; expected 'class x y width height', or a polygon); write a line 'class x "
            "y width height' for each box",
            labelled("0 0.5 0.5\n"),
            code=1,
        ),
        Fault(
            "commas between the columns",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt (line 1 "
            "has 1 columns; expected 'class x y width height', or a polygon); write a line 'class x "
            "y width height' for each box",
            labelled("0,0.5,0.5,0.1,0.1\n"),
            code=1,
        ),
        Fault(
            "bytes that are not UTF-8",
            CHECK,
            "error    label-malformed  1  label file that cannot be read: labels/train/1.txt "
            "(not UTF-8 text (at byte 0)); write a line "
            "'class x y width height' for each box",
            labelled(b"\xff\xfe\x00"),
            code=1,
        ),
        Fault(
            "negative width",
            CHECK,
            "error    label-degenerate  1  box without width or height: labels/train/1.txt (line 1: "
            "width -0.1, height 0.1); correct or remove the box",
            labelled("0 0.5 0.5 -0.1 0.1\n"),
            code=1,
        ),
        Fault(
            "width and height of zero",
            CHECK,
            "error    label-degenerate  1  box without width or height: labels/train/1.txt (line 1: "
            "width 0, height 0); correct or remove the box",
            labelled("0 0.5 0.5 0 0\n"),
            code=1,
        ),
        Fault(
            "two boxes of a class in one place, validation",
            VAL,
            "val: images/val/1.png: …duplicate…",
            labelled("0 0.5 0.5 0.1 0.1\n" * 2, "val/1"),
            code=0,
        ),
        Fault(
            "two boxes of a class in one place, check",
            CHECK,
            "warning  label-duplicate  1  two boxes of a class in one place: labels/train/1.txt "
            "(line 2: class 0 has this box already); remove one of them",
            labelled("0 0.5 0.5 0.1 0.1\n" * 2),
            code=0,
        ),
        Fault(
            "empty label file",
            VAL,
            "",
            labelled("", "val/1"),
            code=0,
            note="counts as background",
        ),
        Fault("no label file", VAL, "", removed("labels/val/1.txt"), code=0, note="counts as background"),
        Fault(
            "no label file, check",
            CHECK,
            "warning  label-missing  1  image without a label file: images/train/1.png "
            "(labels/train/1.txt); label it, or write an empty file if it shows nothing",
            removed("labels/train/1.txt"),
            code=0,
        ),
        Fault(
            "folder in the place of a label file, check",
            CHECK,
            "warning  label-missing  1  image without a label file: images/train/1.png "
            "(labels/train/1.txt); label it, or write an empty file if it shows nothing",
            folder("labels/train/1.txt"),
            code=0,
        ),
        Fault(
            "no label file at all, training",
            TRAIN,
            "no labels for 'images/train': looked for 'labels/train/0.txt' and others; put them "
            "there, or train without labels with fusion_only=True",
            removed("labels/train"),
        ),
        Fault(
            "no label file at all, validation",
            "val model=best.pt data=data.yaml",
            "WARNING …labels/val.cache…",
            removed("labels/val"),
            code=0,
            note="the fusion is measured, the detection is not",
        ),
        Fault(
            "no label file at all, comparison",
            "compare data=data.yaml",
            "no labels for 'train:' of 'data.yaml'; a comparison of detectors needs labelled pairs",
            removed("labels/train"),
        ),
        Fault(
            "no label that can be used, training",
            TRAIN,
            "no pair of 'images/train' has usable labels; for example 'labels/train/0.txt': …class 5…; "
            "metafusion data check lists all that is wrong",
            UNKNOWN,
        ),
        Fault(
            "label file that cannot be dealt into folds",
            SPLIT,
            "'labels/train/1.txt' holds no labels (…); metafusion data check lists all such files",
            labelled("person 0.5 0.5 0.1 0.1\n"),
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
