"""Every argument of ours, said once: type, default, choices, range and meaning, in one frozen dataclass per concern.

The command's help, its checks and its completion, the checks of the Python API and `docs/arguments.md` derive from the
fields. The default of a field is a class attribute, so that a signature says `view: str = OutputOptions.view`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from metafusion_yolo.options.data import LABELS, Check, Convert, Label, Register, Synth
from metafusion_yolo.options.fields import REQUIRED, Checked, Option, option, options_of
from metafusion_yolo.options.init import CAMERAS, LAYOUTS, Init
from metafusion_yolo.options.scale import ENGINES

__all__ = [
    "CAMERAS",
    "LABELS",
    "LAYOUTS",
    "REQUIRED",
    "Check",
    "Checked",
    "Convert",
    "Init",
    "Label",
    "Option",
    "Register",
    "Synth",
    "option",
    "options_of",
]

VIEWS = ("fused", "visible", "infrared", "weights", "panel")
MODALITIES = ("both", "visible", "infrared")
ALIGN = ("off", "auto")
METHODS = ("learned", "average", "maximum", "laplacian", "max")  # the last is short for maximum
QUICK = ("EN", "SD", "SF", "AG", "SCD", "Qabf")  # a tenth of the time of all


@dataclass(frozen=True)
class Train(Checked):
    """Training."""

    fusion_only: bool = option(False, "train only the front-end, without labels; data= may be a folder of plain images")
    unlabelled: str | None = option(
        None, "checkpoint that labels the pairs of 'unlabelled:', to train on them too; self: this model"
    )


@dataclass(frozen=True)
class Learning(Checked):
    """What a training learns from, and by which values of the front-end."""

    fusion: dict[str, Any] | None = option(
        None, "values to replace in the model's fusion: section; on the command line fusion.gains.gradient=5"
    )
    augmentations: list[Any] | None = option(
        None, "Albumentations transforms: of both cameras and the boxes if they move pixels, else of the visible image"
    )
    infrared_augmentations: list[Any] | None = option(
        None, "Albumentations transforms of the infrared image, none that move pixels"
    )


@dataclass(frozen=True)
class Tune(Checked):
    """The search for hyper-parameters."""

    iterations: int = option(300, "number of trainings", least=1)
    use_ray: bool = option(False, "run the trainings side by side with Ray Tune; needs ray[tune]")
    space: dict[str, Any] | None = option(None, "what to search: (lowest, highest) by name", shown="default")
    search_alg: Any = option(None, "with use_ray: searcher of Ray Tune", shown="optuna")
    grace_period: int | None = option(None, "with use_ray: least epochs of a training", shown="10", least=1)
    gpu_per_trial: float | None = option(None, "with use_ray: GPUs of a training", least=0)


@dataclass(frozen=True)
class Track(Checked):
    """Tracking."""

    persist: bool = option(False, "keep the identities in the next video, folder or call")
    rate: float | None = option(
        None, "images per second of a tracked folder, list or generator", shown="30", least=0.001
    )


@dataclass(frozen=True)
class Val(Checked):
    """Validation."""

    modalities: str = option("both", f"cameras to use: {', '.join(MODALITIES)}", choices=MODALITIES)
    metrics: str | Sequence[str] | None = option(
        QUICK, "fusion metrics: comma-separated names, all or none", shown=",".join(QUICK), also=(NoneType,)
    )
    curves: bool = option(
        False, "also measure mAP50 with missing cameras and shifted infrared images: 7 times the cost"
    )
    night_below: float = option(
        80,
        "mean grey of a visible image, 0 to 255, below which it counts as night unless a file says",
        least=0,
        most=255,
    )
    corruptions: bool = option(
        False, "also measure mAP50 and weights with one camera spoilt, in 8 ways: 76 times the cost"
    )


@dataclass(frozen=True)
class Source(Checked):
    """What is read."""

    infrared: Any = option(
        None,
        "infrared side of source; left out: found by the model's pairing rule; None: visible camera only",
        also=(str, list, object),
        never=(bool, float, dict),
    )
    layout: str | None = option(
        None,
        "for frames that hold both: horizontal, vertical, either with -infrared-first; stacked: 4 channels",
        choices=LAYOUTS,
    )
    align: str = option(
        "off", "undo the remaining shift between the cameras, found from edges: off, auto", choices=ALIGN
    )
    on_error: str = option(
        "stop", "what to do if a pair of files cannot be read: stop, or skip it", choices=("stop", "skip")
    )


@dataclass(frozen=True)
class OutputOptions(Checked):
    """What to write beside the host's files, and what to draw the detections on."""

    view: str = option("fused", f"what to draw on: {', '.join(VIEWS)}", choices=VIEWS)
    save_fused: bool = option(False, "save the fused images: PNG, MP4 for videos")
    save_weights: bool = option(False, "save the share of each camera as colours")
    save_json: bool = option(False, "save the detections to predictions.json, one record per pair")
    save_csv: bool = option(False, "save the detections to predictions.csv, one row per detection")
    temperatures: bool = option(False, "draw the hottest spot of each box; needs 'thermal: unit:' in the data-set YAML")

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return self.save_fused or self.save_weights or self.save_json or self.save_csv


@dataclass(frozen=True)
class SlicingOptions(Checked):
    """How a large pair is cut, for small objects."""

    size: int = option(
        0, "side of the slices of large images, pixels, for small objects; 0: none", name="slice", least=32, or_else=0
    )
    overlap: float = option(0.2, "share of a slice that overlaps its neighbour", least=0, below=1)


@dataclass(frozen=True)
class Resume(Checked):
    """Continuing an interrupted run."""

    resume: bool = option(False, "continue an interrupted run of the same project and name")


@dataclass(frozen=True)
class Sync(Checked):
    """How two videos or two cameras are kept in step."""

    by: str = option(
        "frame", "pair two videos by frame or time; live cameras always by time", name="sync", choices=("frame", "time")
    )
    tolerance: float = option(
        50.0, "largest time difference within a pair, milliseconds", name="sync_tolerance", least=0
    )
    offset: float = option(0.0, "milliseconds by which the infrared camera lags", name="sync_offset")
    on_missing: str = option(
        "error",
        "while a camera has no frame: error, skip, or continue with a single one",
        choices=("error", "skip", "single"),
    )
    reconnect: float = option(30.0, "seconds to wait for a lost live camera; inf: forever, also at the start", least=0)


@dataclass(frozen=True)
class Export(Checked):
    """Exports."""

    inputs: str = option("one", "one: a tensor R, G, B, IR; two: visible and infrared", choices=("one", "two"))
    fused: bool = option(False, "add the fused image to the outputs")
    fusion_weights: bool = option(False, "also add the weights of the cameras")
    triton: str | None = option(None, "folder for a model repository of the Triton Inference Server")


@dataclass(frozen=True)
class Fuse(Checked):
    """Fused images alone."""

    method: str = option("learned", "learned (needs a model), or a rule: average, maximum, laplacian", choices=METHODS)


@dataclass(frozen=True)
class Metrics(Checked):
    """Scores of fused images."""

    fused: str = option(REQUIRED, "folder of fused images")
    visible: str = option(REQUIRED, "folder of the visible images, same names")
    infrared: str = option(REQUIRED, "folder of the infrared images, same names")
    metrics: str | None = option(None, "EN,SD,SF,AG,MI,NMI,CC,SCD,MSE,PSNR,SSIM,MS-SSIM,VIF,Qabf,Nabf,FMI", shown="all")
    project: str = option("runs/metrics", "project name for results root")
    name: str = option("metrics", "name of this run")
    exist_ok: bool = option(False, "overwrite existing 'project/name' if True")


@dataclass(frozen=True)
class Benchmark(Checked):
    """Benchmarks of the exports."""

    format: str | list[str] | None = option(
        None,
        "comma-separated: pt, onnx, openvino ..., onnx:16 for FP16, onnx:8 for INT8, litert:w8a16",
        shown="installed",
    )


@dataclass(frozen=True)
class Compare(Checked):
    """Comparisons of one camera, simple rules and learned fusion."""

    data: str = option(REQUIRED, "data-set YAML: path, train, val, names, infrared, ...")
    budget: str = option(
        "quick", "quick, normal or full: epochs, image size, seeds, most pairs", choices=("quick", "normal", "full")
    )
    pretrained: bool | str = option(False, "detector checkpoint that every row starts from")
    model: str = option(
        "metafusion-yolov8n.yaml", "model YAML of the fused rows, or a checkpoint that every row starts from"
    )
    task: str | None = option(
        None, "detect, segment, pose or obb", shown="model's", choices=("detect", "segment", "pose", "obb")
    )
    epochs: int | None = option(None, "number of epochs to train for", shown="budget's", least=1)
    imgsz: int | None = option(None, "image size in pixels", shown="budget's", least=32)
    batch: int = option(8, "batch size", least=1)
    folds: int = option(
        0, "test every pair once, in this many folds of neighbouring frames; 0: the data set's own split", least=0
    )
    seeds: int | None = option(None, "trainings of every row", shown="budget's", least=1)
    device: str | int | None = option(None, "device to run on: 0, cpu, mps")
    jobs: int | None = option(None, "runs at a time; left out: one per core, or one on a GPU", least=1)
    project: str = option("runs", "project name for results root")
    name: str = option("compare", "name of this run")
    engine: str = option("local", "local: processes of this machine; ray: tasks of its cluster", choices=ENGINES)


@dataclass(frozen=True)
class Demo(Checked):
    """The demo."""

    epochs: int = option(24, "number of epochs to train for", least=1)
    imgsz: int = option(160, "image size in pixels", least=32)
    train: int = option(160, "pairs to train with", least=1)
    val: int = option(40, "pairs to validate with", least=1)
    batch: int = option(8, "batch size", least=1)
    seed: int = option(0, "random seed for reproducibility", least=0)
    pretrained: bool | str = option(False, "detector checkpoint to start from; False needs no download")
    project: str = option("runs/demo", "project name for results root")
    name: str = option("demo", "name of this run")
    exist_ok: bool = option(False, "overwrite existing 'project/name' if True")
