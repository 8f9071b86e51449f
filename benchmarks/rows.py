"""The rows of the accuracy table: what is trained, by which `fusion:` section, and how it is looked at."""

from __future__ import annotations

from metafusion_yolo.compare.rows import BOTH, INFRARED, UNDROPPED, VISIBLE, Row, rule
from metafusion_yolo.config import FusionConfig

PHASES = {
    "warmup": {"fraction": 0.2, "lr": {"backbone": 0.0, "head": 0.0}, "joint": False},
    "joint": {"fraction": 0.4, "lr": {"fusion": 1.0, "backbone": 1.0, "head": 1.0}, "joint": True},
    "finetune": {"fraction": 0.4, "lr": {"fusion": 0.0, "backbone": 0.0, "head": 1.0}, "joint": True},
}
CASCADE = "metafusion-cascade-yolov8n.yaml"
ATTENTION = {"attention": True}
TEACHING = {**ATTENTION, "gains": {"meta": 1.0}}
BILEVEL = {**TEACHING, "meta": {"interval": 4}}
SCHEDULE = {"schedule": PHASES}
FROZEN_FIRST = {
    "schedule": {
        "warmup": {"fraction": 0.34, "lr": {"fusion": 0.2, "backbone": 0.0, "head": 1.0}, "joint": True},
        "joint": {"fraction": 0.66},
    }
}
JITTER = {"augment": {"share_jitter": 3.0}}
FROZEN = {"schedule": {"joint": {"lr": {"fusion": 0.0}}}}
SPOILT = {"augment": {"modality_dropout": 0.0, "degradation": FusionConfig().augment.degradation}}
DROPPED = {"augment": {"modality_dropout": FusionConfig().augment.modality_dropout}}  # as for the default

TWO_BACKBONES = {**rule("average"), "meet": "P5"}  # joined at every level that the neck reads, by weights of 0.5

SHIFTED = tuple(f"shift-{n}" for n in (2, 4, 8, 16))


ROWS = {
    "visible": Row("stock YOLOv8n, visible camera", rule("visible")),
    "infrared": Row("stock YOLOv8n, infrared camera", rule("infrared")),
    "average": Row("stock YOLOv8n on the mean image", rule("average")),
    "maximum": Row("stock YOLOv8n on the maximum image", rule("maximum")),
    "early": Row("stock YOLOv8n, 4-channel stem", baseline="early"),
    "false-colour": Row("stock YOLOv8n on (luminance, mean, infrared)", rule("false-colour")),
    "average-dropped": Row(
        "average, a camera blanked now and then as for the default",
        {**rule("average"), **DROPPED},
        views=(BOTH, VISIBLE, INFRARED),
    ),
    "false-colour-dropped": Row(
        "false colour, the same", {**rule("false-colour"), **DROPPED}, views=(BOTH, VISIBLE, INFRARED)
    ),
    "average-spoilt": Row("average, pairs spoilt as often as for the default", {**rule("average"), **SPOILT}),
    "false-colour-spoilt": Row("false colour, the same", {**rule("false-colour"), **SPOILT}),
    "mid-spoilt": Row("two backbones, pairs spoilt as often as for the default", {**TWO_BACKBONES, **SPOILT}),
    "mid": Row("two backbones, joined per level", TWO_BACKBONES),
    "late": Row("both single-camera detectors, one NMS", baseline="late", needs=("visible", "infrared")),
    "separate": Row("fusion losses first, detector after", model="metafusion-separate-yolov8n.yaml"),
    "cascade": Row("joint losses, no embedding", model=CASCADE),
    "attention": Row("cascade + cross-attention", ATTENTION, CASCADE),
    "teaching": Row("cascade + cross-attention + meta teaching", TEACHING, CASCADE),
    "bilevel": Row("cascade + cross-attention + meta teaching + bilevel", BILEVEL, CASCADE),
    "schedule": Row("cascade + three-phase schedule", SCHEDULE, CASCADE),
    "jitter": Row("cascade + share jitter", JITTER, CASCADE),
    "all": Row("cascade + all of the above", {**BILEVEL, **SCHEDULE, **JITTER}, CASCADE),
    "default": Row("the shipped configuration", views=(BOTH, VISIBLE, INFRARED, *SHIFTED)),
    "meet-image": Row("default, but the detector reads the fused image", {"meet": "image"}),
    **{
        f"meet-{level}": Row(f"default, a stem for each camera up to {level}", {"meet": level})
        for level in ("P2", "P3", "P4", "P5")
    },
    "frozen": Row("default, front-end frozen at its start: a fixed blend", FROZEN),
    "frozen-first": Row("default, backbone and its batch norm frozen for the first third", FROZEN_FIRST),
    "look-ahead": Row("default, meta teaching and look-ahead", BILEVEL),
    "default-jittered": Row("default, weights jittered in training", JITTER),
    "undropped": Row("default, no camera ever blanked", UNDROPPED),
    "shifted": Row(
        "default, infrared shifted in training", {"augment": {"infrared_shift": 0.016}}, views=(BOTH, *SHIFTED)
    ),
    "distilled": Row("default, distilled from mid-fusion", needs=("mid",)),
    "self": Row(
        "default, and pairs without labels by its own labels", needs=("default",), views=(BOTH, VISIBLE, INFRARED)
    ),
    "taught": Row("default, and pairs without labels by mid-fusion's labels", needs=("mid",)),
    "taught-alike": Row("the same, by two backbones trained on pairs spoilt alike", needs=("mid-spoilt",)),
    "self-mid": Row("mid-fusion, and pairs without labels by its own labels", TWO_BACKBONES, needs=("mid",)),
}
SELF_TRAINED = "self", "taught", "taught-alike", "self-mid"  # not distilled from the row they need
BEST_OF = ("visible", "infrared", "average", "maximum", "early", "false-colour", "mid")
