"""The models of the host with the fusion front-end ahead of them, and which of them a model YAML describes.

The import paths of the classes are part of the checkpoint format: do not move them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import (
    ClassificationModel,
    DepthModel,
    DetectionModel,
    OBBModel,
    PoseModel,
    RTDETRDetectionModel,
    SegmentationModel,
    SemanticSegmentationModel,
    WorldModel,
    YOLOEModel,
    YOLOESegModel,
)
from ultralytics.utils.torch_utils import unwrap_model

from metafusion_yolo.nn.front_end import FrontEndAhead
from metafusion_yolo.nn.fusion import STRIDE
from metafusion_yolo.nn.model_yaml import HEADS, head_of, load_model_yaml
from metafusion_yolo.nn.torchvision_model import TorchvisionModel
from metafusion_yolo.support.errors import UserTypeError


class FusionDetectionModel(FrontEndAhead, DetectionModel):
    """Boxes along the axes of the image."""

    meets = True


class FusionSegmentationModel(FrontEndAhead, SegmentationModel):
    """Boxes, and a mask in each."""

    meets = True


class FusionPoseModel(FrontEndAhead, PoseModel):
    """Boxes, and keypoints in each."""

    meets = True


class FusionOBBModel(FrontEndAhead, OBBModel):
    """Oriented boxes."""

    meets = True


class FusionClassificationModel(FrontEndAhead, ClassificationModel):
    """The class of the whole image."""

    loss_of_batch = False

    def _add_front_end(self) -> None:
        """Build the front-end, whose stride is that of the model: the host's classifier takes any size."""
        super()._add_front_end()
        self.stride = torch.tensor([float(STRIDE)])
        self.__dict__.pop("transforms", None)  # of a stock checkpoint, of single images


class FusionSemanticSegmentationModel(FrontEndAhead, SemanticSegmentationModel):
    """The class of each pixel."""

    meets = True


class FusionDepthModel(FrontEndAhead, DepthModel):
    """The distance of each pixel."""

    meets = True


class FusionRTDETRModel(FrontEndAhead, RTDETRDetectionModel):
    """Boxes along the axes of the image, by a transformer that finds each object once.

    The output is that of the host's other detectors without NMS, (B, K, 6): x1, y1, x2, y2 in pixels, score, class, so
    exports and all else can read it. The host's RT-DETR returns shares of the image, and stretches images to a square;
    here they are letterboxed.
    """

    loss_of_batch = False
    end2end = property(lambda self: True, lambda self, value: None)  # the host's switch, which has one position here

    def predict(self, x: Tensor, *args: Any, embed: Any = None, **kwargs: Any) -> Any:
        """Return the host's output with the boxes in pixels."""
        preds = super().predict(x, *args, embed=embed, **kwargs)
        if self.training or embed:
            return preds
        found, *rest = preds if isinstance(preds, tuple) else (preds,)
        size = torch._shape_as_tensor(x)[[3, 2, 3, 2]].to(found)  # traced, so an export may be of any size
        centre, half = found[..., :2], found[..., 2:4] / 2
        boxes = torch.cat((torch.cat((centre - half, centre + half), -1) * size, found[..., 4:]), -1)
        return (boxes, *rest) if rest else boxes

    def set_head_attr(self, **kwargs: Any) -> None:
        """Set attributes of the head; those of NMS have no effect, as it needs none."""
        super().set_head_attr(**{key: value for key, value in kwargs.items() if key != "agnostic_nms"})


class FusionTorchvisionModel(FrontEndAhead, TorchvisionModel):
    """Boxes along the axes of the image, by Faster R-CNN, RetinaNet or FCOS of torchvision."""

    loss_of_batch = False


class FusionWorldModel(FrontEndAhead, WorldModel):
    """Boxes of objects that words name, by YOLO-World."""


class FusionYOLOEModel(FrontEndAhead, YOLOEModel):
    """Boxes of objects that words name, by YOLOE."""


class FusionYOLOESegModel(FrontEndAhead, YOLOESegModel):
    """Boxes and masks of objects that words name, by YOLOE."""


BY_HEAD: dict[str, type[FrontEndAhead]] = {
    "Detect": FusionDetectionModel,
    "v10Detect": FusionDetectionModel,
    "Segment": FusionSegmentationModel,
    "Pose": FusionPoseModel,
    "OBB": FusionOBBModel,
    "Classify": FusionClassificationModel,
    "SemanticSegment": FusionSemanticSegmentationModel,
    "Depth": FusionDepthModel,
    "RTDETRDecoder": FusionRTDETRModel,
    "TorchvisionDetect": FusionTorchvisionModel,
    "WorldDetect": FusionWorldModel,
    "YOLOEDetect": FusionYOLOEModel,
    "YOLOESegment": FusionYOLOESegModel,
}
FUSED_FORM = {cls.__bases__[1]: cls for cls in BY_HEAD.values()}  # by the host's class


def build_model(cfg: str | Path | dict[str, Any], **kwargs: Any) -> FrontEndAhead:
    """Build the fused model that a YAML or the dictionary of a checkpoint describes.

    Args:
        cfg: Name or path of a model YAML, or its content.
        **kwargs: See :class:`~metafusion_yolo.nn.front_end.FrontEndAhead`.
    """
    cfg = cfg if isinstance(cfg, dict) else load_model_yaml(cfg)
    return BY_HEAD[head_of(cfg)](cfg, **kwargs)


def task_of(model: Any) -> str:
    """Return the task of a fused model, as its head has it."""
    return HEADS[head_of(model.yaml)]


def fused_form(stock: Any, meet: str = "auto") -> FrontEndAhead:
    """Return a fused model made of a stock one, whose layers and names it takes over, and a front-end.

    Args:
        stock: The model of the host.
        meet: Where the cameras meet, see :meth:`~metafusion_yolo.nn.front_end.FrontEndAhead.ahead_of`.

    Raises:
        TypeError: If it has no fused form, or does not read images of three channels.
    """
    head = type(getattr(stock, "model", [None])[-1]).__name__
    if type(stock) not in FUSED_FORM:
        raise UserTypeError(
            f"a {type(stock).__name__} with the head {head} has no fused form; give a detector such as yolov8n.pt"
        )
    if stock.yaml.get("channels", 3) != 3:
        raise UserTypeError(f"the detector reads {stock.yaml['channels']} channels; give one of colour images")
    return FUSED_FORM[type(stock)].ahead_of(stock, meet)


def native_model(backend: Any) -> nn.Module | None:
    """Return the PyTorch model inside a training model or the host's inference backend; None for other formats."""
    if getattr(backend, "format", "pt") != "pt":
        return None
    model = unwrap_model(backend)
    return model if isinstance(model, FrontEndAhead) else getattr(model, "model", None)
