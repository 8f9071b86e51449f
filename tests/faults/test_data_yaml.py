"""Data-set YAMLs that lack something, or say what cannot be."""

from __future__ import annotations

from tests.faults.catalogue import ANY, Area, Fault
from tests.faults.plants import described, folder, removed, written

TRAIN = "train data=data.yaml"
CHECK = "data check data=data.yaml"
NAN = float("nan")


def text(content: str | bytes):
    return written("data.yaml", content)


AREA = Area(
    "Data-set YAMLs",
    "See [data](data.md).",
    [
        Fault(
            "file that does not exist",
            "train data=nowhere.yaml",
            "data set 'nowhere.yaml': the file does not exist; give the path of a data-set YAML",
        ),
        Fault(
            "file of the cameras that show an object, of other columns",
            "val model=best.pt data=data.yaml",
            f"'{ANY}shown_in.csv' cannot be used: expected rows file,box,class,shown_in, shown_in one of both, "
            "visible, infrared or empty; mend or remove it",
            written("shown_in.csv", "image,camera\n0.png,infrared\n"),
            leaves=["labels/val.cache"],
        ),
        Fault(
            "file that does not exist, validation",
            "val model=best.pt data=nowhere.yaml",
            "data set 'nowhere.yaml': the file does not exist; give the path of a data-set YAML",
        ),
        Fault(
            "file that does not exist, comparison",
            "compare data=nowhere.yaml",
            "data set 'nowhere.yaml': the file does not exist; give the path of a data-set YAML",
        ),
        Fault(
            "file that does not exist, benchmark",
            "benchmark model=best.pt data=nowhere.yaml format=pt",
            "data set 'nowhere.yaml': the file does not exist; give the path of a data-set YAML",
        ),
        Fault(
            "file that does not exist, registration",
            "data register data=nowhere.yaml",
            "no data-set YAML 'nowhere.yaml'; give a file with path, train, val and names",
        ),
        Fault(
            "file that does not exist, prediction",
            "predict model=best.pt source=images/train data=nowhere.yaml",
            "no data-set YAML 'nowhere.yaml'; give the path of an existing file",
        ),
        Fault(
            "file that does not exist, calibration",
            "export model=best.pt format=openvino quantize=8 data=nowhere.yaml",
            "INT8 calibrates on pairs, and 'nowhere.yaml' is not a data-set YAML; give one as data=",
        ),
        Fault(
            "data set of the checkpoint gone",
            "val model=best.pt",
            "'data' is missing and the checkpoint's own (data.yaml) is not here; give it as data=",
            removed("data.yaml"),
        ),
        Fault(
            "folder without a YAML",
            "train data=images",
            "data set 'images': a folder without a YAML; give the data-set YAML, or see fusion_only=True",
        ),
        Fault(
            "folder instead of a YAML, check",
            "data check data=images",
            "data=images is a folder; name the data-set YAML, such as images/data.yaml",
        ),
        Fault(
            "folder under the name of a YAML",
            TRAIN,
            "data set 'data.yaml': a folder without a YAML; give the data-set YAML, or see fusion_only=True",
            folder("data.yaml"),
        ),
        Fault("checkpoint instead of a YAML", "data check data=best.pt", "data set 'best.pt': …"),
        Fault(
            "checkpoint instead of a YAML, prediction",
            "predict model=best.pt source=images/train data=best.pt",
            "'best.pt' is not UTF-8; save it as text in UTF-8",
        ),
        Fault(
            "empty file",
            TRAIN,
            "data set 'data.yaml': 'data.yaml' does not map keys to values; is it the right file?",
            text(""),
        ),
        Fault(
            "list instead of keys",
            TRAIN,
            "data set 'data.yaml': 'data.yaml' does not map keys to values; is it the right file?",
            text("- a\n- b\n"),
        ),
        Fault(
            "words instead of keys",
            CHECK,
            "data set 'data.yaml': 'data.yaml' does not map keys to values; is it the right file?",
            text("just words"),
        ),
        Fault(
            "bracket that is not closed",
            TRAIN,
            "data set 'data.yaml': 'data.yaml' is not valid YAML (line 2: …); correct it",
            text("names: [a, b\n"),
        ),
        Fault(
            "bytes that are not UTF-8",
            TRAIN,
            "data set 'data.yaml': 'data.yaml' is not UTF-8; save it as text in UTF-8",
            text("names: [Straße]\n".encode("latin-1")),
        ),
        Fault(
            "tag that would run a command",
            TRAIN,
            "data set 'data.yaml': 'data.yaml' is not valid YAML (line 1: …); correct it",
            text("names: !!python/object/apply:os.system ['touch run']\n"),
        ),
        Fault(
            "list that holds itself",
            TRAIN,
            "data set 'data.yaml': 'train:' must be a folder or list file, or several of them",
            text("train: &a [*a]\nval: *a\nnames: [a]\n"),
        ),
        Fault(
            "brackets two thousand deep",
            TRAIN,
            "data set 'data.yaml': 'data.yaml' is not valid YAML (…); correct it",
            text("names: " + "[" * 2000),
        ),
        Fault(
            "no train",
            TRAIN,
            "data set 'data.yaml': …'train:'…",
            described(train=None),
        ),
        Fault(
            "no names",
            TRAIN,
            "data set 'data.yaml': …'names'…",
            described(names=None),
        ),
        Fault(
            "train that is a number",
            TRAIN,
            "data set 'data.yaml': data.yaml 'train' must be str or list, not int",
            described(train=5),
        ),
        Fault(
            "train that is an empty list",
            TRAIN,
            "data set 'data.yaml': 'train:' must be a folder or list file, or several of them",
            described(train=[]),
        ),
        Fault(
            "train that does not exist",
            TRAIN,
            "'images/nowhere' does not exist; give an image, a folder with images, a glob, a .txt "
            "list of images or a .csv list of pairs",
            described(train="images/nowhere"),
        ),
        Fault(
            "val that does not exist",
            TRAIN,
            "data set 'data.yaml': …'images/nowhere'; correct 'path:' or the split in it",
            described(val="images/nowhere"),
        ),
        Fault(
            "path that does not exist",
            TRAIN,
            "data set 'data.yaml': …/datasets/nowhere/images/val'; correct 'path:' or the split in it",
            described(path="nowhere"),
        ),
        Fault(
            "split that is not there",
            "val model=best.pt data=data.yaml split=test",
            "data set 'data.yaml': data.yaml 'test:' images not found; add it there, or name another split",
        ),
        Fault(
            "names and nc that differ",
            TRAIN,
            "data set 'data.yaml': data.yaml 'names' length 2 and 'nc: 5' must match.",
            described(nc=5),
        ),
        Fault(
            "names that are one word",
            TRAIN,
            "data set 'data.yaml': data.yaml 'names' must be list or dict, not str",
            described(names="person"),
        ),
        Fault(
            "names that are empty",
            TRAIN,
            "data set 'data.yaml': 'names:' must name every class from 0 on, as a list or by number",
            described(names=[]),
        ),
        Fault(
            "names with a gap",
            TRAIN,
            "data set 'data.yaml': 'names:' must name every class from 0 on, as a list or by number",
            described(names={0: "person", 2: "car"}),
        ),
        Fault(
            "names the wrong way round",
            TRAIN,
            "data set 'data.yaml': 'names:' must name every class from 0 on, as a list or by number",
            described(names={"person": 0, "car": 1}),
        ),
        Fault(
            "nc that is no number",
            TRAIN,
            "data set 'data.yaml': data.yaml 'nc: two' must be an integer.",
            described(names=None, nc="two"),
        ),
        Fault("nc of zero", TRAIN, "data set 'data.yaml': 'nc:' must be 1 or more, not 0", described(names=None, nc=0)),
        Fault(
            "fewer names than the model has",
            "val model=best.pt data=data.yaml",
            "no pair of 'images/val' has usable labels; for example 'labels/val/0.txt': …class 1…; "
            "metafusion data check lists all that is wrong",
            described(names=["person"]),
        ),
        Fault(
            "more names than the model has",
            "val model=best.pt data=data.yaml",
            "WARNING …nc=2…",
            described(names=["person", "car", "dog"]),
            code=0,
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
