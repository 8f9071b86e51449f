"""Detectors of torchvision, built as the host builds its own: layers in a sequence, the last of which finds boxes.

So freezing, learning rates of the parts, teaching by the backbone and embeddings work for Faster R-CNN, RetinaNet and
FCOS too. Their losses, anchors and suppression are torchvision's.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.ops import xywh2xyxy

from metafusion_yolo.nn.model_yaml import TORCHVISION, torchvision_yaml
from metafusion_yolo.nn.teaching import run
from metafusion_yolo.support.words import refuse_unknown

BY_CLASS = re.compile(r"(box_predictor\.(cls_score|bbox_pred)|classification_head\.cls_logits)\.\w+$")  # parameters
DETECTION = "torchvision.models.detection"
OURS = {"backbone", "num_classes", "min_size", "max_size", "kwargs"}  # arguments that are not for a model YAML
STRIDE = 32.0  # of the backbones, in pixels


class Maps:
    """Stands for a batch of images where torchvision expects one, once the backbone has made its features.

    Args:
        maps: Features by level, each (B, C, h, w), the finest first.
        size: Height and width of the images.
    """

    def __init__(self, maps: list[Tensor], size: tuple[int, int]) -> None:
        self.maps, self.tensors = maps, self
        self.shape, self.image_sizes = size, [size] * len(maps[0])

    def __iter__(self) -> Iterator[Tensor]:
        """Yield something for each image; torchvision counts them, and asks for a size that is not used."""
        return iter(self.maps[0])


class AsTheyAre(nn.Module):
    """Replaces torchvision's resizing: images are resized and normalised already, boxes are in their pixels."""

    def forward(self, images: Maps, targets: Any) -> tuple[Maps, Any]:
        """Return both unchanged."""
        return images, targets

    def postprocess(self, found: Any, *_: Any) -> Any:
        """Return what was found unchanged."""
        return found


class Neck(nn.Module):
    """The pyramid of a detector, without the backbone below it.

    Args:
        fpn: The pyramid.
        levels: Names of the levels of the backbone that it reads, the finest first.
    """

    def __init__(self, fpn: nn.Module, levels: list[str]) -> None:
        super().__init__()
        self.fpn, self.levels = fpn, levels

    def forward(self, images: Maps) -> dict[str, Tensor]:
        """Return the features of the pyramid by level."""
        features: dict[str, Tensor] = self.fpn(OrderedDict(zip(self.levels, images.maps, strict=True)))
        return features


class TorchvisionDetect(nn.Module):
    """A detector of torchvision from its pyramid on.

    Args:
        detector: The detector; it loses its backbone, and the resizing ahead of it.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        levels = [*detector.backbone.body.return_layers.values()]
        detector.backbone, detector.transform = Neck(detector.backbone.fpn, levels), AsTheyAre()
        self.detector = detector

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Return the boxes (B, K, 6): x1, y1, x2, y2 in pixels, score, class; rows of zeros fill it up.

        Args:
            maps: Features of the backbone by level.
            size: Height and width of the images.
        """
        last = self.detector.roi_heads if hasattr(self.detector, "roi_heads") else self.detector
        rows = []
        for found in self.detector(Maps(maps, size)):
            columns = found["scores"], (found["labels"] - 1).to(found["scores"])  # torchvision's 0 is the background
            boxes = torch.cat((found["boxes"], torch.stack(columns, 1)), 1)
            rows.append(torch.cat((boxes, boxes.new_zeros(last.detections_per_img, 6)))[: last.detections_per_img])
        return torch.stack(rows)

    def losses(self, maps: list[Tensor], size: tuple[int, int], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return torchvision's losses by name, in evaluation too.

        Args:
            maps: Features of the backbone by level.
            size: Height and width of the images.
            targets: Of each image `boxes` (K, 4), x1, y1, x2, y2 in pixels, and `labels` (K,), counted from 1.
        """
        with _learning(self.detector):
            losses: dict[str, Tensor] = self.detector(Maps(maps, size), targets)
        return losses


@contextmanager
def _learning(detector: nn.Module) -> Iterator[None]:
    """Let the parts of a detector return losses, while its norms and drop-out stay as they are."""
    parts = [m for m in detector.modules() if type(m).__module__.startswith(DETECTION) and not m.training]
    for part in parts:
        part.training = True
    try:
        yield
    finally:
        for part in parts:
            part.training = False


class TorchvisionLayers(nn.Sequential):
    """The layers of a detector: normalisation, those of the backbone, and the rest as one.

    A checkpoint holds the name of the detector and its tensors, so it is read by any version of torchvision that has
    the detector.

    Args:
        name: Of the detector, as in torchvision.
        nc: Number of classes, without the background.
        arguments: Of the detector, such as `box_batch_size_per_image`.
        weights: Of torchvision; None for random ones.

    Raises:
        ValueError: If the detector has no such arguments.
    """

    def __init__(self, name: str, nc: int, arguments: dict[str, Any] | None = None, weights: Any = None) -> None:
        from torchvision.models import detection, get_model  # takes seconds, and only these detectors need it
        from torchvision.transforms import Normalize

        class OnACopy(Normalize):
            inplace = property(lambda self: False, lambda self, value: None)  # the host sets it: no more fused image

        arguments = dict(arguments or {})
        kinds = {"fasterrcnn": detection.FasterRCNN, "retinanet": detection.RetinaNet, "fcos": detection.FCOS}
        known = signature(kinds[name.partition("_")[0]]).parameters.keys() - OURS  # torchvision drops others silently
        refuse_unknown(arguments, known, f"in 'arguments:' of {name}")
        detector: Any = get_model(name, weights=weights, weights_backbone=None, num_classes=nc + 1, **arguments)
        norm = OnACopy(detector.transform.image_mean, detector.transform.image_std)
        body = detector.backbone.body
        super().__init__(norm, *body.values(), TorchvisionDetect(detector))
        self.described = name, nc, arguments
        ends = [i + 1 for i, layer in enumerate(body) if layer in body.return_layers]
        for i, layer in enumerate(self):
            size = sum(p.numel() for p in layer.parameters())
            place = ends if isinstance(layer, TorchvisionDetect) else -1
            layer.__dict__.update(i=i, f=place, type=type(layer).__name__, np=size)  # as the host describes a layer
        self.requires_grad_(True)

    def __getitem__(self, index: Any) -> Any:
        """Return a layer, or some in sequence."""
        layers = [*self.children()][index]
        return nn.Sequential(*layers) if isinstance(index, slice) else layers

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the description, and the tensors as the state."""
        return rebuilt, self.described, {"tensors": dict(self.state_dict(keep_vars=True)), "training": self.training}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the tensors, in their precision and on their device."""
        self.load_state_dict(state["tensors"], assign=True)
        self.train(state["training"])


def rebuilt(name: str, nc: int, arguments: dict[str, Any] | None = None) -> TorchvisionLayers:
    """Return layers for the tensors of a checkpoint, without any of their own: no random numbers are drawn."""
    with torch.device("meta"):
        return TorchvisionLayers(name, nc, arguments)


class TorchvisionModel(DetectionModel):
    """A detector of torchvision as a model of the host.

    Args:
        cfg: `detector: torchvision/NAME`, `nc`, `arguments`, and what else the YAML holds.
        ch: Channels of the image, 3.
        nc: Number of classes; None for that of `cfg`.
        verbose: Whether to log a summary.
        weights: Of torchvision; None for random ones.
    """

    end2end = property(lambda self: True, lambda self, value: None)  # torchvision suppresses, so no one else does
    loss_of_batch = False

    def __init__(
        self, cfg: dict[str, Any], ch: int = 3, nc: int | None = None, verbose: bool = True, weights: Any = None
    ) -> None:
        super(DetectionModel, self).__init__()
        name, nc = cfg["detector"].removeprefix(TORCHVISION), nc or cfg["nc"]
        self.model = TorchvisionLayers(name, nc, cfg.get("arguments"), weights)
        backbone = [[-1, 1, layer.type, []] for layer in self.model[:-1]]
        self.yaml = {**cfg, "nc": nc, "backbone": backbone}
        self.save, self.inplace = self.model[-1].f, False
        self.names = {i: f"{i}" for i in range(nc)}
        self.stride = torch.tensor([STRIDE])
        if verbose:
            self.info()

    def _predict_once(self, x: Tensor, profile: bool = False, embed: Any = None) -> Any:
        """Return the boxes (B, K, 6), or embeddings by layer; in training the features, which are not used."""
        features = run(self.model[:-1], x)
        if embed:
            means = [features[i].mean((2, 3)) for i in sorted(set(embed))]
            return torch.unbind(torch.cat(means, 1))
        maps = [features[i] for i in self.model[-1].f]
        return maps if self.training else self.model[-1](maps, tuple(x.shape[-2:]))

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of torchvision's losses of a batch of the host, and each by name."""
        images = batch["img"]
        height, width = images.shape[-2:]
        features = run(self.model[:-1], images)
        boxes = xywh2xyxy(batch["bboxes"]).to(images.device) * images.new_tensor((width, height, width, height))
        labels, owner = batch["cls"].view(-1).long().to(images.device) + 1, batch["batch_idx"].to(images.device)
        whole = (boxes[:, 2:] > boxes[:, :2]).all(1)  # augmentation may have cut one down to a line
        own = [whole & (owner == i) for i in range(len(images))]
        targets = [{"boxes": boxes[rows], "labels": labels[rows]} for rows in own]
        losses = self.model[-1].losses([features[i] for i in self.model[-1].f], (height, width), targets)
        return torch.stack([*losses.values()]).sum(), {name: loss.detach() for name, loss in losses.items()}

    def init_criterion(self) -> None:
        """Return nothing: the losses are the detector's own."""

    def set_head_attr(self, **kwargs: Any) -> None:
        """Leave the detector's own limits of boxes and overlap as they are."""

    def _remap_cls_by_names(self, csd: dict[str, Tensor], src_model: Any, verbose: bool = True) -> int:
        """Load the tensors of each class by its name, and remove them from `csd`."""
        known = {str(name).strip().lower(): i for i, name in dict(getattr(src_model, "names", {})).items()}
        wanted = [str(name).strip().lower() for name in self.names.values()]
        pairs = [(0, 0), *((i + 1, known[name] + 1) for i, name in enumerate(wanted) if name in known)]
        if len(pairs) == 1 or [*known] == wanted:
            return 0
        here, there = (list(rows) for rows in zip(*pairs, strict=True))
        own = self.state_dict()
        taken = [name for name in csd if BY_CLASS.search(name) and name in own]
        for name in taken:
            rows = by_class(name, own[name], len(wanted) + 1)
            rows[:, here] = by_class(name, csd.pop(name), len(src_model.names) + 1)[:, there].to(rows)
        return len(taken)


def by_class(name: str, tensor: Tensor, classes: int) -> Tensor:
    """Return a view (A, classes, N, ...) of a parameter that has rows by anchor, class and number of the box."""
    return tensor.unflatten(0, (-1, classes, 4 if "bbox_pred" in name else 1))


def coco_model(name: str) -> TorchvisionModel:
    """Return a detector of torchvision with its COCO weights, which torchvision fetches, and the 80 classes by name.

    Of the 91 numbers of torchvision, those without a class are left out.

    Args:
        name: `torchvision/NAME`.

    Raises:
        ValueError: If there is no such detector.
        OSError: If the weights are not here and cannot be fetched.
    """
    from torchvision.models import get_model_weights

    cfg = torchvision_yaml(name)
    weights: Any = get_model_weights(name.removeprefix(TORCHVISION)).DEFAULT
    numbered = weights.meta["categories"][1:]
    whole = TorchvisionModel(cfg, nc=len(numbered), verbose=False, weights=weights)
    whole.names = dict(enumerate(numbered))
    named = [category for category in numbered if category != "N/A"]
    model = TorchvisionModel(cfg, nc=len(named), verbose=False)
    model.names = dict(enumerate(named))
    model.load(whole, verbose=False)
    return model
