"""`metafusion data label` and training on what it labels."""

from __future__ import annotations

import json

from tests.faults.catalogue import ANY, Area, Fault
from tests.faults.plants import all_of, removed, written

LABEL = "data label data=data.yaml"
EXPORTS = (
    "annotations.xml of CVAT for images 1.1, or its zip, JSON of Label Studio, samples.json of FiftyOne, COCO JSON"
)
TRAIN = "train model=best.pt data=data.yaml"


def cvat(image: str, name: str) -> str:
    """Return an export of CVAT with one box in one image."""
    box = f'<box label="{name}" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    return f'<annotations><image name="{image}" width="64" height="48">{box}</image></annotations>'


AREA = Area(
    "Labelling",
    "See [labels](labels.md).",
    [
        Fault(
            "labelling by nobody",
            LABEL,
            "give either model=, a detector that labels, or corrected=, the labels that people corrected",
        ),
        Fault(
            "labelling of nothing",
            "data label model=best.pt",
            "give data=, a data-set YAML, or the two folders, visible= and infrared=",
        ),
        Fault(
            "labelling of one folder",
            "data label model=best.pt visible=images/train",
            "give data=, a data-set YAML, or the two folders, visible= and infrared=",
        ),
        Fault(
            "labelling of a data set that is not there",
            "data label data=nowhere.yaml model=best.pt",
            "data set 'nowhere.yaml': the file does not exist; give the path of a data-set YAML",
        ),
        Fault(
            "labelling of a split that the data set does not have",
            f"{LABEL} model=best.pt split=unlabelled",
            "'data.yaml' names no images under unlabelled:",
        ),
        Fault(
            "tasks for an unknown tool",
            f"{LABEL} model=best.pt tasks=cvta",
            "'tasks=cvta': unknown tool 'cvta', did you mean 'cvat'?",
        ),
        Fault(
            "labelling of a class that the data set does not have",
            f"{LABEL} model=best.pt overwrite=True classes=person,cat",
            "'classes=person,cat': cannot label 'cat', did you mean 'car'?",
        ),
        Fault(
            "labelling by a detector without any of the classes",
            f"{LABEL} model=best.pt overwrite=True",
            "the model knows 'person', 'car', the data set has 'ship', 'buoy', 'dog': no class in common; rename those "
            "in 'names:'",
            written("data.yaml", "train: images/train\nval: images/val\nnames: [ship, buoy, dog]\n"),
        ),
        Fault(
            "labelling of pairs that people have labelled",
            f"{LABEL} model=best.pt",
            "6 pairs keep the labels that people gave them; overwrite=True replaces these too",
            code=0,
            note="their labels stay",
        ),
        Fault(
            "corrections that are not there",
            f"{LABEL} corrected=nowhere.xml",
            f"no export 'nowhere.xml'; give corrected= {EXPORTS}",
        ),
        Fault(
            "corrections that are no export",
            f"{LABEL} corrected=export.json",
            f"'export.json' cannot be read as an export (KeyError: 'categories'); give {EXPORTS}",
            written("export.json", "{}"),
        ),
        Fault(
            "corrections that are cut off",
            f"{LABEL} corrected=export.xml",
            f"'export.xml' cannot be read as an export (ParseError: {ANY}); give {EXPORTS}",
            written("export.xml", cvat("0.png", "car")[:-20]),
        ),
        Fault(
            "corrections of other images",
            f"{LABEL} corrected=export.xml",
            "image 'images/train/9.png' of 'export.xml' is not a pair of the data set; give the data set that it "
            "was made from as data=",
            written("export.xml", cvat("images/train/9.png", "car")),
        ),
        Fault(
            "corrections whose image could be any of several",
            f"{LABEL} corrected=export.xml",
            "image '0.png' of 'export.xml' could be any of 2 pairs; give the data set that it was made from as data=",
            written("export.xml", cvat("0.png", "car")),
        ),
        Fault(
            "corrections with a class that the data set does not have",
            f"{LABEL} corrected=export.xml overwrite=True",
            "class 'dog' is not among the data set's 'person', 'car'; add it to 'names:' in the YAML",
            written("export.xml", cvat("images/train/0.png", "dog")),
        ),
        Fault(
            "corrections of labels by people",
            f"{LABEL} corrected=export.json",
            "1 pairs keep the labels that people gave them; overwrite=True replaces these too",
            written(
                "export.json",
                json.dumps(
                    {
                        "images": [{"id": 1, "file_name": "images/train/0.png", "width": 64, "height": 48}],
                        "annotations": [],
                        "categories": [],
                    }
                ),
            ),
            code=0,
            note="their labels stay",
        ),
        Fault(
            "corrections of two folders",
            "data label visible=images/train infrared=infrared/train corrected=export.xml",
            "corrected= needs the class numbers of the labels: give data=, a YAML with 'names:'",
        ),
        Fault(
            "training on pairs without labels that the data set does not name",
            f"{TRAIN} unlabelled=self",
            "'data.yaml' names no pairs without labels; add 'unlabelled:', their folder, to it",
        ),
        Fault(
            "pairs without labels that are a number",
            f"{TRAIN} unlabelled=self",
            "data set 'data.yaml': 'unlabelled:' must be a folder or list file, or several of them, not 5",
            written("data.yaml", "train: images/train\nval: images/val\nunlabelled: 5\nnames: [person, car]\n"),
        ),
        Fault(
            "pairs without labels that are those to validate with",
            f"{TRAIN} unlabelled=best.pt",
            "every pair of 'unlabelled:' in 'data.yaml' is in another split too; name others there",
            written(
                "data.yaml", "train: images/train\nval: images/val\nunlabelled: images/val\nnames: [person, car]\n"
            ),
        ),
        Fault(
            "training on pairs without labels that no detector labels",
            f"{TRAIN} unlabelled=nowhere.pt",
            "no checkpoint 'nowhere.pt'; give the path of one, such as yolov8n.pt",
            written(
                "data.yaml", "train: images/train\nval: images/val\nunlabelled: images/val\nnames: [person, car]\n"
            ),
        ),
        Fault(
            "training of the front-end alone on labels of a detector",
            f"{TRAIN} unlabelled=self fusion_only=True",
            "'fusion_only=True' and 'unlabelled=self': no label is read; leave one out",
        ),
        Fault(
            "training on pairs in which nothing is found",
            f"{TRAIN} unlabelled=best.pt",
            "nothing was found in 2 pairs of 'unlabelled:' in 'data.yaml'; try another model",
            all_of(
                written(
                    "data.yaml",
                    "train: images/train\nval: images/train\nunlabelled: images/val\nnames: [person, car]\n",
                ),
                removed("labels/val"),
            ),
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
