"""The modes of the `metafusion` command: what each does, its arguments, and what runs it. `cli` reads them.

A new mode is a block of `TABLE`, a run function if the model's method does not do it all, and the meaning of its
arguments. What runs is imported where it is used, so that the help needs no PyTorch.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from metafusion_yolo.support.errors import UserValueError


@dataclass(frozen=True)
class Mode:
    """All there is to know about a mode, as it stands in `TABLE`, which drives parsing, checks and help."""

    name: str  # the words that select it
    summary: str  # what it does, in a line
    run: Any  # does it, given the model's method, if any, and the arguments; without a model it may return an exit code
    ours: dict[str, str]  # our arguments and their defaults
    host: dict[str, str]  # what the help shows of the host's; with any, the mode has a model and accepts all of them
    required: list[str]  # arguments that must be given
    examples: list[str]  # what one types behind the name


def say(text: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(f"{text}\n")


def _stream(method: Callable[..., Any], /, **args: Any) -> None:
    deque(method(**{"save": True, **args, "stream": True}), maxlen=0)  # memory must not grow with the source


def _export(method: Callable[..., Any], /, **args: Any) -> None:
    path = method(**{"format": "onnx", **args})
    if args.get("triton"):
        say(f"\nServe it: tritonserver --model-repository={shlex.quote(args['triton'])}")
    say(f"\nUse it:  metafusion predict model={shlex.quote(str(path))} source=...")


def _fuse(fuse_images: Callable[..., Any], /, **args: Any) -> None:
    files = Counter((path.parent, path.suffix) for path in fuse_images(**args))
    if not files:
        raise UserValueError(f"nothing to fuse in '{args['source']}'")
    kinds = {".png": "image", ".mp4": "video"}
    for (folder, suffix), count in files.items():
        say(f"{count} fused {kinds[suffix]}{'s' * (count > 1)} in {folder}")


def _demo(**args: Any) -> None:
    from metafusion_yolo.cli.demo import run_demo

    run_demo(**args)


def _synth(dst: str, **args: Any) -> None:
    from metafusion_yolo.prepare.synthetic import write_dataset

    path = write_dataset(root=dst, **args)
    say(f"Data set:  {path}")
    say(f"Train:     metafusion train data={shlex.quote(str(path))} imgsz={args.get('imgsz', 640)} epochs=50")


def _convert(**args: Any) -> None:
    from metafusion_yolo.prepare.convert import convert

    report = convert(**args)
    say(f"{report}\n\nData set:  {report.yaml}")
    say(f"Train:     metafusion train data={shlex.quote(str(report.yaml))} epochs=50")


def _check_data(**args: Any) -> int:
    from metafusion_yolo.prepare.check import run_check

    report, path = run_check(**args)
    say(f"{report.summary()}\nReport: {path}")
    return 1 if report.errors else 0


def _compare(**args: Any) -> None:
    from metafusion_yolo.compare import run_compare

    verdict, page = run_compare(**args)
    say(f"\n{verdict.sentence}\n{verdict.rule}\nReport: {page}")


def _register(**args: Any) -> None:
    from metafusion_yolo.prepare.register import register_dataset

    register_dataset(**args)


def _metrics(metrics: str | None = None, **args: Any) -> None:
    from metafusion_yolo.evaluation.scoring import score_folders, table

    names = None if metrics in (None, "all") else [name.strip() for name in metrics.split(",")]
    figures, file = score_folders(**args, metrics=names)
    count = next(iter(figures.values())).images
    say(f"{table(figures)}\n\nMean ± standard deviation over {count} pairs; a row for each in {file}")


RUNS = {"predict": _stream, "track": _stream, "export": _export, "fuse": _fuse, "demo": _demo, "metrics": _metrics}
RUNS |= {
    "compare": _compare,
    "data synth": _synth,
    "data convert": _convert,
    "data check": _check_data,
    "data register": _register,
}
SYNC = "sync=frame sync_tolerance=50.0 sync_offset=0.0 on_missing=error reconnect=30.0"
TABLE = f"""
train: train the fusion front-end and the detector together
  ours  fusion_only=False
  host  model=metafusion-yolov8n.yaml data=required epochs imgsz batch device pretrained resume project name exist_ok
  e.g.  data=pairs.yaml pretrained=yolov8n.pt epochs=100
  e.g.  data=photos/ pretrained=yolov8n.pt fusion_only=True
  e.g.  resume=True model=runs/detect/train/weights/last.pt
val: measure detection and fusion, by class and by day and night, and show the hardest misses
  ours  modalities=both metrics=EN,SD,SF,AG,SCD,Qabf curves=False night_below=80
  host  model=required data=model's split imgsz=model's batch device conf iou plots project name exist_ok
  e.g.  model=best.pt data=pairs.yaml modalities=visible
  e.g.  model=best.pt data=pairs.yaml metrics=all curves=True
predict: detect on pairs, and draw what was found
  ours  infrared=- layout=- on_error=stop view=fused save_fused=False save_weights=False save_json=False save_csv=False
  ours  slice=0 overlap=0.2 resume=False {SYNC}
  host  model=required source=required data=model's conf iou imgsz=model's device classes save show project name
  e.g.  model=best.pt source=my-pairs/images/val
  e.g.  model=best.pt source=day.jpg infrared=heat.png view=visible
track: follow objects through a pair of videos or live cameras
  ours  infrared=- layout=- on_error=stop view=fused save_fused=False save_weights=False save_json=False save_csv=False
  ours  slice=0 overlap=0.2 {SYNC}
  host  model=required source=required tracker conf=0.1 iou imgsz=model's device vid_stride save show project name
  e.g.  model=best.pt source=visible.mp4 infrared=infrared.mp4
  e.g.  model=best.pt source=rtsp://door/visible infrared=rtsp://door/thermal on_missing=single
export: write front-end and detector as one ONNX, TorchScript, ... model
  ours  inputs=one fused=False fusion_weights=False triton=-
  host  model=required format=onnx imgsz=model's batch=1 device dynamic quantize simplify nms data=model's
  e.g.  model=best.pt format=onnx
  e.g.  model=best.pt format=openvino quantize=8 data=pairs.yaml
  e.g.  model=best.pt inputs=two fused=True triton=models
fuse: write fused images, without boxes, at the size of the visible ones
  ours  infrared=- layout=- on_error=stop method=learned resume=False {SYNC}
  host  model=- source=required imgsz=model's device vid_stride project name=fuse exist_ok
  e.g.  model=best.pt source=my-pairs/images/val project=runs/fused
  e.g.  method=laplacian source=visible.mp4 infrared=infrared.mp4
metrics: score fused images of any method against their sources, by sixteen metrics of fusion quality
  ours  fused=required visible=required infrared=required metrics=all project=runs/metrics name=metrics exist_ok=False
  e.g.  fused=runs/detect/fuse visible=my-pairs/images/val infrared=my-pairs/infrared/val
  e.g.  fused=theirs visible=tno/images infrared=tno/infrared metrics=EN,MI,SSIM,VIF
benchmark: compare size, accuracy and speed of the exports
  ours  format=installed
  host  model=required data=model's imgsz=model's device project=runs name=benchmark exist_ok
  e.g.  model=best.pt data=pairs.yaml format=pt,onnx,onnx:16,openvino,openvino:8
compare: train one camera, both by simple rules, and learned fusion alike; say what to use, and write report.html
  ours  data=required budget=quick pretrained=False model=metafusion-yolov8n.yaml
  ours  epochs=budget's imgsz=budget's batch=8 folds=0 seeds=budget's device=- jobs=- project=runs name=compare
  e.g.  data=pairs.yaml pretrained=yolov8n.pt
  e.g.  data=pairs.yaml pretrained=yolov8n.pt budget=normal folds=4
demo: train, validate, predict and export on synthetic pairs, in minutes on a CPU
  ours  epochs=24 imgsz=160 train=160 val=40 batch=8 seed=0 pretrained=False project=runs/demo name=demo exist_ok=False
  e.g.
data synth: write a synthetic data set of complementary pairs
  ours  dst=required train=400 val=100 imgsz=640 seed=0 everything_visible=False everything_infrared=False
  e.g.  dst=datasets/synthetic train=400 val=100
data convert: bring a published data set, or your own pairs, to the layout of this tool
  ours  format=required src=required dst=required labels=- copy=False
  e.g.  format=llvip src=downloads/LLVIP dst=datasets/llvip
  e.g.  format=drone-vehicle src=downloads/DroneVehicle dst=datasets/drone-vehicle labels=union
data check: find what is wrong with a data set of pairs, and write report.html; exit code 1 if it must be repaired
  ours  data=required project=runs/data name=check exist_ok=False report=project/name/report.html
  e.g.  data=pairs.yaml
data register: find where the infrared camera looks in the visible image, and write it into the data-set YAML
  ours  data=required pairs=20 per=dataset matrix=- dry_run=False project=runs/register name=register exist_ok=False
  e.g.  data=my-pairs.yaml
  e.g.  data=my-pairs.yaml per=sequence dry_run=True
  e.g.  data=my-pairs.yaml matrix='[[0.9, 0, 31], [0, 0.9, 18], [0, 0, 1]]'
"""
VIEWS = ("fused", "visible", "infrared", "weights", "panel")
CAMERAS = ("both", "visible", "infrared")
LAYOUTS = ("horizontal", "horizontal-infrared-first", "vertical", "vertical-infrared-first", "stacked")
LABELS = ("visible", "infrared", "union")
ACCEPTED: dict[str, tuple[Any, ...]] = {
    "infrared": (str, list, tuple, type(None)),
    "pretrained": (bool, str),
    "view": VIEWS,
    "modalities": CAMERAS,
    "val metrics": (str, type(None)),  # the host reads none as None
    "layout": LAYOUTS,
    "on_error": ("stop", "skip"),
    "sync": ("frame", "time"),
    "on_missing": ("error", "skip", "single"),
    "method": ("learned", "average", "maximum", "max", "laplacian"),
    "inputs": ("one", "two"),
    "labels": LABELS,
    "per": ("dataset", "sequence"),
    "matrix": (list, tuple),
    "budget": ("quick", "normal", "full"),
    "seeds": (int,),
    "jobs": (int,),
    "compare epochs": (int,),
    "compare imgsz": (int,),
    "device": (str, int),
}
MEANINGS = {  # of our arguments, and of those of the host whose own words would mislead; "MODE ARGUMENT" for one mode
    "infrared": "infrared side of source; left out: by the pairing rule of the model; None: visible camera only",
    "layout": "for frames that hold both: horizontal, vertical, either with -infrared-first; stacked: 4 channels",
    "on_error": "what a pair of files that cannot be read does to the rest: stop or skip",
    "predict resume": "go on with a run that was cut off, in the same project and name: what is done is left out",
    "fuse resume": "go on with a run that was cut off, in the same project and name",
    "slice": "side in pixels of the slices of large images, for small objects; 0: the whole image only",
    "overlap": "share of a slice that its neighbour shows too",
    "save_fused": "save the fused images: PNG, of videos MP4",
    "save_weights": "save how much came from which camera, as colours over the fused images",
    "save_json": "save the detections to predictions.json, a record a pair",
    "save_csv": "save the detections to predictions.csv, a row a detection",
    "view": f"what to draw on: {', '.join(VIEWS)}",
    "method": "learned, which needs a model, or a classical rule: average, maximum, laplacian",
    "inputs": "one: a tensor R, G, B, IR; two: visible and infrared",
    "fused": "add the fused image to the outputs",
    "fusion_weights": "add the weights of the cameras too",
    "triton": "folder for a model repository of the Triton Inference Server",
    "export data": "data set of pairs to calibrate INT8 on",
    "fusion_only": "train the front-end alone, without labels; data= may be a folder of plain images",
    "modalities": f"cameras that are on: {', '.join(CAMERAS)}",
    "val metrics": "fusion metrics: names with commas, all or none",
    "curves": "measure mAP50 with missing cameras and shifted infrared images too; seven times the cost",
    "night_below": "mean grey of a visible image, 0 to 255, below which it is night, where no file says",
    "metrics fused": "folder of fused images",
    "visible": "folder of the visible images, same names",
    "metrics infrared": "folder of the infrared images, same names",
    "metrics": "EN,SD,SF,AG,MI,NMI,CC,SCD,MSE,PSNR,SSIM,MS-SSIM,VIF,Qabf,Nabf,FMI",
    "sync": "pair two videos by frame or by time; live cameras go by time",
    "sync_tolerance": "largest difference in time within a pair, milliseconds",
    "sync_offset": "milliseconds by which the infrared camera reports a moment later",
    "on_missing": "if a camera has no frame: error, skip until both have one, or go on with a single one",
    "reconnect": "seconds for which a lost live camera is waited for",
    "data convert format": "llvip, m3fd, flir-aligned, kaist, drone-vehicle, vedai, msrs, voc, coco or yolo",
    "src": "root folder of the data set as published",
    "labels": "visible, infrared or union, where the cameras are labelled separately; left out: as is usual",
    "copy": "copy the images instead of linking them",
    "pairs": "pairs to estimate from, spread over the data set (or over each sequence)",
    "per": "dataset: one matrix; sequence: one for each folder of visible images",
    "matrix": "3 x 3 by hand, from infrared to visible pixels; left out: estimated",
    "dry_run": "leave the YAML as it is",
    "train": "pairs to train with",
    "val": "pairs to validate with",
    "dst": "new or empty folder, or an earlier data set to replace",
    "report": "HTML file to write instead of one in project/name",
    "everything_visible": "show every object to both cameras",
    "everything_infrared": "show every object to the infrared camera, so that it is enough",
    "budget": "quick, normal or full: epochs, image size, seeds, most pairs",
    "seeds": "trainings of every row",
    "jobs": "runs at a time; left out: one a core, or one on a GPU",
    "folds": "test every pair once, in so many folds of neighbouring frames; 0: the data set's own split",
    "model": "checkpoint (.pt), export (.onnx, ...) or model YAML",
    "data": "data-set YAML: path, train, val, names, infrared, ...; of predict: what it says of the cameras",
    "source": "visible side: image, folder, glob, .txt list, video, live camera; or pairs: .csv list",
    "imgsz": "image size in pixels",
    "format": "onnx, torchscript, openvino, engine, ...",
    "benchmark format": "with commas: pt, onnx, openvino ..., onnx:16 for FP16, onnx:8 for INT8, litert:w8a16",
    "quantize": "precision in bits: 32, 16 or 8; LiteRT also w8a16 and w8a32",
}


def _modes() -> Iterator[Mode]:
    """Read `TABLE`: name and summary, our arguments, those of the host worth showing, examples; `key=default` each."""
    for name, summary, lines in re.findall(r"^(\w[\w ]*): (.*)((?:\n  .*)*)", TABLE, re.MULTILINE):
        ours, host = (
            dict(re.findall(r"(\w+)=?(\S*)", " ".join(re.findall(rf"  {kind}  (.*)", lines))))
            for kind in ("ours", "host")
        )
        required = [key for key, default in (ours | host).items() if default == "required"]
        yield Mode(name, summary, RUNS.get(name), ours, host, required, re.findall(r"  e\.g\. *(.*)", lines))


MODES = {mode.name: mode for mode in _modes()}
