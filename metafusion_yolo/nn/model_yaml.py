"""Model YAMLs: a detector of the host by name, and the `fusion:` section for the front-end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.nn.tasks import yaml_model_load

from metafusion_yolo.config import FusionConfig
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.resources import find_model_yaml, read_yaml, split_scale
from metafusion_yolo.support.words import nearest, refuse_unknown

HOST_KEYS = ("activation", "end2end", "reg_max")  # optional in a host YAML
TORCHVISION = "torchvision/"  # before the name of a detector
TORCHVISION_KINDS = "fasterrcnn_", "retinanet_", "fcos_"
HEADS = {  # of the host that have a fused form, and their tasks; a number behind the name is the family's
    **dict.fromkeys(("Detect", "v10Detect", "RTDETRDecoder", "WorldDetect", "YOLOEDetect"), "detect"),
    "TorchvisionDetect": "detect",
    **dict.fromkeys(("Segment", "YOLOESegment"), "segment"),
    "Pose": "pose",
    "OBB": "obb",
    "Classify": "classify",
    "SemanticSegment": "semantic",
    "Depth": "depth",
}


def head_of(model: dict[str, Any]) -> str:
    """Return the name of the head of a host's model dictionary, a key of :data:`HEADS` if it has a fused form.

    Examples:
        >>> head_of({"head": [[[15, 18, 21], 1, "Pose26", ["nc", "kpt_shape"]]]})
        'Pose'
    """
    return str(model["head"][-1][2]).removesuffix("26")


def load_model_yaml(name: str | Path) -> dict[str, Any]:
    """Read one of our model YAMLs: a host detector by name, and the `fusion:` section for the front-end.

    Args:
        name: File or shipped name, with a scale letter (`metafusion-yolov8n.yaml`). A name that ships for no family,
            such as `metafusion-yolo11n-seg.yaml`, is the host's `yolo11n-seg.yaml` behind the default front-end.

    Returns:
        The host's model dictionary (backbone, head, scales, nc, ...) with the key `fusion`.

    Raises:
        FileNotFoundError: If there is no such YAML, or the host has no such detector.
        ValueError: If it names no detector, or has an unknown key or a bad value.
        TypeError: If a value of the `fusion:` section has the wrong type.
    """
    path, own = read_own(name)
    if not isinstance(own.get("detector"), str):
        raise UserValueError(
            f"model YAML '{path}' has no 'detector:'; expected the name of an Ultralytics detection YAML, "
            f"such as 'detector: yolov8.yaml'"
        )
    FusionConfig.from_dict(own.get("fusion"))
    model = _host_yaml(own["detector"], path)
    head = (own.get("head") or model.get("head") or [[-1, 1, ""]])[-1][2]
    if "head" not in model or head.removesuffix("26") not in HEADS:
        what = f"has the head {head}, which has no fused form" if "head" in model else "is no model"
        raise UserValueError(f"'detector: {own['detector']}' of '{path}' {what}; give one such as yolov8.yaml")
    refuse_unknown(own, {"detector", "fusion", *HOST_KEYS, *model}, f"in '{path}'")
    scale = own.get("scale") or split_scale(Path(name).name)[1] or model["scale"]
    scales = model.get("scales") or {scale: ()}
    scale = scale or next(iter(scales))  # as the host takes it
    if scale not in scales:
        raise UserValueError(f"'scale: {scale}' in '{path}' is unknown, {nearest(scale, scales)}")
    if type(own.get("nc", 1)) is not int or own.get("nc", 1) < 1:
        raise UserValueError(f"'nc: {own['nc']}' in '{path}' must be a number of classes, 1 or more")
    if not isinstance(own.get("arguments") or {}, dict):
        raise UserValueError(f"'arguments: {own['arguments']}' in '{path}' must be a mapping of names to values")
    for key in ("backbone", "head"):
        if not own.get(key, model[key]):
            raise UserValueError(f"'{key}:' in '{path}' is empty; give its layers, or leave it out")
    return {**model, **own, "scale": scale, "yaml_file": Path(name).name}


def task_named(name: str | Path) -> str:
    """Return the task of a model YAML, see :func:`load_model_yaml`."""
    return HEADS[head_of(load_model_yaml(name))]


def _host_yaml(detector: str, path: Path) -> dict[str, Any]:
    """Return the dictionary of a detector of the host or of torchvision, which `path` names."""
    if detector.startswith(TORCHVISION):
        return torchvision_yaml(detector)
    try:
        model: dict[str, Any] = yaml_model_load(detector)
    except FileNotFoundError as error:
        raise MissingFileError(
            f"'detector: {detector}' of '{path}' does not exist; give a detection YAML of Ultralytics, such as "
            f"yolov8.yaml"
        ) from error
    return model


def torchvision_yaml(name: str) -> dict[str, Any]:
    """Return a stand-in for the model dictionary of `torchvision/NAME`; its layers are known once it is built.

    Raises:
        ValueError: If there is no such detector, or one that has no fused form.
    """
    if (short := name.removeprefix(TORCHVISION)) not in torchvision_names():
        raise UserValueError(
            f"'{name}' is not a torchvision detector with a fused form, {nearest(short, torchvision_names())}"
        )
    layers = {"backbone": [[]], "head": [[-1, 1, "TorchvisionDetect", []]]}
    return {"detector": name, "arguments": {}, "nc": 80, "scale": "", **layers}


def torchvision_names() -> list[str]:
    """Return the names of the detectors of torchvision that have a fused form."""
    from torchvision.models import detection, list_models

    return [name for name in list_models(module=detection) if name.startswith(TORCHVISION_KINDS)]


def read_own(name: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return path and content of a YAML of ours, or a stand-in for one that would only name a model of the host."""
    try:
        path = find_model_yaml(name)
    except MissingFileError:
        path = Path(name)
        detector = path.name.removeprefix("metafusion-")
        if path.parent != Path() or detector == path.name:
            raise
        if detector.startswith((*TORCHVISION_KINDS, "ssd", "maskrcnn_", "keypointrcnn_")):  # to be told what there is
            return path, {"detector": f"{TORCHVISION}{Path(detector).stem}"}
        try:
            yaml_model_load(detector)
        except FileNotFoundError:
            detector = ""
        if not detector:
            raise
        return path, {"detector": detector}
    return path, read_yaml(path)
