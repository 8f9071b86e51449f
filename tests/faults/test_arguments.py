"""Arguments of a wrong type, out of their range, or at odds with one another; devices that are not there."""

from __future__ import annotations

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import described, written

TRAIN = "train data=data.yaml"
VAL = "val model=best.pt data=data.yaml"
PREDICT = "predict model=best.pt source=images/train"
TRACK = "track model=best.pt source=images/train"
EXPORT = "export model=best.pt"
BENCHMARK = "benchmark model=best.pt"
COMPARE = "compare data=data.yaml"

AREA = Area(
    "Arguments and devices",
    "`metafusion MODE help` lists the arguments of a mode.",
    [
        Fault("unknown mode", "trian data=data.yaml", "?"),
        Fault("unknown argument", f"{TRAIN} epoch=3", "?"),
        Fault("argument without a value", f"{TRAIN} epochs=", "?"),
        Fault("argument given twice", f"{TRAIN} data=other.yaml", "?"),
        Fault("argument missing", "train", "?"),
        Fault("bracket that is not closed", f"{PREDICT} classes=[0", "?"),
        Fault("number that is none", f"{TRAIN} epochs=many", "?"),
        Fault("no epochs", f"{TRAIN} epochs=0", "?"),
        Fault("learning rate that is negative", f"{TRAIN} lr0=-1", "?"),
        Fault("batch of zero, training", f"{TRAIN} batch=0", "?"),
        Fault("batch of zero, validation", f"{VAL} batch=0", "?"),
        Fault("batch of zero, prediction", f"{PREDICT} batch=0", "?"),
        Fault("batch of zero, export", f"{EXPORT} batch=0", "?"),
        Fault("image size of zero", f"{PREDICT} imgsz=0", "?"),
        Fault("image size that is a word", f"{TRAIN} imgsz=large", "?"),
        Fault("image size that is no multiple of 32", f"{PREDICT} imgsz=33", "?", code=0),
        Fault("score above 1", f"{PREDICT} conf=2", "?"),
        Fault("classes by their names", f"{PREDICT} classes=person", "?"),
        Fault("class that the model does not know", f"{PREDICT} classes=9", "?"),
        Fault("class that the data set does not know", f"{TRAIN} classes=9", "?"),
        Fault("layers to freeze that are a word", f"{TRAIN} freeze=backbone", "?"),
        Fault("cache that is a word", f"{TRAIN} cache=maybe", "?"),
        Fault("optimizer that does not exist", f"{TRAIN} optimizer=Adan", "?", leaves=["labels/*.cache"]),
        Fault("hours below zero", f"{TRAIN} time=-1", "?"),
        Fault("other task", f"{TRAIN} task=segment", "?"),
        Fault("configuration that does not exist", f"{TRAIN} cfg=nowhere.yaml", "?"),
        Fault("GPU that is not there, training", f"{TRAIN} device=7", "?"),
        Fault("GPU that is not there, validation", f"{VAL} device=7", "?"),
        Fault("GPU that is not there, prediction", f"{PREDICT} device=7", "?"),
        Fault("GPU that is not there, fusion", "fuse model=best.pt source=images/train device=7", "?"),
        Fault("GPU that is not there, export", f"{EXPORT} device=7", "?"),
        Fault("GPU that is not there, benchmark", f"{BENCHMARK} format=pt device=7", "?"),
        Fault("GPU that is not there, comparison", f"{COMPARE} device=7", "?"),
        Fault("device that is a word", f"{PREDICT} device=banana", "?"),
        Fault("device of exports only", f"{PREDICT} device=tpu", "?"),
        Fault("view that does not exist", f"{PREDICT} view=both", "?"),
        Fault("slices of 5 pixels", f"{PREDICT} slice=5", "?"),
        Fault("slices that are nothing but overlap", f"{PREDICT} slice=64 overlap=1", "?"),
        Fault("tolerance below zero", f"{PREDICT} sync_tolerance=-5", "?"),
        Fault("tracker that does not exist", f"{TRACK} tracker=nowhere.yaml", "?"),
        Fault("tracker that is a data set", f"{TRACK} tracker=data.yaml", "?"),
        Fault("tracker of an unknown type", f"{TRACK} tracker=mine.yaml", "?", written("mine.yaml", "tracker_type: eye\n")),
        Fault("cameras that do not exist", f"{VAL} modalities=visble", "?"),
        Fault("fusion metric that does not exist", f"{VAL} metrics=EN,SDD", "?"),
        Fault("curves with a camera switched off", f"{VAL} curves=True modalities=visible", "?"),
        Fault("night below 999", f"{VAL} night_below=999", "?"),
        Fault("export format that is nearly right", f"{EXPORT} format=torchscrip", "?", code=0),
        Fault("export format that does not exist", f"{EXPORT} format=pickle", "?"),
        Fault("export format that is a number", f"{EXPORT} format=5", "?"),
        Fault("export format that needs a GPU", f"{EXPORT} format=engine", "?"),
        Fault("export format that is not installed", f"{EXPORT} format=saved_model", "?"),
        Fault("opset that does not exist", f"{EXPORT} format=onnx opset=99", "?"),
        Fault("weights without the fused image", f"{EXPORT} fusion_weights=True", "?"),
        Fault("two inputs where there can be one", f"{EXPORT} format=ncnn inputs=two", "?"),
        Fault("server format that is none", f"{EXPORT} format=torchscript triton=models", "?"),
        Fault("precision that does not exist", f"{EXPORT} quantize=7", "?"),
        Fault("benchmark of a format mistyped", f"{BENCHMARK} format=onx", "?"),
        Fault("benchmark of a precision that does not exist", f"{BENCHMARK} format=onnx:12", "?"),
        Fault("fusion without a model", "fuse source=images/train", "?"),
        Fault("fusion method that does not exist", "fuse source=images/train method=magic", "?"),
        Fault("comparison of one fold", f"{COMPARE} folds=1", "?"),
        Fault("comparison of more folds than there are scenes", f"{COMPARE} folds=9", "?"),
        Fault("comparison at 8 pixels", f"{COMPARE} imgsz=8", "?"),
        Fault("comparison of pairs paired wrongly", COMPARE, "?", described(infrared=5)),
        Fault("demo of no epochs", "demo epochs=0", "?"),
        Fault("demo at 8 pixels", "demo imgsz=8", "?"),
        Fault("metric of a fused image that does not exist", "metrics fused=images/train visible=images/train infrared=infrared/train metrics=XY", "?"),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
