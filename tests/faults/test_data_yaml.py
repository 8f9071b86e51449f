"""Data-set YAMLs that lack something, or say what cannot be."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import described, folder, removed, written

TRAIN = "train data=data.yaml"
CHECK = "data check data=data.yaml"
NAN = float("nan")


def text(content: str | bytes):
    return written("data.yaml", content)


AREA = Area(
    "Data-set YAMLs",
    "The keys are in [data](data.md). All commands that read such a file say the same; here it is `train`, mostly.",
    [
        Fault("file that does not exist", "train data=nowhere.yaml", "?"),
        Fault("file that does not exist, validation", "val model=best.pt data=nowhere.yaml", "?"),
        Fault("file that does not exist, comparison", "compare data=nowhere.yaml", "?"),
        Fault("file that does not exist, benchmark", "benchmark model=best.pt data=nowhere.yaml format=pt", "?"),
        Fault("file that does not exist, registration", "data register data=nowhere.yaml", "?"),
        Fault("file that does not exist, prediction", "predict model=best.pt source=images/train data=nowhere.yaml", "?"),
        Fault("file that does not exist, calibration", "export model=best.pt format=openvino quantize=8 data=nowhere.yaml", "?"),
        Fault("data set of the checkpoint gone", "val model=best.pt", "?", removed("data.yaml")),
        Fault("folder without a YAML", "train data=images", "?"),
        Fault("folder instead of a YAML, check", "data check data=images", "?"),
        Fault("folder under the name of a YAML", TRAIN, "?", folder("data.yaml")),
        Fault("checkpoint instead of a YAML", "data check data=best.pt", "?"),
        Fault("checkpoint instead of a YAML, prediction", "predict model=best.pt source=images/train data=best.pt", "?"),
        Fault("empty file", TRAIN, "?", text("")),
        Fault("list instead of keys", TRAIN, "?", text("- a\n- b\n")),
        Fault("words instead of keys", CHECK, "?", text("just words")),
        Fault("bracket that is not closed", TRAIN, "?", text("names: [a, b\n")),
        Fault("bytes that are not UTF-8", TRAIN, "?", text("names: [Straße]\n".encode("latin-1"))),
        Fault("tag that would run a command", TRAIN, "?", text("names: !!python/object/apply:os.system ['touch run']\n")),
        Fault("list that holds itself", TRAIN, "?", text("train: &a [*a]\nval: *a\nnames: [a]\n")),
        Fault("brackets five thousand deep", TRAIN, "?", text("names: " + "[" * 5000)),
        Fault("no train", TRAIN, "?", described(train=None)),
        Fault("no names", TRAIN, "?", described(names=None)),
        Fault("train that is a number", TRAIN, "?", described(train=5)),
        Fault("train that is an empty list", TRAIN, "?", described(train=[])),
        Fault("train that does not exist", TRAIN, "?", described(train="images/nowhere")),
        Fault("val that does not exist", TRAIN, "?", described(val="images/nowhere")),
        Fault("val that does not exist, check", CHECK, "?", described(val="images/nowhere")),
        Fault("path that does not exist", TRAIN, "?", described(path="nowhere")),
        Fault("split that is not there", "val model=best.pt data=data.yaml split=test", "?"),
        Fault("names and nc that differ", TRAIN, "?", described(nc=5)),
        Fault("names that are one word", TRAIN, "?", described(names="person")),
        Fault("names that are empty", TRAIN, "?", described(names=[])),
        Fault("names with a gap", TRAIN, "?", described(names={0: "person", 2: "car"})),
        Fault("names the wrong way round", TRAIN, "?", described(names={"person": 0, "car": 1})),
        Fault("nc that is no number", TRAIN, "?", described(names=None, nc="two")),
        Fault("nc of zero", TRAIN, "?", described(names=None, nc=0)),
        Fault("fewer names than the model has", "val model=best.pt data=data.yaml", "?", described(names=["person"])),
        Fault("more names than the model has", "val model=best.pt data=data.yaml", "?", described(names=["person", "car", "dog"]), code=0),
        Fault("pairing rule that is a number", TRAIN, "?", described(infrared=5)),
        Fault("pairing rule with a key mistyped", TRAIN, "?", described(infrared={"form": "a", "to": "b"})),
        Fault("pairing rule of half", CHECK, "?", described(infrared={"from": "a"})),
        Fault("infrared folder that does not exist", TRAIN, "?", described(infrared="nowhere")),
        Fault("thermal that is a word", TRAIN, "?", described(thermal="hot")),
        Fault("thermal with a key mistyped", TRAIN, "?", described(thermal={"normalise": "clahe"})),
        Fault("thermal with an unknown rule", TRAIN, "?", described(thermal={"normalize": "loud"})),
        Fault("thermal fixed without a range", TRAIN, "?", described(thermal={"normalize": "fixed"})),
        Fault("thermal range upside down", TRAIN, "?", described(thermal={"normalize": "fixed", "range": [9000, 7000]})),
        Fault("thermal range of NaN", TRAIN, "?", described(thermal={"normalize": "fixed", "range": [NAN, 1.0]})),
        Fault("thermal range of counts, images of 8 bits", TRAIN, "?", described(thermal={"normalize": "fixed", "range": [7000, 9000]})),
        Fault("registration of two rows", TRAIN, "?", described(registration={"matrix": [[1, 0, 0], [0, 1, 0]]})),
        Fault("registration of zeros", TRAIN, "?", described(registration={"matrix": [[0] * 3] * 3})),
        Fault("registration of NaN", TRAIN, "?", described(registration={"matrix": [[NAN] * 3] * 3})),
        Fault("registration with a key mistyped", TRAIN, "?", described(registration={"homografy": 1})),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
