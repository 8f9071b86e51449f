"""All code that depends on internals of the host rather than on its documented hooks."""

import inspect
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import torch
import torch.distributed as dist
from torch import nn
from ultralytics.cfg import QUANTIZE_ALIASES
from ultralytics.data import build as host_build
from ultralytics.data import dataset as host_dataset
from ultralytics.data.dataset import YOLODataset
from ultralytics.engine import trainer as host_trainer
from ultralytics.engine import validator as host_validator
from ultralytics.engine.exporter import export_formats
from ultralytics.engine.model import PREDICTOR_SETUP_KEYS
from ultralytics.nn import tasks as host_tasks
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.trackers.track import TRACKER_MAP, on_predict_postprocess_end, on_predict_start
from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER, RANK, SETTINGS, checks, env_bool, nms
from ultralytics.utils.events import events

from metafusion_yolo.data.rig import Rig, pair_input
from metafusion_yolo.engine.backends import BACKENDS
from metafusion_yolo.engine.checkpoint_format import format_classes
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.nn.tasks import native_model
from metafusion_yolo.support.errors import MissingFileError, MissingPackageError, UserTypeError, UserValueError
from metafusion_yolo.support.resources import read_yaml
from metafusion_yolo.support.words import without_signs

# Safer defaults for two switches of the host, unless the user sets them in the environment: checkpoints are loaded with
# `weights_only` and an allow-list, and packages are not installed automatically.
host_tasks.SAFE_LOAD = env_bool("ULTRALYTICS_SAFE_LOAD", True)
checks.AUTOINSTALL = env_bool("YOLO_AUTOINSTALL", False)
AutoBackend._BACKEND_MAP.update(BACKENDS)

torch.serialization.add_safe_globals(format_classes())

# After two seconds the host leaves the other images of a batch without boxes, which a busy machine takes for the first.
_suppress = nms.non_max_suppression
_with_default = [*inspect.signature(_suppress).parameters][-len(_suppress.__defaults__) :]
_suppress.__defaults__ = tuple(
    math.inf if name == "max_time_img" else value
    for name, value in zip(_with_default, _suppress.__defaults__, strict=True)
)


def front_end(backend: Any) -> FusionNet | None:
    """Return the fusion front-end of a model or backend, None if it has none that can be called."""
    return getattr(native_model(backend), "fusion", None)


def check_export(path: str) -> None:
    """Check that an export exists.

    Raises:
        FileNotFoundError: If it does not.
        TypeError: If it is a folder that is not an export.
    """
    if "://" in path:  # a model on a server
        return
    wanted = "give a checkpoint (.pt), an export (.onnx, ...) or a model YAML"
    if not Path(path).exists():
        raise MissingFileError(f"no model '{path}'; {wanted}")
    suffixes = [suffix for suffix in export_formats()["Suffix"] if suffix]
    if Path(path).is_dir() and not any(suffix in Path(path).name for suffix in suffixes):
        raise UserTypeError(f"'{path}' is a folder, but not an export; {wanted}")


def check_tracker(tracker: str | None) -> None:
    """Check that a file describes a tracker.

    Args:
        tracker: A YAML, or the name of one of the host; None for the host's default.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it has no known `tracker_type:`.
    """
    if tracker is None:
        return
    known = f"{', '.join(sorted(TRACKER_MAP))}"
    file = checks.check_file(tracker, hard=False)
    if not file or not Path(str(file)).is_file():
        raise MissingFileError(
            f"no tracker '{tracker}'; give a YAML, or a name such as botsort.yaml; the trackers are {known}"
        )
    if read_yaml(file).get("tracker_type") not in TRACKER_MAP:
        raise UserValueError(f"'{tracker}' describes no tracker; expected 'tracker_type:' with one of {known}")


def trackers_look(predictor: Any) -> bool:
    """Return whether a predictor's tracker uses the image, not only the boxes."""
    if predictor.args.mode != "track" or not getattr(predictor, "trackers", None):
        return False
    tracker = predictor.trackers[0]
    motion = getattr(getattr(tracker, "gmc", None), "method", None)
    return motion is not None or getattr(tracker, "encoder", None) is not None


TRACKING = {"on_predict_start": on_predict_start, "on_predict_postprocess_end": on_predict_postprocess_end}


def usable_again(wanted: dict[str, Any], cls: type | None, predictor: Any) -> bool:
    """Return whether the host can reuse a predictor for the arguments and the predictor class of a call."""
    precision = wanted.get("quantize")
    wanted = {**wanted, "quantize": QUANTIZE_ALIASES.get(str(precision).lower(), precision)}
    same = all(getattr(predictor.args, key) == wanted[key] for key in PREDICTOR_SETUP_KEYS if key in wanted)
    return same and (cls is None or type(predictor) is cls)


def loaded_with(args: Any) -> tuple[str, ...]:
    """Return the arguments of a predictor that its network depends on."""
    return tuple(str(getattr(args, key)) for key in PREDICTOR_SETUP_KEYS if key != "tracker")


def extra_outputs(backend: Any) -> list[str]:
    """Return the outputs of an export in addition to its boxes: "fused", "fusion_weights"."""
    outputs = pair_input(getattr(backend, "metadata", {})).get("outputs", []) if native_model(backend) is None else []
    return [name for name in outputs if name in ("fused", "fusion_weights")]


def warn_of_other_cameras(trained: Rig | None, now: Rig, where: Any) -> None:
    """Log a warning if images are normalised or registered differently from those that a model was trained on."""
    keys = [key for key in ("thermal", "registration") if trained and getattr(trained, key) != getattr(now, key)]
    if keys:
        LOGGER.warning(f"{' and '.join(keys)} in '{where}' differ from what the model was trained with")


PACKAGES = {  # by module, where the names differ by more than an underscore
    "axelera": "axelera-devkit",
    "cv2": "opencv-python",
    "paddle": "paddlepaddle",
    "quark": "amd-quark",
    "rknn": "rknn-toolkit2",
}


events.enabled = False  # no usage statistics are sent, not even by the host's own models in this process


def say_settings(args: dict[str, Any]) -> None:
    """Log the arguments of a training that differ from the host's defaults; the host logs all hundred of them."""
    changed = {key: value for key, value in args.items() if value != "" and key not in ("mode", "save_dir", "task")}
    told = [f"{key}={value}" for key, value in sorted(changed.items()) if value != DEFAULT_CFG_DICT.get(key)]
    LOGGER.info(f"Settings: {', '.join(told)}; all are in {Path(args['save_dir']) / 'args.yaml'}")


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Replace a name of a module of the host for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep the host from asking for a newer version of itself before a training, and from logging every setting."""
    with replaced(checks, "check_pip_update_available", bool), replaced(host_trainer, "print_args", say_settings):
        yield


@contextmanager
def our_command() -> Iterator[None]:
    """Let the host start its training processes with our command; its own would not read infrared images."""
    with replaced(host_trainer, "_YOLO_CLI_COMMAND", [sys.executable, "-m", "metafusion_yolo"]):
        yield


@contextmanager
def in_one_process() -> Iterator[None]:
    """Let the host start the training processes from this one, so that their errors can be read here."""
    from torch.distributed.run import parse_args, run  # not in every build of PyTorch

    launcher = SimpleNamespace(run=lambda command, check: run(parse_args(command[3:])))
    with replaced(host_trainer, "subprocess", launcher):
        yield


@contextmanager
def on_processors(device: torch.device) -> Iterator[None]:
    """Let the ranks of the host train and validate without GPUs too."""
    if device.type != "cpu":
        yield
        return
    host, backend, module = nn.parallel.DistributedDataParallel, host_validator.AutoBackend, host_validator

    class DistributedDataParallel(host):  # type: ignore[misc, valid-type]
        def __init__(self, model: nn.Module, device_ids: Any, **kwargs: Any) -> None:
            super().__init__(model, **kwargs)

    def on_this(*args: Any, **kwargs: Any) -> Any:
        return backend(*args, **{**kwargs, "device": device})

    with (
        replaced(nn.parallel, "DistributedDataParallel", DistributedDataParallel),
        replaced(module, "AutoBackend", on_this),
        replaced(module, "get_torch_device_backend", lambda _: SimpleNamespace(current_device=lambda: 0)),
    ):
        yield


@contextmanager
def class_folders_described() -> Iterator[None]:
    """Let the host read a data-set YAML for the task classify too, instead of folders of classes."""
    with (
        replaced(host_trainer, "check_cls_dataset", host_trainer.check_det_dataset),
        replaced(host_validator, "check_cls_dataset", host_validator.check_det_dataset),
    ):
        yield


def warn_of_replaced_dataset() -> None:
    """Warn if someone replaced the host's data-set class, as pairs do not use the replacement."""
    for module in (host_build, host_dataset):
        found = getattr(module, "YOLODataset", YOLODataset)
        if found is not YOLODataset:
            LOGGER.warning(
                f"{module.__name__}.YOLODataset was replaced by {found.__name__}, which pairs do not use; derive it "
                f"from PairedYOLODataset, and give train(trainer=) a FusionDetectionTrainer with it as dataset_class"
            )


@contextmanager
def missing_packages_named() -> Iterator[None]:
    """Turn the ModuleNotFoundError of a format into one line that says how to install the package."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or str(error)).partition(".")[0]
        package = PACKAGES.get(name, name.replace("_", "-"))
        raise MissingPackageError(
            f"this format needs the package '{package}', which is not installed: pip install {package}, or set "
            f"YOLO_AUTOINSTALL=1 to let Ultralytics install what it needs",
            name=name,
        ) from error


def log_pictures(trainer: Any) -> None:
    """Pass our pictures to TensorBoard and Comet, to which the host sends scalars but no registered plots.

    W&B, DVC and ClearML get every plot that is registered by `on_plot`, MLflow every file of the run.
    """
    writer = getattr(sys.modules.get("ultralytics.utils.callbacks.tensorboard"), "WRITER", None)
    comet = sys.modules.get("comet_ml")
    experiment = comet.get_running_experiment() if comet and SETTINGS["comet"] is True else None
    logged = trainer.__dict__.setdefault("_pictures_logged", {})
    for file, plot in [*trainer.plots.items()]:
        if (writer or experiment) and logged.get(file) != plot["timestamp"]:
            logged[file] = plot["timestamp"]
            image = cv2.imread(str(file))
            if writer and image is not None:
                writer.add_image(file.stem, image[..., ::-1].copy(), trainer.epoch + 1, dataformats="HWC")
            if experiment and image is not None:
                experiment.log_image(str(file), file.stem, step=trainer.epoch + 1)


def gather_list(items: list[Any]) -> list[Any]:
    """Gather the items of all processes on rank 0; other ranks get an empty list."""
    if RANK == -1:
        return items
    gathered: list[Any] | None = [None] * dist.get_world_size() if RANK == 0 else None
    dist.gather_object(items, gathered, dst=0)
    return [item for part in gathered or [] for item in part]


def one_line(error: BaseException) -> str:
    """Return the first line of an error of the host, without emoji and colours."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    return without_signs(text[0])
