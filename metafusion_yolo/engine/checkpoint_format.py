"""The classes of ours that a checkpoint may contain: their import paths are part of its format and never change.

Format 3 (`fusion_format` in the model's YAML) has the front-end with evidence and a chroma of its own; of the formats
before it, whose front-end was another one, fixed rules alone load. Since format 2 the configuration is held as plain
values. Format 1 pickled it as the dataclasses of `config` and `schedule`, which therefore stay where they are.
"""

from importlib import import_module
from typing import Any

FORMAT_CLASSES = (
    *(f"nn.tasks.Fusion{head}Model" for head in ("Detection", "Segmentation", "Pose", "OBB", "RTDETR", "Torchvision")),
    *(f"nn.tasks.Fusion{head}Model" for head in ("Classification", "SemanticSegmentation", "Depth")),
    *(f"nn.tasks.Fusion{head}Model" for head in ("World", "YOLOE", "YOLOESeg")),
    *(f"nn.torchvision_model.{name}" for name in ("TorchvisionModel", "TorchvisionLayers", "rebuilt")),
    "nn.fusion.FusionNet",
    "nn.fusion.WeightDecoder",
    "nn.blocks.ConvAct",
    "nn.blocks.Encoder",
    "nn.blocks.Upsample",
    "nn.meta.MetaFeatureExtractor",
    "nn.attention.MetaFeatureCrossAttention",
    "nn.rules.PixelRule",
    "nn.meeting.Stems",
    "nn.meeting.Join",
    "nn.meeting.Tap",
    "nn.teaching.MetaTeacher",
    "nn.meta.MetaProjection",
    *(f"config.{name}" for name in ("FusionConfig", "Gains", "Meta", "Augment")),  # format 1 only
    *(f"schedule.{name}" for name in ("Schedule", "Phase", "Rates")),  # format 1 only
)


def format_classes() -> list[Any]:
    """Return the classes of :data:`FORMAT_CLASSES`, for PyTorch's allow-list."""
    paths = (path.rpartition(".") for path in FORMAT_CLASSES)
    return [getattr(import_module(f"metafusion_yolo.{module}"), name) for module, _, name in paths]
