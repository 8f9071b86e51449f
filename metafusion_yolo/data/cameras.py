"""Cameras that are known by name: how they call the two images of a shot, and how far their lenses see."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metafusion_yolo.data.registration import Size
from metafusion_yolo.options import CAMERAS as NAMES
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest


class Camera(NamedTuple):
    """A camera of two lenses, as its maker describes it.

    Attributes:
        visible: End of the names of its visible (wide) images.
        infrared: End of the names of its thermal images.
        focal: Focal lengths of the visible and the thermal lens, 35 mm equivalent, as published.
        size: (width, height) of the visible images.
        infrared_size: That of the thermal images.
    """

    visible: str
    infrared: str
    focal: tuple[float, float]
    size: Size
    infrared_size: Size = (640, 512)


CAMERAS = dict(
    zip(
        NAMES,
        (
            Camera("_V", "_T", (24, 40), (4000, 3000)),
            Camera("_W", "_T", (24, 40), (4000, 3000)),
            Camera("_W", "_T", (24, 58), (4056, 3040)),
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
    if name not in CAMERAS:
        raise UserValueError(f"camera: '{name}' in {where} is unknown, {nearest(str(name), CAMERAS)}")
    camera = CAMERAS[name]
    pixels = [f * np.hypot(*size) for f, size in zip(camera.focal, (camera.size, camera.infrared_size), strict=True)]
    scale = float(pixels[0] / pixels[1])
    shift = [(seen - 1) / 2 - scale * (of - 1) / 2 for seen, of in zip(camera.size, camera.infrared_size, strict=True)]
    return {
        "infrared": {"from": camera.visible, "to": camera.infrared},
        "thermal": {"unit": "celsius"},
        "registration": {
            "matrix": [[scale, 0.0, shift[0]], [0.0, scale, shift[1]], [0.0, 0.0, 1.0]],
            "visible": list(camera.size),
            "infrared": list(camera.infrared_size),
        },
    }


def shots(name: str, folder: str) -> tuple[str, str]:
    """Return the patterns of the visible and of the thermal images of a camera in a folder."""
    camera = CAMERAS[name]
    return str(Path(folder) / f"*{camera.visible}.*"), str(Path(folder) / f"*{camera.infrared}.*")
