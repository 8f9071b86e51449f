"""The modes of the `metafusion` command: what each does, its arguments, and what runs it. `cli` reads them."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from metafusion_yolo import options
from metafusion_yolo.cli import runs
from metafusion_yolo.options import REQUIRED, Option, options_of
from metafusion_yolo.options.scale import Cluster, Scale
from metafusion_yolo.options.serve import App, Serve

TASK = "detect"  # where none is said
TASKS = {
    TASK: "metafusion-yolov8n.yaml",
    "segment": "metafusion-yolov8n-seg.yaml",
    "pose": "metafusion-yolov8n-pose.yaml",
    "obb": "metafusion-yolov8n-obb.yaml",
    "classify": "metafusion-yolov8n-cls.yaml",
    "semantic": "metafusion-yolo26n-sem.yaml",
    "depth": "metafusion-yolo26n-depth.yaml",
}  # with the model where none is given; YOLOv8 has no head for the last two


@dataclass(frozen=True)
class Mode:
    """All there is to know about a mode; its arguments are the fields of the options it takes."""

    name: str  # the words that select it
    summary: str  # what it does, in a line
    run: Any  # does it, given the model's method, if any, and the arguments; without a model it may return an exit code
    concerns: tuple[type, ...]  # our arguments
    shown: str  # what the help shows of the host's; with any, the mode has a model and accepts all of them
    examples: tuple[str, ...]  # what one types behind the name
    first: str = ""  # argument that a first word without `=` is
    alone: bool = False  # runs without the host, which it imports itself where it needs it

    @cached_property
    def options(self) -> dict[str, Option]:
        """Our arguments by name."""
        return options_of(*self.concerns)

    @property
    def host(self) -> dict[str, str]:
        """What the help shows of the host's arguments, with defaults where they are not the host's."""
        return dict(re.findall(r"(\w+)=?(\S*)", self.shown))

    @property
    def required(self) -> list[str]:
        """Arguments that must be given."""
        defaults = {key: one.default for key, one in self.options.items()} | self.host
        return [key for key, default in defaults.items() if default == REQUIRED]


_ALL = (
    Mode(
        "train",
        "train the fusion front-end and the detector together",
        None,
        (options.Train, options.Learning),
        "model=metafusion-yolov8n.yaml data=required epochs imgsz batch device pretrained resume project name exist_ok",
        (
            "data=pairs.yaml pretrained=yolov8n.pt epochs=100",
            "data=photos/ pretrained=yolov8n.pt fusion_only=True",
            "resume=True model=runs/detect/train/weights/last.pt",
        ),
    ),
    Mode(
        "tune",
        "search for the best hyper-parameters, the front-end's among them, and write them to best_hyperparameters.yaml",
        runs.tune,
        (options.Tune, options.Learning),
        "model=metafusion-yolov8n.yaml data=required epochs imgsz batch device pretrained optimizer=AdamW name=tune",
        (
            "model=best.pt data=pairs.yaml epochs=30 iterations=100",
            "model=best.pt data=pairs.yaml space=\"{'lr0': (1e-5, 1e-2), 'fusion.gains.gradient': (1, 20)}\"",
        ),
    ),
    Mode(
        "val",
        "measure detection and fusion, by class and by day and night, and show the hardest misses",
        None,
        (options.Val,),
        "model=required data=model's split imgsz=model's batch device conf iou plots project name exist_ok",
        (
            "model=best.pt data=pairs.yaml modalities=visible",
            "model=best.pt data=pairs.yaml metrics=all curves=True",
        ),
    ),
    Mode(
        "predict",
        "detect on pairs, and draw what was found",
        runs.stream,
        (options.Source, options.OutputOptions, options.SlicingOptions, options.Resume, options.Sync, Scale),
        "model=required source=required data=model's conf iou imgsz=model's device classes save show project name",
        (
            "model=best.pt source=my-pairs/images/val",
            "model=best.pt source=day.jpg infrared=heat.png view=visible",
            "model=best.onnx source=pairs.parquet out=s3://found/today engine=ray workers=8",
        ),
    ),
    Mode(
        "track",
        "follow objects through a pair of videos or live cameras",
        runs.stream,
        (options.Source, options.Track, options.OutputOptions, options.SlicingOptions, options.Sync),
        "model=required source=required tracker conf=0.1 iou imgsz=model's device vid_stride save show project name",
        (
            "model=best.pt source=visible.mp4 infrared=infrared.mp4",
            "model=best.pt source=rtsp://door/visible infrared=rtsp://door/thermal on_missing=single",
        ),
    ),
    Mode(
        "export",
        "write front-end and detector as one ONNX, TorchScript, ... model",
        runs.export,
        (options.Export,),
        "model=required format=onnx imgsz=model's batch=1 device dynamic quantize simplify nms data=model's",
        (
            "model=best.pt format=onnx",
            "model=best.pt format=openvino quantize=8 data=pairs.yaml",
            "model=best.pt inputs=two fused=True triton=models",
        ),
    ),
    Mode(
        "fuse",
        "write fused images, without boxes, at the size of the visible ones",
        runs.fuse,
        (options.Source, options.Fuse, options.Resume, options.Sync, Cluster),
        "model=- source=required imgsz=model's device vid_stride project name=fuse exist_ok",
        (
            "model=best.pt source=my-pairs/images/val project=runs/fused",
            "method=laplacian source=visible.mp4 infrared=infrared.mp4",
        ),
    ),
    Mode(
        "metrics",
        "score fused images of any method against their sources, by sixteen metrics of fusion quality",
        runs.metrics,
        (options.Metrics,),
        "",
        (
            "fused=runs/detect/fuse visible=my-pairs/images/val infrared=my-pairs/infrared/val",
            "fused=theirs visible=tno/images infrared=tno/infrared metrics=EN,MI,SSIM,VIF",
        ),
    ),
    Mode(
        "benchmark",
        "compare size, accuracy and speed of the exports",
        None,
        (options.Benchmark,),
        "model=required data=model's imgsz=model's device project=runs name=benchmark exist_ok",
        ("model=best.pt data=pairs.yaml format=pt,onnx,onnx:16,openvino,openvino:8",),
    ),
    Mode(
        "compare",
        "train one camera, both by simple rules, and learned fusion alike; say what to use, and write report.html",
        runs.compare,
        (options.Compare,),
        "",
        (
            "data=pairs.yaml pretrained=yolov8n.pt",
            "data=pairs.yaml pretrained=yolov8n.pt budget=normal folds=4",
        ),
    ),
    Mode(
        "demo",
        "train, validate, predict and export on synthetic pairs, in minutes on a CPU",
        runs.demo,
        (options.Demo,),
        "",
        ("",),
    ),
    Mode(
        "app",
        "open a page in the browser: drag in a pair, see what is found and which camera showed it",
        runs.app,
        (App,),
        "",
        ("", "model=best.pt", "model=best.onnx port=8080 open=False", "cameras.yaml"),
        first="config",
        alone=True,
    ),
    Mode(
        "serve",
        "detect over HTTP, and watch pairs of cameras: rules, events, clips",
        runs.serve,
        (Serve,),
        "",
        (
            "model=best.pt",
            "cameras.yaml",
            "model=best.onnx data=rig.yaml host=0.0.0.0 token=a-long-word-of-your-own",
        ),
        first="config",
        alone=True,
    ),
    Mode(
        "data synth",
        "write a synthetic data set of complementary pairs",
        runs.synth,
        (options.Synth,),
        "",
        ("dst=datasets/synthetic train=400 val=100",),
    ),
    Mode(
        "data convert",
        "bring a published data set, or your own pairs, to the layout of this tool",
        runs.convert,
        (options.Convert,),
        "",
        (
            "format=llvip src=downloads/LLVIP dst=datasets/llvip",
            "format=drone-vehicle src=downloads/DroneVehicle dst=datasets/drone-vehicle boxes=oriented",
        ),
    ),
    Mode(
        "data init",
        "find the pairs of two folders of images, and write the YAML to train with; register cameras if they need it",
        runs.init,
        (options.Init,),
        "",
        (
            "visible=photos/rgb infrared=photos/thermal labels=photos/labels",
            "visible='DCIM/*_W.JPG' infrared='DCIM/*_T.JPG' by=times",
            "visible=both layout=horizontal",
        ),
    ),
    Mode(
        "data check",
        "find what is wrong with a data set of pairs, and write report.html; exit code 1 if it must be repaired",
        runs.check_data,
        (options.Check, Cluster),
        "",
        ("data=pairs.yaml", "visible=photos/rgb infrared=photos/thermal"),
    ),
    Mode(
        "data label",
        "label pairs by a detector, write tasks for people to correct it, and read back what they did",
        runs.label,
        (options.Label, Cluster),
        "",
        ("data=pairs.yaml model=yolov8n.pt tasks=cvat", "data=pairs.yaml corrected=annotations.xml"),
    ),
    Mode(
        "data register",
        "find where the infrared camera looks in the visible image, and write it into the data-set YAML",
        runs.register,
        (options.Register,),
        "",
        (
            "data=my-pairs.yaml",
            "data=my-pairs.yaml per=sequence dry_run=True",
            "data=my-pairs.yaml matrix='[[0.9, 0, 31], [0, 0.9, 18], [0, 0, 1]]'",
        ),
    ),
)
MODES = {mode.name: mode for mode in _ALL}
HOST_MEANINGS = {  # where the words of the host would mislead; "MODE ARGUMENT" for one mode
    "model": "checkpoint (.pt), export (.onnx, ...) or model YAML",
    "data": "data-set YAML: path, train, val, names, infrared, ...; for predict only its cameras count",
    "export data": "data set of pairs to calibrate INT8 on",
    "source": "visible side: image, folder, glob, .txt list, video, live camera; or pairs: .csv list",
    "imgsz": "image size in pixels",
    "format": "onnx, torchscript, openvino, engine, ...",
    "quantize": "precision in bits: 32, 16 or 8; LiteRT also w8a16 and w8a32",
}
