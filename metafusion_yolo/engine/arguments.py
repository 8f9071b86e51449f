"""Checks of those arguments of the host that it does not check itself, or reports unclearly."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from ultralytics.utils import DEFAULT_CFG_DICT
from ultralytics.utils.torch_utils import select_device

from metafusion_yolo.support.errors import UserTypeError, UserValueError

LEAST = {"workers": 0, "time": 0, "warmup_epochs": 0, "close_mosaic": 0}
CACHES = (True, False, "ram", "disk")
OTHER_TASKS = {  # arguments of which detection takes no notice, by the task that does
    **dict.fromkeys(("overlap_mask", "mask_ratio", "retina_masks"), "segment"),
    **dict.fromkeys(("dropout", "erasing"), "classify"),
    **dict.fromkeys(("pose", "kobj", "rle"), "pose"),
    **dict.fromkeys(("dlog", "dgrad", "dlam"), "depth"),
    "angle": "obb",
}
ELSEWHERE = ("tpu", "intel", "vulkan")  # devices for exports only


def check_arguments(mode: str, args: Mapping[str, Any], native: bool = True, task: str = "detect") -> None:
    """Reject wrong values before any work.

    Args:
        mode: "train", "val", "predict", "track", "export", ...
        args: The given arguments of the host.
        native: Whether PyTorch runs the model; False for exports.
        task: What the model does.

    Raises:
        ValueError: If a value is out of range, or the device is not available.
        TypeError: If a value has the wrong type.
    """
    given = {key: value for key, value in args.items() if value is not None}
    _check_effect(given, task)
    for key, least in LEAST.items():
        if given.get(key, least) < least:
            raise UserValueError(f"'{key}={given[key]}' must be {least} or more")
    for side in several(given.get("imgsz", 1)):
        if isinstance(side, (int, float)) and side < 1:
            raise UserValueError(
                f"'imgsz={given['imgsz']}' must be 1 pixel or more; it is rounded up to a multiple of 32"
            )
    batch, automatic = given.get("batch", 1), mode == "train"
    if not (isinstance(batch, (int, float)) and batch >= 1 and batch == int(batch)):
        share = automatic and (batch == -1 or (isinstance(batch, float) and 0 < batch < 1))
        if not share:
            hint = ", or -1 or a share of the GPU's memory such as 0.7" if automatic else ""
            raise UserValueError(f"'batch={batch}' must be a whole number of pairs, 1 or more{hint}")
    for key in ("classes", "freeze"):
        for number in several(given.get(key, [])):
            if type(number) is not int or number < 0:
                what = "class numbers, such as 0 or [0, 2]" if key == "classes" else "a number of layers, or a list"
                raise UserTypeError(f"'{key}={given[key]}' must be {what}")
    if given.get("cache", False) not in CACHES:
        raise UserValueError(f"'cache={given['cache']}' must be True, False, ram or disk")
    check_device(given.get("device", ""), native)


def _check_effect(given: Mapping[str, Any], own: str) -> None:
    """Reject arguments without effect on pairs of this task, unless they have the host's default."""
    others = OTHER_TASKS | ({"single_cls": "detect"} if own == "classify" else {})
    for key, task in others.items():
        if task != own and given.get(key, DEFAULT_CFG_DICT[key]) != DEFAULT_CFG_DICT[key]:
            raise UserValueError(f"'{key}={given[key]}' is for the task '{task}' and has no effect here; leave it out")
    for key in ("bgr", "auto_augment"):
        if given.get(key, DEFAULT_CFG_DICT[key]) != DEFAULT_CFG_DICT[key]:
            raise UserValueError(f"'{key}={given[key]}' changes single images, not pairs; leave it out")


def check_classes(classes: Any, names: Mapping[int, str]) -> None:
    """Reject class indices that the model does not have; UserValueError names the first."""
    for number in several([] if classes is None else classes):
        if number not in names:
            raise UserValueError(f"'classes={classes}': there is no class {number}, only 0 to {len(names) - 1}")


def check_device(device: Any, native: bool = True) -> None:
    """Reject a device that is not available.

    Args:
        device: As for the host.
        native: Whether PyTorch runs the model; False for exports.

    Raises:
        ValueError: If the device is not available, or for exports only.
    """
    try:
        found = select_device(device, verbose=False)
    except ValueError as error:
        count = torch.cuda.device_count()
        here = f"PyTorch sees {count} GPUs" if count else "PyTorch sees no GPU"
        raise UserValueError(f"'device={device}' is not available: {here}; give another one, or device=cpu") from error
    if native and str(found).startswith(ELSEWHERE):
        raise UserValueError(f"'device={device}' is for exports only; give device=cpu, or the number of a GPU")


def several(value: Any) -> Iterable[Any]:
    """Return a list or tuple as it is, another value as the only item of a list."""
    return value if isinstance(value, (list, tuple)) else [value]
