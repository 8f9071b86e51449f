"""A model in ten lines, for `print(model)`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.utils.torch_utils import get_num_params

from metafusion_yolo.data.rig import INPUT_KEY, Rig, rig_of
from metafusion_yolo.nn.front_end import FrontEndAhead

NAMED = 6  # classes


def describe_model(name: str, model: Any, checkpoint: dict[str, Any] | None, file: Any = None) -> str:
    """Return what a model is made of and where it comes from.

    Args:
        name: Of its file.
        model: The fused detector, or the path of an export.
        checkpoint: What the file of its weights held; empty or None for random weights.
        file: The file of its weights.
    """
    if not isinstance(model, FrontEndAhead):
        return f"MetaFusionYOLO '{name}'\n  an export; its classes and cameras are read at the first prediction"
    names, rig = list(model.names.values()), rig_of(model)
    classes = ", ".join(map(str, names[:NAMED])) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    front_end, whole = get_num_params(model.fusion), get_num_params(model)
    attends = model.config.attention and model.config.method == "learned"
    detector = f"{Path(str(model.yaml.get('yaml_file', 'YOLO'))).stem}, {type(model.model[-1]).__name__}"
    strides = ", ".join(f"{int(stride)}" for stride in model.stride)
    stem = "" if model.config.meet == "image" else f"infrared stem up to {model.config.meet}, "
    rows = {
        "task": model.task,
        "input": "pairs (B, 4, H, W): R, G, B, IR in [0, 1]",
        "front-end": f"{model.config.method}{' with cross-attention' * attends}, {front_end:,} parameters",
        "detector": f"{detector} head, strides {strides}, {stem}{whole - front_end:,} parameters",
        "classes": f"{len(names)}: {classes}",
        "cameras": "not described: infrared image as it is" if rig is None else _cameras(rig),
        "parameters": f"{whole:,}",
        "start": _start(INPUT_KEY in model.yaml, checkpoint, file),
    }
    return "\n".join([f"MetaFusionYOLO '{name}'", *(f"  {key:<11}{value}" for key, value in rows.items())])


def _cameras(rig: Rig) -> str:
    """Return how infrared counts become grey levels, and how the infrared image comes to lie on the visible one."""
    place = "as it is" if rig.registration is None else "registered onto the visible one"
    turned = {False: "", "auto": ", black-hot sequences inverted"}.get(rig.thermal.invert, ", inverted")
    return f"infrared image {place}, counts by {rig.thermal.normalize}{turned}"


def _start(fused: bool, checkpoint: dict[str, Any] | None, file: Any) -> str:
    """Return what has been learned, and from what."""
    if not checkpoint:
        return "random weights"
    args = checkpoint.get("train_args") or {}
    if not fused:
        return f"weights of {file}, not trained on pairs"
    before = args.get("pretrained")
    return f"trained on {args.get('data')} from {before if isinstance(before, str) else 'random weights'}"
