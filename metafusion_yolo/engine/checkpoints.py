"""Checkpoints: found or downloaded, loaded without running their code, and rejected in one line."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn import tasks as host_tasks
from ultralytics.utils import LOGGER, SETTINGS
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

from metafusion_yolo.engine._host import one_line
from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.nn.model_yaml import TORCHVISION
from metafusion_yolo.nn.tasks import fused_form
from metafusion_yolo.nn.torchvision_model import coco_model
from metafusion_yolo.support.errors import MissingFileError, UserError, UserTypeError, UserValueError

ADVICE = re.compile(
    r"^ERROR \S+ (is not a loadable checkpoint — )?|,? ?(Use an official|This is an internal) .*"
)  # the host's


class UnsafeCheckpointError(UserError, TypeError):
    """A checkpoint that may run code when it is loaded: it asks for more than the classes of a detector."""


@contextmanager
def refusals_named(weights: Any = "the checkpoint") -> Iterator[None]:
    """Explain in one line why the host refuses to load a checkpoint.

    Raises:
        UnsafeCheckpointError: Instead of any error that such a refusal causes.
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
            raise UserTypeError(
                f"'{weights}' is from another version of metafusion_yolo, with {asked}; use that version, or train "
                "again"
            ) from error
        raise UnsafeCheckpointError(
            f"'{weights}' was not loaded: it asks for {asked}, which no checkpoint of a detector needs and which could "
            f"run code; if you trust it, set ULTRALYTICS_SAFE_LOAD=0"
        ) from error


def find_checkpoint(name: str | Path, otherwise: str = ", or leave it out") -> str:
    """Return the path of a checkpoint to start from; the host's own checkpoints and URLs are downloaded.

    Args:
        name: A path, or the name of a checkpoint of the host.
        otherwise: What else can be done, for the error.

    Raises:
        FileNotFoundError: If there is no such file, and it cannot be downloaded.
    """
    file = str(name)
    if file.startswith(TORCHVISION):
        return str(_coco_checkpoint(file))
    if not Path(file).is_file() and (file in GITHUB_ASSETS_NAMES or "://" in file):
        try:
            file = attempt_download_asset(file)
        except (OSError, RuntimeError) as error:
            raise MissingFileError(
                f"no checkpoint '{name}' here, and it cannot be downloaded; put the file here, or give the path of one"
            ) from error
    if not Path(file).is_file():
        raise MissingFileError(f"no checkpoint '{name}'; give the path of one, such as yolov8n.pt{otherwise}")
    return file


def _coco_checkpoint(name: str) -> Path:
    """Return the checkpoint of `torchvision/NAME` with COCO weights, made in the host's folder for downloads.

    Raises:
        FileNotFoundError: If the weights are not here and cannot be fetched.
        ValueError: If there is no such detector.
    """
    file = Path(SETTINGS["weights_dir"]) / f"{name.removeprefix(TORCHVISION)}.pt"
    if file.is_file():
        return file
    try:
        model = coco_model(name)
    except OSError as error:
        raise MissingFileError(
            f"the weights of '{name}' are not here, and cannot be downloaded ({one_line(error)}); go online once, or "
            f"start without: model=metafusion-{file.stem}.yaml"
        ) from error
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    torch.save({"model": model.eval()}, part)
    part.replace(file)
    return file


def load_checkpoint(weights: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a checkpoint of a stock or a fused detector.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If the file is not a checkpoint.
        UnsafeCheckpointError: If it could run code of its own.
    """
    with refusals_named(weights):
        try:
            model, checkpoint = host_tasks.load_checkpoint(weights)
        except FileNotFoundError:
            raise
        except UserTypeError as error:  # of a later format
            raise UserTypeError(f"'{weights}' {error}") from error
        except Exception as error:  # what is no pickle may look like any instruction of one
            reason = ADVICE.sub("", one_line(error)).rstrip(".")
            raise UserTypeError(
                f"'{weights}' is not a checkpoint of metafusion_yolo or Ultralytics ({reason}); give another file"
            ) from error
    return model, checkpoint


def check_start(weights: str | Path) -> str:
    """Return the path of a checkpoint to start from, after checking that it is one.

    The host would only notice after all data has been read, and with a less clear message.

    Raises:
        FileNotFoundError: As :func:`find_checkpoint`.
        TypeError: As :func:`load_checkpoint`.
    """
    file = find_checkpoint(weights)
    load_checkpoint(file)
    return file


def check_unfinished(run: str | Path, checkpoint: dict[str, Any] | None = None) -> None:
    """Reject resuming a finished run; the host would start a new one.

    Args:
        run: The checkpoint to resume.
        checkpoint: Its content, if it is loaded.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If it is not a checkpoint.
        ValueError: If its training is complete.
    """
    content = load_checkpoint(find_checkpoint(run))[1] if checkpoint is None else checkpoint
    if content.get("epoch", -1) < 0 or content.get("optimizer") is None:
        raise UserValueError(f"'{run}' does not belong to an interrupted run; give the last.pt of one")


def load_fusion_checkpoint(weights: str) -> tuple[FrontEndAhead, dict[str, Any]]:
    """Load a fused detector, or a stock one and put our trained front-end ahead of it.

    Raises:
        FileNotFoundError: If there is no such file, and it cannot be downloaded.
        TypeError: If the file is not a checkpoint, or one of a model that has no fused form.
        UnsafeCheckpointError: If it could run code of its own.
    """
    file = find_checkpoint(weights, otherwise="")
    model: Any
    model, checkpoint = load_checkpoint(file)
    if isinstance(model, FrontEndAhead):
        return model, checkpoint
    try:
        fused = fused_form(model)
    except UserTypeError as error:
        raise UserTypeError(f"'{weights}': {error}") from error
    fused.args = {**model.args, "data": None}  # its data set has no pairs
    fused.pt_path = file
    meet = fused.config.meet
    where = "" if meet == "image" else f", and each camera gets its first layers for itself, up to {meet}"
    LOGGER.info(
        f"'{weights}' reads single images, so a fusion front-end goes ahead of it{where}. It was trained on synthetic "
        f"pairs; train both on your own pairs for better results"
    )
    return fused.eval(), {**checkpoint, "epoch": -1, "optimizer": None}
