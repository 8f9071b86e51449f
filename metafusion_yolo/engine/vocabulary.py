"""Detectors whose classes are words: YOLO-World and YOLOE behind the front-end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from ultralytics.nn.autobackend import check_class_names

from metafusion_yolo.engine._host import one_line
from metafusion_yolo.nn.tasks import FusionWorldModel, FusionYOLOEModel, FusionYOLOESegModel
from metafusion_yolo.support.errors import MissingPackageError, UserTypeError, UserValueError

WORLD, YOLOE = FusionWorldModel, (FusionYOLOEModel, FusionYOLOESegModel)


def knows_words(model: Any) -> bool:
    """Return whether the classes of a model are words that can be changed."""
    return isinstance(model, (WORLD, *YOLOE)) and not hasattr(model.model[-1], "lrpc")


def lacks_words(model: Any) -> bool:
    """Return whether a model still needs classes: a YOLOE with prompts."""
    return isinstance(model, YOLOE) and knows_words(model) and not hasattr(model, "pe")


def set_words(model: Any, classes: Sequence[str], embeddings: Tensor | None) -> None:
    """Make words the classes of a model; see :meth:`~metafusion_yolo.engine.loading.LoadedModel.set_classes`."""
    if not knows_words(model):
        head = type(model.model[-1]).__name__ if hasattr(model, "model") else "of an export"
        raise UserTypeError(
            f"set_classes() is for open-vocabulary detectors such as yolov8s-world.pt; this head is {head}, and its "
            "classes are those it was trained on"
        )
    if isinstance(classes, str) or not classes or not all(isinstance(name, str) and name for name in classes):
        raise UserValueError(f"set_classes({classes!r}): expected a list of words, such as ['person', 'car']")
    names = check_class_names([*classes])
    features = _features(model, [*classes]) if embeddings is None else _checked(embeddings, len(names))
    if isinstance(model, WORLD):
        model.txt_feats, model.model[-1].nc, model.names = features, len(names), names
    else:
        model.set_classes([*classes], features)


def _features(model: Any, classes: list[str]) -> Tensor:
    """Return the features of words by the text encoder that the host fetches for a model.

    Raises:
        MissingPackageError: If it is not here, and cannot be fetched.
    """
    try:
        features: Tensor = model.get_text_pe(classes)
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingPackageError(
            f"set_classes() needs the text encoder of this model, which is not available ({one_line(error)}); "
            f"pip install git+https://github.com/ultralytics/CLIP.git and go online once, or give embeddings="
        ) from error
    return features


def _checked(embeddings: Any, count: int) -> Tensor:
    """Return given features (1, count, D), normalised as the encoders do."""
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 3 or embeddings.shape[:2] != (1, count):
        shape = tuple(embeddings.shape) if isinstance(embeddings, Tensor) else type(embeddings).__name__
        raise UserValueError(f"'embeddings' must be a tensor (1, {count}, D), a row for each class, not {shape}")
    return torch.nn.functional.normalize(embeddings.detach().float(), dim=-1)


def refuse_words(model: Any, what: str) -> None:
    """Reject training and validation that need texts for the pairs of a data set.

    Raises:
        TypeError: If the classes of the model are words.
    """
    if isinstance(model, (WORLD, *YOLOE)):
        raise UserTypeError(
            f"a {type(model).__bases__[1].__name__} cannot be {what} on pairs, only used: predict, track, val, export; "
            f"train a detector of fixed classes such as metafusion-yolov8s.yaml, or the front-end alone with "
            f"fusion_only=True"
        )
