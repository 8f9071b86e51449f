"""Figures that a standalone validation adds to the host's: fusion quality, conditions, robustness, misses."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.utils.metrics import DetMetrics, OBBMetrics, PoseMetrics, SegmentMetrics, box_iou
from ultralytics.utils.ops import xywhr2xyxyxyxy

from metafusion_yolo.evaluation.misses import describe_miss, hardest_misses, picture_miss
from metafusion_yolo.evaluation.page import PicturedMiss
from metafusion_yolo.evaluation.report import OVERLAP, SURE, PairRecord, ValidationReport
from metafusion_yolo.evaluation.weights import weigh_boxes
from metafusion_yolo.functional.color import rgb_to_luminance
from metafusion_yolo.functional.metrics import METRICS
from metafusion_yolo.nn.fusion import FusionOutput
from metafusion_yolo.support.drawing import to_uint8


class FusionMetrics(DetMetrics):
    """The host's metrics of a task and, after a standalone validation, our report.

    Attributes:
        report: The report; None in a validation during training.
    """

    report: ValidationReport | None = None

    @property
    def results_dict(self) -> dict[str, float]:
        """The host's figures, and ours as `metrics/MR-2(B)`, `fusion/EN`, `weights/inside`, `night/mAP50`."""
        return super().results_dict | (self.report.results_dict if self.report else {})


class FusionSegmentMetrics(FusionMetrics, SegmentMetrics):
    """Boxes and masks."""


class FusionPoseMetrics(FusionMetrics, PoseMetrics):
    """Boxes and keypoints."""


class FusionOBBMetrics(FusionMetrics, OBBMetrics):
    """Oriented boxes."""


def content_area(target: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return x, y, x, y of an image inside its letterbox, in pixels of the network's input, from its labels."""
    (gain_y, gain_x), (left, top) = target["ratio_pad"]
    height, width = (round(n * gain) for n, gain in zip(target["ori_shape"], (gain_y, gain_x), strict=True))
    return left, top, min(left + width, target["imgsz"][1]), min(top + height, target["imgsz"][0])


def measure_fusion(
    record: PairRecord, pair: Tensor, fusion: FusionOutput, i: int, target: dict[str, Any], metrics: Sequence[str]
) -> None:
    """Add fusion metrics and weights to the record of a pair.

    Args:
        record: The record.
        pair: (4, H, W), R, G, B, IR in [0, 1].
        fusion: Output of the front-end for the batch.
        i: Index of the pair in the batch.
        target: The host's labels of the pair.
        metrics: Names of the fusion metrics.
    """
    x0, y0, x1, y1 = area = content_area(target)
    if metrics:
        pair, fused = (image[None, :, y0:y1, x0:x1].float() for image in (pair, fusion.fused[i]))
        planes = rgb_to_luminance(fused).clamp(0, 1), rgb_to_luminance(pair[:, :3]).clamp(0, 1), pair[:, 3:]
        record.quality = {name: METRICS[name](*planes).item() for name in metrics}
    weights = fusion.weights[i, 1].float().cpu().numpy()
    record.weights = weigh_boxes(weights, record.boxes_xyxy, area)


def record_pair(pred: dict[str, Tensor], target: dict[str, Any], condition: str) -> PairRecord:
    """Return the record of a pair from the host's detections (`bboxes`, `conf`, `cls`) and labels."""
    boxes, found, classes = upright(target["bboxes"]), upright(pred["bboxes"]), target["cls"]
    best = torch.zeros(len(boxes), device=boxes.device)
    if len(boxes) and len(pred["cls"]):
        fits = (box_iou(boxes, found) >= OVERLAP) & (classes[:, None] == pred["cls"])
        best = (fits * pred["conf"]).amax(1)
    rows = torch.cat((found, pred["conf"][:, None], pred["cls"][:, None].float()), 1)
    return PairRecord(
        target["im_file"],
        condition,
        {},
        boxes.float().cpu().numpy(),
        best.float().cpu().numpy(),
        rows[pred["conf"] >= SURE].float().cpu().numpy(),
    )


def upright(boxes: Tensor) -> Tensor:
    """Return boxes (K, 4) x y x y as they are, and of oriented ones (K, 5) x y w h angle the boxes around them."""
    if boxes.shape[-1] != 5:
        return boxes.reshape(-1, 4)
    corners = xywhr2xyxyxyxy(boxes)
    return torch.cat((corners.amin(1), corners.amax(1)), 1)


def picture_misses(
    records: Sequence[PairRecord],
    read: Callable[[str], Tensor],
    front_end: Callable[[Tensor], FusionOutput] | None,
    names: dict[int, str],
) -> list[PicturedMiss]:
    """Return the hardest misses with pictures of both cameras, and of the fused image where there is one.

    Args:
        records: What was found in every pair.
        read: Returns the pair (1, 4, H, W) of a visible image as the network's input, [0, 1].
        front_end: The front-end; None for exports.
        names: Class names.
    """
    pictured = []
    views: dict[str, dict[str, np.ndarray]] = {}
    for miss in hardest_misses(records):
        file = miss.record.file
        if file not in views:
            pair = read(file)
            images = {"visible": pair[0, :3], "infrared": pair[0, 3:].expand(3, -1, -1)}
            images |= {"fused": front_end(pair).fused[0]} if front_end else {}
            views[file] = {name: to_uint8(image) for name, image in images.items()}
        name = names[int(miss.record.found["both"]["target_cls"][miss.k])]
        shown = "/".join(Path(file).parts[-2:])
        pictured.append((shown, describe_miss(miss, name), picture_miss(miss, views[file])))
    return pictured
