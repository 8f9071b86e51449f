"""How the two cameras of a data set go together: which files pair up, what the counts mean, where the images lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metafusion_yolo.data.pairs import DEFAULT_FOLDER, PairingRule, parse_rule
from metafusion_yolo.data.registration import Registration, Size
from metafusion_yolo.data.thermal import Thermal
from metafusion_yolo.resources import read_yaml


@dataclass(frozen=True)
class Rig:
    """All that a data-set YAML says of its two cameras, and that a checkpoint and an export remember.

    Attributes:
        pairing: Which infrared file belongs to a visible one.
        thermal: What the counts of an infrared file mean.
        registration: Where the infrared image lies in the visible one; None: the same field of view.
    """

    pairing: PairingRule = DEFAULT_FOLDER
    thermal: Thermal = field(default_factory=Thermal)
    registration: Registration | None = None

    @classmethod
    def from_yaml(cls, data: Mapping[str, Any], where: str = "the data-set YAML") -> Rig:
        """Read the keys `infrared`, `thermal` and `registration`; others are not looked at.

        Raises:
            ValueError: For a wrong value, in one line.
        """
        return cls(
            parse_rule(data.get("infrared"), where),
            Thermal.from_yaml(data.get("thermal"), where),
            Registration.from_yaml(data.get("registration"), where),
        )

    @classmethod
    def of_file(cls, file: str | Path) -> Rig:
        """Read a data-set YAML, of which nothing else is looked at.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no YAML mapping, or for a wrong value.
        """
        if not Path(file).is_file():
            raise FileNotFoundError(f"no data-set YAML '{file}'; give the path of an existing file")
        data = read_yaml(file, "data-set YAML; expected keys such as 'infrared' and 'thermal'")
        return cls.from_yaml(data, str(file))

    def homography(self, file: str | Path | None, visible: Size, infrared: Size) -> np.ndarray | None:
        """See :meth:`Registration.homography`; None if the cameras are not registered."""
        return self.registration.homography(file, visible, infrared) if self.registration else None

    def to_yaml(self) -> dict[str, Any]:
        """Return the keys that :meth:`from_yaml` reads, of plain values."""
        keys: dict[str, Any] = {"infrared": self.pairing, "thermal": self.thermal.to_yaml()}
        return keys | ({"registration": self.registration.to_yaml()} if self.registration else {})
