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
    "As the host does, training leaves out a pair whose label file is wrong and says so in a line; `metafusion data "
    "check` calls it an error and ends in exit code 1. Where nothing is left, training does not start.",
    [
        Fault("coordinate above 1, validation", VAL, "?", labelled("0 1.5 0.5 0.1 0.1\n", "val/1"), code=0),
        Fault("coordinate above 1, check", CHECK, "?", labelled("0 1.5 0.5 0.1 0.1\n"), code=1),
        Fault("pixels instead of shares, check", CHECK, "?", labelled("0 32 20 12 18\n"), code=1),
        Fault("NaN", CHECK, "?", labelled("0 nan 0.5 0.1 0.1\n"), code=1),
        Fault("infinity", CHECK, "?", labelled("0 0.5 0.5 0.1 inf\n"), code=1),
        Fault("negative class", CHECK, "?", labelled("-1 0.5 0.5 0.1 0.1\n"), code=1),
        Fault("class that the YAML does not name, validation", VAL, "?", labelled("2 0.5 0.5 0.1 0.1\n", "val/1"), code=0),
        Fault("class that the YAML does not name, check", CHECK, "?", labelled("2 0.5 0.5 0.1 0.1\n"), code=1),
        Fault("class with a fraction", CHECK, "?", labelled("0.5 0.5 0.5 0.1 0.1\n"), code=1),
        Fault("class by its name", CHECK, "?", labelled("person 0.5 0.5 0.1 0.1\n"), code=1),
        Fault("too few columns", CHECK, "?", labelled("0 0.5 0.5\n"), code=1),
        Fault("commas between the columns", CHECK, "?", labelled("0,0.5,0.5,0.1,0.1\n"), code=1),
        Fault("bytes that are not UTF-8", CHECK, "?", labelled(b"\xff\xfe\x00"), code=1),
        Fault("negative width", CHECK, "?", labelled("0 0.5 0.5 -0.1 0.1\n"), code=1),
        Fault("width and height of zero", CHECK, "?", labelled("0 0.5 0.5 0 0\n"), code=1),
        Fault("two boxes of a class in one place, validation", VAL, "?", labelled("0 0.5 0.5 0.1 0.1\n" * 2, "val/1"), code=0),
        Fault("two boxes of a class in one place, check", CHECK, "?", labelled("0 0.5 0.5 0.1 0.1\n" * 2), code=0),
        Fault("empty label file", VAL, "", labelled("", "val/1"), code=0),
        Fault("no label file", VAL, "", removed("labels/val/1.txt"), code=0),
        Fault("no label file, check", CHECK, "?", removed("labels/train/1.txt"), code=0),
        Fault("folder in the place of a label file, check", CHECK, "?", folder("labels/train/1.txt"), code=0),
        Fault("no label file at all, training", TRAIN, "?", removed("labels/train")),
        Fault("no label file at all, validation", "val model=best.pt data=data.yaml", "?", removed("labels/val"), code=0),
        Fault("no label file at all, comparison", "compare data=data.yaml", "?", removed("labels/train")),
        Fault("no label that can be used, training", TRAIN, "?", UNKNOWN),
        Fault("label file that cannot be dealt into folds", SPLIT, "?", labelled("person 0.5 0.5 0.1 0.1\n")),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
