"""Known cameras by name: what their counts mean, how their files are named, and their focal lengths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metafusion_yolo.data.registration import Size
from metafusion_yolo.options import CAMERAS as NAMES
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest


class Camera(NamedTuple):
    """A camera as its maker describes it: one with two lenses, or a thermal camera beside any visible one.

    Attributes:
        thermal: What its counts mean, the `thermal:` section of a data-set YAML.
        visible: End of the names of its visible (wide) images; empty if it is a thermal camera alone.
        infrared: End of the names of its thermal images.
        focal: Focal lengths of the visible and the thermal lens, 35 mm equivalent, as published.
        size: (width, height) of the visible images.
        infrared_size: That of the thermal images.
        maker: Of files that hold both images, which `metafusion data init` takes apart; empty for others.
    """

    thermal: Mapping[str, Any]
    visible: str = ""
    infrared: str = ""
    focal: tuple[float, float] = (0, 0)
    size: Size = (0, 0)
    infrared_size: Size = (640, 512)
    maker: str = ""


CELSIUS = {"unit": "celsius"}
CAMERAS = dict(
    zip(
        NAMES,
        (
            Camera(CELSIUS, "_V", "_T", (24, 40), (4000, 3000)),
            Camera(CELSIUS, "_W", "_T", (24, 40), (4000, 3000)),
            Camera(CELSIUS, "_W", "_T", (24, 58), (4056, 3040)),
            Camera({**CELSIUS, "scale": 0.01, "offset": -273.15}),  # TLinear, hundredths of a kelvin
            Camera({**CELSIUS, "scale": 1 / 64, "offset": -273.15}),  # 64ths of a kelvin
            Camera({**CELSIUS, "scale": 0.1, "offset": -100.0}),  # tenths of a degree above -100, by the SDK
            Camera(CELSIUS, maker="Seek"),
            Camera(CELSIUS, maker="Hikvision"),
        ),
        strict=True,
    )
)


def camera_keys(name: Any, where: str = "the data-set YAML") -> dict[str, Any]:
    """Return the keys of a data-set YAML for a camera: pairing, unit, and the registration of far objects.

    Both lenses look along one line, so the registration is a scale about the centre; near objects are shifted by the
    distance of the lenses, which `metafusion data register` measures.

    Raises:
        ValueError: If no such camera is known.
    """
    if name not in [*CAMERAS]:
        raise UserValueError(f"camera: '{name}' in {where} is unknown, {nearest(str(name), CAMERAS)}")
    camera = CAMERAS[name]
    if not camera.visible:
        return {"thermal": dict(camera.thermal)}
    pixels = [f * np.hypot(*size) for f, size in zip(camera.focal, (camera.size, camera.infrared_size), strict=True)]
    scale = float(pixels[0] / pixels[1])
    shift = [(seen - 1) / 2 - scale * (of - 1) / 2 for seen, of in zip(camera.size, camera.infrared_size, strict=True)]
    return {
        "infrared": {"from": camera.visible, "to": camera.infrared},
        "thermal": dict(camera.thermal),
        "registration": {
            "matrix": [[scale, 0.0, shift[0]], [0.0, scale, shift[1]], [0.0, 0.0, 1.0]],
            "visible": list(camera.size),
            "infrared": list(camera.infrared_size),
        },
    }


def shots(name: str, folder: str) -> tuple[str, str]:
    """Return the patterns of the visible and of the thermal images of a camera in a folder.

    Raises:
        ValueError: If it is a thermal camera alone.
    """
    camera = CAMERAS[name]
    if not camera.visible:
        raise UserValueError(f"camera={name} writes thermal images alone; give their folder as infrared=")
    return str(Path(folder) / f"*{camera.visible}.*"), str(Path(folder) / f"*{camera.infrared}.*")
