"""The models of the host with the fusion front-end ahead of them.

The import paths of these classes are part of the checkpoint format: do not move them.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import unwrap_model

from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.support.errors import UserTypeError


class FusionDetectionModel(FrontEndAhead, DetectionModel):
    """Boxes along the axes of the image."""


FUSED: dict[type, type[FrontEndAhead]] = {cls.__bases__[1]: cls for cls in (FusionDetectionModel,)}  # by the host's


def fused_form(stock: Any) -> FrontEndAhead:
    """Return a fused model made of a stock one, whose layers and names it takes over, and a front-end.

    Raises:
        TypeError: If it has no fused form, or does not read images of three channels.
    """
    head = type(getattr(stock, "model", [None])[-1]).__name__
    if type(stock) not in FUSED:
        raise UserTypeError(
            f"a {type(stock).__name__} with the head {head} has no fused form; give a detector such as yolov8n.pt"
        )
    if stock.yaml.get("channels", 3) != 3:
        raise UserTypeError(f"the detector reads {stock.yaml['channels']} channels; give one of colour images")
    return FUSED[type(stock)].ahead_of(stock)


def native_model(backend: Any) -> nn.Module | None:
    """Return the PyTorch model inside a training model or the host's inference backend; None for other formats."""
    if getattr(backend, "format", "pt") != "pt":
        return None
    model = unwrap_model(backend)
    return model if isinstance(model, FrontEndAhead) else getattr(model, "model", None)
