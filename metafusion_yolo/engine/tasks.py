"""Trainer, validator and predictor of each task of the host that has a fused form.

Each is ours for pairs, mixed in before the host's for the task; classify, whose host builds on no detector, has
:mod:`metafusion_yolo.engine.classify`. A further task of the host is three such classes and a
row of `TASKS`, here, its model in :mod:`metafusion_yolo.nn.tasks`, and its head in `HEADS` of
:mod:`metafusion_yolo.nn.model_yaml`.
"""

from ultralytics.models.yolo.obb import OBBPredictor, OBBTrainer, OBBValidator
from ultralytics.models.yolo.pose import PosePredictor, PoseTrainer, PoseValidator
from ultralytics.models.yolo.segment import SegmentationPredictor, SegmentationTrainer, SegmentationValidator

from metafusion_yolo.engine.classify import (
    FusionClassificationPredictor,
    FusionClassificationTrainer,
    FusionClassificationValidator,
)
from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.validate.measure import FusionOBBMetrics, FusionPoseMetrics, FusionSegmentMetrics
from metafusion_yolo.engine.validate.validator import FusionDetectionValidator
from metafusion_yolo.nn.tasks import (
    FusionClassificationModel,
    FusionDetectionModel,
    FusionOBBModel,
    FusionPoseModel,
    FusionSegmentationModel,
)


class FusionSegmentationPredictor(FusionDetectionPredictor, SegmentationPredictor):
    """Masks."""


class FusionSegmentationValidator(FusionDetectionValidator, SegmentationValidator):
    """Masks."""

    metrics_class = FusionSegmentMetrics


class FusionSegmentationTrainer(FusionDetectionTrainer, SegmentationTrainer):
    """Masks."""

    validator_class = FusionSegmentationValidator


class FusionPosePredictor(FusionDetectionPredictor, PosePredictor):
    """Keypoints."""


class FusionPoseValidator(FusionDetectionValidator, PoseValidator):
    """Keypoints."""

    metrics_class = FusionPoseMetrics


class FusionPoseTrainer(FusionDetectionTrainer, PoseTrainer):
    """Keypoints."""

    validator_class = FusionPoseValidator


class FusionOBBPredictor(FusionDetectionPredictor, OBBPredictor):
    """Oriented boxes."""


class FusionOBBValidator(FusionDetectionValidator, OBBValidator):
    """Oriented boxes."""

    metrics_class = FusionOBBMetrics


class FusionOBBTrainer(FusionDetectionTrainer, OBBTrainer):
    """Oriented boxes."""

    validator_class = FusionOBBValidator


_CLASSIFY = (
    FusionClassificationModel,
    FusionClassificationTrainer,
    FusionClassificationValidator,
    FusionClassificationPredictor,
)
_PARTS = ("model", "trainer", "validator", "predictor")
_DETECT = FusionDetectionModel, FusionDetectionTrainer, FusionDetectionValidator, FusionDetectionPredictor
_SEGMENT = (
    FusionSegmentationModel,
    FusionSegmentationTrainer,
    FusionSegmentationValidator,
    FusionSegmentationPredictor,
)
_POSE = FusionPoseModel, FusionPoseTrainer, FusionPoseValidator, FusionPosePredictor
_OBB = FusionOBBModel, FusionOBBTrainer, FusionOBBValidator, FusionOBBPredictor
TASKS: dict[str, dict[str, type]] = {  # as the host's `task_map`
    task: dict(zip(_PARTS, classes, strict=True))
    for task, classes in (
        *(("detect", _DETECT), ("segment", _SEGMENT), ("pose", _POSE), ("obb", _OBB)),
        ("classify", _CLASSIFY),
    )
}
