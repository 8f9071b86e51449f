"""Every line that leans on internals of the host rather than on its documented hooks."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import torch
import torch.distributed as dist
from torch import nn
from ultralytics.nn import tasks as host_tasks
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils import LOGGER, RANK, SETTINGS, checks, env_bool
from ultralytics.utils.torch_utils import unwrap_model

from metafusion_yolo import config, criterion, schedule
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.engine._backends import BACKENDS, INPUT_KEY, pair_input
from metafusion_yolo.nn import NUM_CHANNELS, attention, blocks, fusion, meta, rules, tasks, teaching
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.nn.tasks import FusionDetectionModel

# Two switches of the host, which are the other way round with us unless the user has set them in the environment:
# checkpoints are loaded by `weights_only` and an allow-list, and no package is installed behind one's back.
host_tasks.SAFE_LOAD = env_bool("ULTRALYTICS_SAFE_LOAD", True)
checks.AUTOINSTALL = env_bool("YOLO_AUTOINSTALL", False)
AutoBackend._BACKEND_MAP.update(BACKENDS)

ORDER = "R,G,B,IR"


def own_classes(*modules: ModuleType) -> list[Any]:
    """Return the classes that these modules define."""
    return [
        item
        for module in modules
        for item in vars(module).values()
        if getattr(item, "__module__", "") == module.__name__ and isinstance(item, type)
    ]


torch.serialization.add_safe_globals(
    own_classes(attention, blocks, config, criterion, fusion, meta, rules, schedule, tasks, teaching)
)  # all that checkpoints of ours are made of, beside the host's and PyTorch's own


def input_description(rig: Rig) -> dict[str, Any]:
    """Return what a checkpoint or an export remembers about its input."""
    return {"channels": NUM_CHANNELS, "order": ORDER, "range": [0, 1], "layout": "BCHW", **rig.to_yaml()}


def native_model(backend: Any) -> nn.Module | None:
    """Return the PyTorch model behind a training model or the host's inference backend, None for other formats."""
    if getattr(backend, "format", "pt") != "pt":
        return None
    model = unwrap_model(backend)
    return model if isinstance(model, FusionDetectionModel) else getattr(model, "model", None)


def front_end(backend: Any) -> FusionNet | None:
    """Return the fusion front-end of a model or backend, None where there is none to call."""
    return getattr(native_model(backend), "fusion", None)


def rig_of(backend: Any) -> Rig | None:
    """Return the cameras that a model or backend was trained with, None if it was not trained on any.

    Raises:
        TypeError: If it reads something other than pairs.
    """
    if getattr(backend, "channels", NUM_CHANNELS) != NUM_CHANNELS:
        raise TypeError(
            f"this model reads {backend.channels}-channel images, not pairs of {ORDER}; "
            f"give a model trained or exported by metafusion_yolo"
        )
    model: Any = native_model(backend)
    if model is not None:
        description = getattr(model, "yaml", {}).get(INPUT_KEY)
    else:
        description = pair_input(getattr(backend, "metadata", {}))
    return Rig.from_yaml(description, "the model") if description else None


def trackers_look(predictor: Any) -> bool:
    """Tell whether a predictor is tracking with anything that reads the image, not only the boxes."""
    if predictor.args.mode != "track" or not getattr(predictor, "trackers", None):
        return False
    tracker = predictor.trackers[0]
    motion = getattr(getattr(tracker, "gmc", None), "method", None)
    return motion is not None or getattr(tracker, "encoder", None) is not None


def extra_outputs(backend: Any) -> list[str]:
    """Return what an export gives beside its boxes: "fused", "fusion_weights"."""
    return pair_input(getattr(backend, "metadata", {})).get("outputs", [])[1:] if native_model(backend) is None else []


def warn_of_other_cameras(trained: Rig | None, now: Rig, where: Any) -> None:
    """Say in one line if images are normalised or registered otherwise than those that a model was trained on."""
    keys = [key for key in ("thermal", "registration") if trained and getattr(trained, key) != getattr(now, key)]
    if keys:
        LOGGER.warning(f"{' and '.join(keys)} in '{where}' differ from what the model was trained with")


PACKAGES = {  # by module, where more than an underscore tells them apart: a guess could name a stranger's package
    "axelera": "axelera-devkit",
    "cv2": "opencv-python",
    "paddle": "paddlepaddle",
    "quark": "amd-quark",
    "rknn": "rknn-toolkit2",
}


class UnsafeCheckpointError(TypeError):
    """A checkpoint that asks for more than the classes of a detector, and that may run code when it is loaded."""


@contextmanager
def refusals_named(weights: Any = "the checkpoint") -> Iterator[None]:
    """Say what it is in a checkpoint that the host refuses to load.

    Raises:
        UnsafeCheckpointError: In the place of any error that such a refusal has caused.
        TypeError: If it is a class of ours that is gone.
    """
    try:
        yield
    except (TypeError, FileNotFoundError) as error:
        cause: BaseException | None = error
        while cause and not isinstance(cause, pickle.UnpicklingError):
            cause = cause.__cause__
        name = re.search(r"GLOBAL (\S+)|class (\S+)|unsafe (.*?) blocked", str(cause or ""))
        if not name:
            raise
        asked = next(filter(None, name.groups()))
        if asked.startswith("metafusion_yolo."):
            raise TypeError(
                f"'{weights}' is of another version of metafusion_yolo, with {asked}; train again"
            ) from error
        raise UnsafeCheckpointError(
            f"'{weights}' was not loaded: it asks for {asked}, which no checkpoint of a detector needs and which could "
            f"run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0"
        ) from error


def load_fusion_checkpoint(weights: str) -> tuple[FusionDetectionModel, dict[str, Any]]:
    """Load a checkpoint of a fused detector.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If the file is no checkpoint, or one of another model.
        UnsafeCheckpointError: If it could run code of its own.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(f"no checkpoint '{weights}'; give the best.pt or last.pt of a training run")
    with refusals_named(weights):
        try:
            model, checkpoint = host_tasks.load_checkpoint(weights)
        except Exception as error:  # what is no pickle may look like any instruction of one
            raise TypeError(f"'{weights}' is no checkpoint of metafusion_yolo ({one_line(error)})") from error
    if not isinstance(model, FusionDetectionModel):
        raise TypeError(
            f"'{weights}' holds a stock {type(model).__name__}, which reads single images, not pairs; train a fused "
            f"one from it: metafusion train model=metafusion-yolov8n.yaml pretrained={weights} data=..."
        )
    return model, checkpoint


@contextmanager
def missing_packages_named() -> Iterator[None]:
    """Say how to get the package that a format needs.

    Raises:
        ModuleNotFoundError: In one line.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or str(error)).partition(".")[0]
        package = PACKAGES.get(name, name.replace("_", "-"))
        raise ModuleNotFoundError(
            f"this format needs the package '{package}', which is not installed: pip install {package}, or set "
            f"YOLO_AUTOINSTALL=1 to let Ultralytics install what it needs",
            name=name,
        ) from error


def log_pictures(trainer: Any) -> None:
    """Hand our pictures to the loggers that the host gives scalars but no registered plots: TensorBoard and Comet.

    W&B, DVC and ClearML take every plot that is registered by `on_plot`, MLflow every file of the run.
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
    """Return the items of all processes of a run on several GPUs on the first, nothing on the others."""
    if RANK == -1:
        return items
    gathered: list[Any] | None = [None] * dist.get_world_size() if RANK == 0 else None
    dist.gather_object(items, gathered, dst=0)
    return [item for part in gathered or [] for item in part]


def data_error(error: BaseException, data: Any) -> Exception:
    """Return what the host says about a data set as a FileNotFoundError or ValueError of one line.

    Args:
        error: An error of the host, perhaps wrapped in another.
        data: The data-set YAML.
    """
    cause = error.__cause__ or error
    kind = FileNotFoundError if isinstance(cause, FileNotFoundError) else ValueError
    return kind(f"data set '{data}': {_plain(' '.join(str(cause).split()))}")


def one_line(error: BaseException) -> str:
    """Return the first line of an error of the host, without its signs and colours."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    return _plain(text[0])


def _plain(text: str) -> str:
    """Take emoji and colour codes out of a text, but no letters of any language."""
    return re.sub(r" ?(\x1b\[[0-9;]*m|[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])", "", text).strip()
