"""The two cameras of a data set: pairing of their files, meaning of infrared counts, and registration."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metafusion_yolo.data.cameras import camera_keys
from metafusion_yolo.data.layout import check_layout
from metafusion_yolo.data.pairs import DEFAULT_FOLDER, PairingRule, parse_rule
from metafusion_yolo.data.registration import Registration, Size
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.tasks import native_model
from metafusion_yolo.support.errors import MissingFileError, UserTypeError, UserValueError
from metafusion_yolo.support.resources import read_yaml

ORDER = "R,G,B,IR"
TENSOR = "BCHW"  # the layout in the description of a checkpoint whose images were two files
INPUT_KEY = "pair_input"  # key in a checkpoint's model YAML and an export's metadata


@dataclass(frozen=True)
class Rig:
    """Description of the two cameras in a data-set YAML, which checkpoints and exports store.

    Attributes:
        pairing: Which infrared file belongs to a visible one.
        thermal: What the counts of an infrared file mean.
        registration: Position of the infrared image in the visible one; None for the same field of view.
        layout: Where the two cameras are in files that hold both; None if each has its own.
    """

    pairing: PairingRule = DEFAULT_FOLDER
    thermal: Thermal = field(default_factory=Thermal)
    registration: Registration | None = None
    layout: str | None = None

    @classmethod
    def from_yaml(cls, data: Mapping[str, Any], where: str = "the data-set YAML") -> Rig:
        """Read the keys `infrared`, `thermal`, `registration` and `layout`; others are ignored.

        Keys that are missing are taken from the known camera that `camera` names.

        Raises:
            ValueError: If a value is wrong.
        """
        if data.get("camera") is not None:
            data = {**camera_keys(data["camera"], where), **{k: v for k, v in data.items() if v is not None}}
        return cls(
            parse_rule(data.get("infrared"), where),
            Thermal.from_yaml(data.get("thermal"), where),
            Registration.from_yaml(data.get("registration"), where),
            None if data.get("layout") in (None, TENSOR) else check_layout(str(data["layout"])),
        )

    @classmethod
    def of_file(cls, file: str | Path) -> Rig:
        """Read the cameras from a data-set YAML.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a YAML mapping, or a value is wrong.
        """
        if not Path(file).is_file():
            raise MissingFileError(f"no data-set YAML '{file}'; give the path of an existing file")
        return cls.from_yaml(read_yaml(file), str(file))

    def homography(self, file: str | Path | None, visible: Size, infrared: Size) -> np.ndarray | None:
        """See :meth:`Registration.homography`; None if the cameras are not registered.

        Raises:
            ValueError: If nothing of the infrared image would lie in the visible one.
        """
        matrix = self.registration.homography(file, visible, infrared) if self.registration else None
        if matrix is None:
            return None
        corners = matrix @ [[0, infrared[0], infrared[0], 0], [0, 0, infrared[1], infrared[1]], [1] * 4]
        corners *= np.sign(corners[2, 0])
        x, y = corners[:2] / corners[2] if (corners[2] > 0).all() else np.zeros((2, 1))
        if max(x) < 0 or max(y) < 0 or min(x) > visible[0] or min(y) > visible[1]:
            raise UserValueError(
                f"registration: the infrared image would lie beside the visible one of {visible[0]}x{visible[1]}, at x "
                f"{min(x):.0f} to {max(x):.0f}, y {min(y):.0f} to {max(y):.0f}; correct the matrix, from infrared to "
                f"visible pixels, or let metafusion data register find it"
            )
        return matrix

    def to_yaml(self) -> dict[str, Any]:
        """Return the keys that :meth:`from_yaml` reads, as plain values."""
        keys: dict[str, Any] = {"infrared": self.pairing, "thermal": self.thermal.to_yaml()}
        keys |= {"registration": self.registration.to_yaml()} if self.registration else {}
        return keys | ({"layout": self.layout} if self.layout else {})


def input_description(rig: Rig) -> dict[str, Any]:
    """Return the description of its input that a checkpoint or an export stores."""
    return {"channels": NUM_CHANNELS, "order": ORDER, "range": [0, 1], "layout": TENSOR, **rig.to_yaml()}


def pair_input(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the description of inputs and outputs in an export's metadata; empty for exports of other programs."""
    description = metadata.get(INPUT_KEY) or {}
    return dict(ast.literal_eval(description)) if isinstance(description, str) else description


def rig_of(backend: Any) -> Rig | None:
    """Return the cameras that a model or backend was trained with; None if it was not trained on pairs.

    Raises:
        TypeError: If an export does not read pairs.
        ValueError: If its description is damaged.
    """
    if getattr(backend, "channels", NUM_CHANNELS) != NUM_CHANNELS:
        raise UserTypeError(
            f"this model reads {backend.channels}-channel images, not pairs of {ORDER}; "
            f"give a model trained or exported by metafusion_yolo"
        )
    model: Any = native_model(backend)
    if model is not None:
        description = getattr(model, "yaml", {}).get(INPUT_KEY)
    else:
        description = pair_input(getattr(backend, "metadata", {}))
    return Rig.from_yaml(description, "the model") if description else None
