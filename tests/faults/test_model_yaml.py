"""Model YAMLs and their `fusion:` section."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import folder, modelled, written

TRAIN = "train data=data.yaml model=mine.yaml"

AREA = Area(
    "Model YAMLs",
    "`mine.yaml` is the shipped `metafusion-yolov8.yaml` with one mistake.",
    [
        Fault("file that does not exist", "train data=data.yaml model=metafusion-yolo8n.yaml", "?"),
        Fault("scale that does not exist", "train data=data.yaml model=metafusion-yolov8q.yaml", "?"),
        Fault("YAML of the stock detector", "train data=data.yaml model=yolov8n.yaml", "?"),
        Fault("data-set YAML instead", "train data=data.yaml model=data.yaml", "?"),
        Fault("folder under the name of a YAML", TRAIN, "?", folder("mine.yaml")),
        Fault("empty file", TRAIN, "?", written("mine.yaml")),
        Fault("bracket that is not closed", TRAIN, "?", written("mine.yaml", "fusion: [")),
        Fault("bytes that are not UTF-8", TRAIN, "?", written("mine.yaml", b"\xff\xfe\x00")),
        Fault("tag that would run a command", TRAIN, "?", written("mine.yaml", "fusion: !!python/object/apply:os.system ['touch run']\n")),
        Fault("mapping that holds itself", TRAIN, "?", written("mine.yaml", "detector: yolov8.yaml\nfusion: &a\n  gains: *a\n")),
        Fault("unknown key", TRAIN, "?", modelled(bogus=1)),
        Fault("detector that does not exist", TRAIN, "?", modelled(detector="nowhere.yaml")),
        Fault("detector that is no detector", TRAIN, "?", modelled(detector="yolov8-seg.yaml")),
        Fault("detector that is the file itself", TRAIN, "?", modelled(detector="mine.yaml")),
        Fault("detector that is a number", TRAIN, "?", modelled(detector=5)),
        Fault("scale that is unknown", TRAIN, "?", modelled(scale="q")),
        Fault("nc that is a word", TRAIN, "?", modelled(nc="two")),
        Fault("nc of zero", TRAIN, "?", modelled(nc=0)),
        Fault("backbone without layers", TRAIN, "?", modelled(backbone=[])),
        Fault("fusion that is a word", TRAIN, "?", modelled("fast")),
        Fault("fusion with a key mistyped", TRAIN, "?", modelled({"chanels": 32})),
        Fault("fusion with channels in quotes", TRAIN, "?", modelled({"channels": "32"})),
        Fault("fusion with odd channels", TRAIN, "?", modelled({"channels": 31})),
        Fault("fusion with heads that do not fit", TRAIN, "?", modelled({"heads": 5})),
        Fault("fusion with an unknown method", TRAIN, "?", modelled({"method": "avrage"})),
        Fault("fusion with a start of 1.5", TRAIN, "?", modelled({"start": 1.5})),
        Fault("gain that is negative", TRAIN, "?", modelled({"gains": {"ssim": -1}})),
        Fault("gain that is NaN", TRAIN, "?", modelled({"gains": {"ssim": float("nan")}})),
        Fault("gain that is a word", TRAIN, "?", modelled({"gains": {"ssim": "big"}})),
        Fault("gains that are a list", TRAIN, "?", modelled({"gains": [1, 2]})),
        Fault("meta-features of an unknown level", TRAIN, "?", modelled({"meta": {"levels": [8]}})),
        Fault("augmentation out of its range", TRAIN, "?", modelled({"augment": {"modality_dropout": 2}})),
        Fault("schedule that does not add up", TRAIN, "?", modelled({"schedule": {"warmup": {"fraction": 0.5}}})),
        Fault("schedule with a phase twice as long as all", TRAIN, "?", modelled({"schedule": {"joint": {"fraction": 2}}})),
        Fault("schedule in which nothing learns", TRAIN, "?", modelled({"schedule": {"joint": {"lr": {"fusion": 0, "backbone": 0, "head": 0}}}})),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
