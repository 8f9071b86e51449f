"""Our arguments of a training, passed through the host's checks and processes.

They travel as the host's own do: in the trainer's arguments, `args.yaml` and checkpoints, as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from metafusion_yolo.config import FusionConfig, dotted, section_of
from metafusion_yolo.data.augment import missing_albumentations_named, moves
from metafusion_yolo.support.errors import UserTypeError, UserValueError

LISTS = ("augmentations", "infrared_augmentations")  # of Albumentations; the first is the host's


def is_own(name: str) -> bool:
    """Return whether an argument is unknown to the host: `infrared_augmentations`, `fusion.gains.ssim`."""
    return name == LISTS[1] or name.startswith("fusion.")


def plain_arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a training with ours as plain values: dotted `fusion.` keys, transforms as dictionaries.

    Raises:
        ValueError: For an unknown key under `fusion:`, or a value out of its range.
        TypeError: For a value of a wrong type.
        ModuleNotFoundError: For transforms if Albumentations is not installed.
    """
    plain = dict(args)
    section = plain.pop("fusion", None) or {}
    if not isinstance(section, Mapping):
        raise UserTypeError(f"'fusion={section}' must be a mapping, such as {{'gains': {{'gradient': 5}}}}")
    FusionConfig.from_dict(section)
    plain |= dotted(section)
    FusionConfig.from_dict(section_of(plain))
    for name in LISTS:
        if name in plain:
            plain[name] = plain_transforms(name, plain[name])
    return plain


def plain_transforms(name: str, transforms: Any) -> list[dict[str, Any]] | None:
    """Return Albumentations transforms as dictionaries; the host does so too, but only with its own argument.

    Raises:
        ValueError: If a transform cannot be written down, or moves the infrared image alone.
        TypeError: If they are not a list of transforms.
        ModuleNotFoundError: If Albumentations is not installed.
    """
    if not transforms:
        return None
    with missing_albumentations_named(name):
        import albumentations as A

    wanted = f"{name}= must be a list of Albumentations transforms, such as [A.Blur(p=0.5)]"
    if not isinstance(transforms, (list, tuple)):
        raise UserTypeError(f"{wanted}, not {type(transforms).__name__}")
    plain = []
    for transform in transforms:
        if isinstance(transform, A.Lambda):
            raise UserValueError(
                f"{name}: A.Lambda cannot be kept in a checkpoint; write a class that derives from "
                f"A.ImageOnlyTransform or A.DualTransform"
            )
        try:
            built: Any = A.from_dict(dict(transform)) if isinstance(transform, Mapping) else transform
            plain.append(A.to_dict(built))
        except Exception as error:
            raise UserTypeError(f"{wanted}; {transform!r} is not one ({error})") from error
        if name == LISTS[1] and moves(built):
            raise UserValueError(
                f"infrared_augmentations: {type(built).__name__} moves the image, and would move the infrared one "
                f"alone; give it as augmentations=, where it moves both cameras and the boxes"
            )
    return plain


def for_the_host(args: SimpleNamespace) -> dict[str, Any]:
    """Return the arguments of a trainer without ours, for a part of the host that checks them again."""
    return {name: value for name, value in vars(args).items() if not is_own(name)}
