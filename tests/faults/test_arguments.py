"""Arguments of a wrong type, out of their range, or at odds with one another; devices that are not there."""

from __future__ import annotations

from functools import partial

from tests.faults.catalogue import Area, Fault
from tests.faults.plants import described, written

TRAIN = "train data=data.yaml"
VAL = "val model=best.pt data=data.yaml"
PREDICT = "predict model=best.pt source=images/train"
TRACK = "track model=best.pt source=images/train"
EXPORT = "export model=best.pt"
BENCHMARK = "benchmark model=best.pt"
COMPARE = "compare data=data.yaml"

checked = partial(Fault, checked=True)  # found before a model is loaded

AREA = Area(
    "Arguments and devices",
    "`metafusion MODE help` lists the arguments of a mode.",
    [
        Fault("unknown mode", "trian data=data.yaml", "unknown mode 'trian', did you mean 'train'?", process=True),
        checked("unknown argument", f"{TRAIN} epoch=3", "unknown argument 'epoch' for 'train', did you mean 'epochs'?"),
        checked("argument without a value", f"{TRAIN} epochs=", "'epochs=' is incomplete, expected key=value"),
        checked("argument given twice", f"{TRAIN} data=other.yaml", "argument 'data' is given twice"),
        checked("argument missing", "train", "missing argument 'data' for 'train', expected data=..."),
        checked("bracket that is not closed", f"{PREDICT} classes=[0", "'classes=[0'…"),
        checked(
            "number that is none",
            f"{TRAIN} epochs=many",
            "'epochs=many'…",
        ),
        checked("no epochs", f"{TRAIN} epochs=0", "'epochs=0'…"),
        checked(
            "learning rate that is negative",
            f"{TRAIN} lr0=-1",
            "'lr0=-1'…",
        ),
        checked(
            "batch of zero, training",
            f"{TRAIN} batch=0",
            "'batch=0' must be a whole number of pairs, 1 or more, or -1 or a share of the GPU's memory such as 0.7",
        ),
        checked("batch of zero, validation", f"{VAL} batch=0", "'batch=0' must be a whole number of pairs, 1 or more"),
        checked(
            "batch of zero, prediction", f"{PREDICT} batch=0", "'batch=0' must be a whole number of pairs, 1 or more"
        ),
        checked("batch of zero, export", f"{EXPORT} batch=0", "'batch=0' must be a whole number of pairs, 1 or more"),
        checked(
            "image size of zero",
            f"{PREDICT} imgsz=0",
            "'imgsz=0' must be 1 pixel or more; it is rounded up to a multiple of 32",
        ),
        checked(
            "image size that is a word",
            f"{TRAIN} imgsz=large",
            "'imgsz=large' is invalid, expected a whole number or a list",
        ),
        Fault(
            "image size that is no multiple of 32",
            f"{PREDICT} imgsz=33",
            "WARNING imgsz=[33]…[64]",
            code=0,
        ),
        checked(
            "score above 1",
            f"{PREDICT} conf=2",
            "'conf=2'…",
        ),
        checked(
            "classes by their names",
            f"{PREDICT} classes=person",
            "'classes=person' must be class numbers, such as 0 or [0, 2]",
        ),
        Fault(
            "class that the model does not know",
            f"{PREDICT} classes=9",
            "'classes=9': there is no class 9, only 0 to 1",
        ),
        Fault(
            "class that the data set does not know",
            f"{TRAIN} classes=9",
            "'classes=9': there is no class 9, only 0 to 1",
        ),
        checked(
            "layers to freeze that are a word",
            f"{TRAIN} freeze=backbone",
            "'freeze=backbone' must be a number of layers, or a list",
        ),
        checked("cache that is a word", f"{TRAIN} cache=maybe", "'cache=maybe' must be True, False, ram or disk"),
        Fault(
            "optimizer that does not exist",
            f"{TRAIN} optimizer=Adan",
            "…'Adan'…",
            leaves=["labels/*.cache"],
        ),
        checked("hours below zero", f"{TRAIN} time=-1", "'time=-1' must be 0 or more"),
        checked(
            "other task",
            f"{TRAIN} task=track",
            "argument 'task' can only be detect, segment, … here, not 'track'",
        ),
        checked(
            "configuration that does not exist",
            f"{TRAIN} cfg=nowhere.yaml",
            "no file 'cfg=nowhere.yaml'; give a YAML of arguments, as 'yolo copy-cfg' writes one",
        ),
        checked(
            "GPU that is not there, training",
            f"{TRAIN} device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "GPU that is not there, validation",
            f"{VAL} device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "GPU that is not there, prediction",
            f"{PREDICT} device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "GPU that is not there, fusion",
            "fuse model=best.pt source=images/train device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "GPU that is not there, export",
            f"{EXPORT} device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "GPU that is not there, benchmark",
            f"{BENCHMARK} format=pt device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        Fault(
            "GPU that is not there, comparison",
            f"{COMPARE} device=7",
            "'device=7' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "device that is a word",
            f"{PREDICT} device=banana",
            "'device=banana' is not available: PyTorch sees …; give another one, or device=cpu",
        ),
        checked(
            "device of exports only",
            f"{PREDICT} device=tpu",
            "'device=tpu' is for exports only; give device=cpu, or the number of a GPU",
        ),
        checked(
            "view that does not exist",
            f"{PREDICT} view=both",
            "'view=both' is invalid, known: fused, infrared, panel, visible, weights",
        ),
        Fault(
            "slices of 5 pixels",
            f"{PREDICT} slice=5",
            "'slice=5' is invalid, expected at least 32, or 0: side of the slices of large images, pixels, for small "
            "objects; 0: none",
        ),
        Fault(
            "slices that are nothing but overlap",
            f"{PREDICT} slice=64 overlap=1",
            "'overlap=1' is invalid, expected at least 0 and below 1: share of a slice that overlaps its neighbour",
        ),
        Fault(
            "tolerance below zero",
            f"{PREDICT} sync_tolerance=-5",
            "'sync_tolerance=-5' is invalid, expected at least 0: largest time difference within a pair, milliseconds",
        ),
        Fault(
            "tracker that does not exist",
            f"{TRACK} tracker=nowhere.yaml",
            "no tracker 'nowhere.yaml'; give a YAML, or a name such as botsort.yaml; the trackers are "
            "botsort, bytetrack, deepocsort, fasttrack, ocsort, tracktrack",
        ),
        Fault(
            "tracker that is a data set",
            f"{TRACK} tracker=data.yaml",
            "'data.yaml' describes no tracker; expected 'tracker_type:' with one of botsort, "
            "bytetrack, deepocsort, fasttrack, ocsort, tracktrack",
        ),
        Fault(
            "tracker of an unknown type",
            f"{TRACK} tracker=mine.yaml",
            "'mine.yaml' describes no tracker; expected 'tracker_type:' with one of botsort, "
            "bytetrack, deepocsort, fasttrack, ocsort, tracktrack",
            written("mine.yaml", "tracker_type: eye\n"),
        ),
        checked(
            "cameras that do not exist",
            f"{VAL} modalities=visble",
            "'modalities=visble' is invalid, did you mean 'visible'?",
        ),
        Fault(
            "fusion metric that does not exist",
            f"{VAL} metrics=EN,SDD",
            "unknown fusion metric 'SDD', did you mean 'SD'?",
        ),
        Fault(
            "curves with a camera switched off",
            f"{VAL} curves=True modalities=visible",
            "curves switch each camera off themselves; leave out modalities=visible",
        ),
        Fault(
            "corruptions with a camera switched off",
            f"{VAL} corruptions=True modalities=infrared",
            "corruptions switch each camera off themselves; leave out modalities=infrared",
        ),
        Fault(
            "night below 999",
            f"{VAL} night_below=999",
            "'night_below=999' is invalid, expected at least 0 and at most 255: mean grey of a visible image, 0 to "
            "255, below which it counts as night unless a file says",
        ),
        Fault(
            "export format that is nearly right",
            f"{EXPORT} format=torchscrip",
            "WARNING …format='torchscrip'…format='torchscript'",
            code=0,
        ),
        Fault(
            "export format that does not exist",
            f"{EXPORT} format=pickle",
            "…format='pickle'…",
        ),
        Fault("export format that is a number", f"{EXPORT} format=5", "'format=5' must be a name, such as onnx"),
        Fault(
            "export format that needs a GPU",
            f"{EXPORT} format=engine",
            "format=engine needs an NVIDIA GPU, and PyTorch sees none; export onnx",
        ),
        Fault(
            "export format that is not installed",
            f"{EXPORT} format=saved_model",
            "this format needs the package 'tensorflow', which is not installed: pip install "
            "tensorflow, or set YOLO_AUTOINSTALL=1 to let Ultralytics install what it needs",
        ),
        Fault(
            "opset that does not exist", f"{EXPORT} format=onnx opset=99", "'opset=99' is unknown; give one from 9 to …"
        ),
        Fault(
            "weights without the fused image",
            f"{EXPORT} fusion_weights=True",
            "fusion_weights=True needs fused=True as well",
        ),
        Fault(
            "two inputs where there can be one",
            f"{EXPORT} format=ncnn inputs=two",
            "inputs=two is for torchscript, onnx, openvino; export 'ncnn' with inputs=one",
        ),
        Fault(
            "server format that is none",
            f"{EXPORT} format=torchscript triton=models",
            "triton= serves format=onnx and format=openvino, not 'torchscript'",
        ),
        checked(
            "precision that does not exist",
            f"{EXPORT} quantize=7",
            "'quantize=7'…",
        ),
        Fault(
            "benchmark of a format mistyped", f"{BENCHMARK} format=onx", "unknown format 'onx', did you mean 'onnx'?"
        ),
        Fault(
            "benchmark of a precision that does not exist",
            f"{BENCHMARK} format=onnx:12",
            "unknown precision '12' of 'onnx:12', expected 32, 16, 8, w8a16, w8a32",
        ),
        Fault(
            "fusion without a model",
            "fuse source=images/train",
            "method=learned needs model=; the methods that do not are average, maximum, laplacian",
        ),
        checked(
            "fusion method that does not exist",
            "fuse source=images/train method=magic",
            "'method=magic' is invalid, known: average, laplacian, learned, max, maximum",
        ),
        checked(
            "task of a mode that knows none",
            "pose metrics visible=a infrared=b fused=c",
            "'metrics' is the same for every task; leave 'pose' out",
        ),
        Fault(
            "comparison of another task than the model's",
            f"segment {COMPARE} model=metafusion-yolov8n.yaml",
            "'model=metafusion-yolov8n.yaml' is for the task 'detect', not 'segment'; give a model of that task",
        ),
        Fault(
            "comparison of one fold",
            f"{COMPARE} folds=1",
            "folds=1 leaves nothing to train with; give 2 or more, or 0 for the data set's own split",
        ),
        Fault(
            "comparison of more folds than there are scenes",
            f"{COMPARE} folds=9",
            "'data.yaml' has too few blocks of neighbouring frames for folds=9; give fewer, or 0 for its own split",
        ),
        Fault(
            "comparison at 8 pixels",
            f"{COMPARE} imgsz=8",
            "'imgsz=8' is invalid, expected at least 32: image size in pixels",
        ),
        Fault(
            "comparison of pairs paired wrongly",
            COMPARE,
            "'infrared: 5' in data.yaml is not a pairing rule; expected a folder name that replaces the "
            "last 'images' of a path, or 'visible part -> infrared part', with as many * in both",
            described(infrared=5),
        ),
        Fault(
            "demo of no epochs",
            "demo epochs=0",
            "'epochs=0' is invalid, expected at least 1: number of epochs to train for",
        ),
        Fault("demo at 8 pixels", "demo imgsz=8", "'imgsz=8' is invalid, expected at least 32: image size in pixels"),
        Fault(
            "metric of a fused image that does not exist",
            "metrics fused=images/train visible=images/train infrared=infrared/train metrics=XY",
            "unknown fusion metric 'XY', known: AG, CC, EN, FMI, MI, MS-SSIM, MSE, NMI, Nabf, PSNR, "
            "Qabf, SCD, SD, SF, SSIM, VIF, all, none",
        ),
    ],
)


def test_fault(fault, catch) -> None:
    catch(fault)
