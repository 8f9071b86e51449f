"""Trainer, validator and predictor of each task of the host that has a fused form.

Each is ours for pairs, mixed in before the host's for the task; tasks without boxes have their own modules,
:mod:`metafusion_yolo.engine.classify` and :mod:`metafusion_yolo.engine.maps`. A further task of the host is three such
classes and a row of `TASKS`, here, its model in :mod:`metafusion_yolo.nn.tasks`, and its head in `HEADS` of
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
from metafusion_yolo.engine.maps import (
    FusionDepthPredictor,
    FusionDepthTrainer,
    FusionDepthValidator,
    FusionSemanticSegmentationPredictor,
    FusionSemanticSegmentationTrainer,
    FusionSemanticSegmentationValidator,
)
from metafusion_yolo.engine.predict.predictor import FusionDetectionPredictor
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.engine.validate.measure import FusionOBBMetrics, FusionPoseMetrics, FusionSegmentMetrics
from metafusion_yolo.engine.validate.validator import FusionDetectionValidator
from metafusion_yolo.nn.tasks import (
    FusionClassificationModel,
    FusionDepthModel,
    FusionDetectionModel,
    FusionOBBModel,
    FusionPoseModel,
    FusionSegmentationModel,
    FusionSemanticSegmentationModel,
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


_PARTS = ("model", "trainer", "validator", "predictor")
_CLASSES = {
    "detect": (FusionDetectionModel, FusionDetectionTrainer, FusionDetectionValidator, FusionDetectionPredictor),
    "segment": (
        FusionSegmentationModel,
        FusionSegmentationTrainer,
        FusionSegmentationValidator,
        FusionSegmentationPredictor,
    ),
    "pose": (FusionPoseModel, FusionPoseTrainer, FusionPoseValidator, FusionPosePredictor),
    "obb": (FusionOBBModel, FusionOBBTrainer, FusionOBBValidator, FusionOBBPredictor),
    "classify": (
        FusionClassificationModel,
        FusionClassificationTrainer,
        FusionClassificationValidator,
        FusionClassificationPredictor,
    ),
    "semantic": (
        FusionSemanticSegmentationModel,
        FusionSemanticSegmentationTrainer,
        FusionSemanticSegmentationValidator,
        FusionSemanticSegmentationPredictor,
    ),
    "depth": (FusionDepthModel, FusionDepthTrainer, FusionDepthValidator, FusionDepthPredictor),
}
WHOLE = "classify", "semantic", "depth"  # tasks that say something of the whole pair, and find no objects
TASKS: dict[str, dict[str, type]] = {  # as the host's `task_map`
    task: dict(zip(_PARTS, classes, strict=True)) for task, classes in _CLASSES.items()
}
