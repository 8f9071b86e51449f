"""Every line that leans on internals of the host rather than on its documented hooks."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.nn.tasks import load_checkpoint
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import unwrap_model

from metafusion_yolo.data.rig import Rig
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.fusion import FusionNet
from metafusion_yolo.nn.tasks import FusionDetectionModel

INPUT_KEY = "pair_input"  # of a checkpoint's model YAML and of an export's metadata
ORDER = "R,G,B,IR"


def input_description(rig: Rig) -> dict[str, Any]:
    """Return what a checkpoint or an export remembers about its input."""
    return {"channels": NUM_CHANNELS, "order": ORDER, "range": [0, 1], **rig.to_yaml()}


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
        description = getattr(backend, "metadata", {}).get(INPUT_KEY)
        description = ast.literal_eval(description) if isinstance(description, str) else description
    return Rig.from_yaml(description, "the model") if description else None


def trackers_look(predictor: Any) -> bool:
    """Tell whether a predictor is tracking with anything that reads the image, not only the boxes."""
    if predictor.args.mode != "track" or not getattr(predictor, "trackers", None):
        return False
    tracker = predictor.trackers[0]
    motion = getattr(getattr(tracker, "gmc", None), "method", None)
    return motion is not None or getattr(tracker, "encoder", None) is not None


def warn_of_other_cameras(trained: Rig | None, now: Rig, where: Any) -> None:
    """Say in one line if images are normalised or registered otherwise than those that a model was trained on."""
    keys = [key for key in ("thermal", "registration") if trained and getattr(trained, key) != getattr(now, key)]
    if keys:
        LOGGER.warning(f"{' and '.join(keys)} in '{where}' differ from what the model was trained with")


def load_fusion_checkpoint(weights: str) -> tuple[FusionDetectionModel, dict[str, Any]]:
    """Load a checkpoint of a fused detector.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If the file is no checkpoint, or one of another model.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(f"no checkpoint '{weights}'; give the best.pt or last.pt of a training run")
    try:
        model, checkpoint = load_checkpoint(weights)
    except (TypeError, AttributeError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TypeError(f"'{weights}' is no checkpoint of metafusion_yolo ({one_line(error)})") from error
    if not isinstance(model, FusionDetectionModel):
        raise TypeError(
            f"'{weights}' holds a stock {type(model).__name__}, which reads single images, not pairs; train a fused "
            f"one from it: metafusion train model=metafusion-yolov8n.yaml pretrained={weights} data=..."
        )
    return model, checkpoint


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
