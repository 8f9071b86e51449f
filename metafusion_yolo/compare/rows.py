"""The rows of a comparison: trainings that differ in the `fusion:` section of the model YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FLAT = {"warmup": {"fraction": 0.0}, "joint": {"fraction": 1.0}, "finetune": {"fraction": 0.0}}
UNDROPPED = {"augment": {"modality_dropout": 0.0, "degradation": 0.0}}
BOTH = "both"


@dataclass(frozen=True)
class Row:
    """One row: a training, and the views in which its checkpoint is evaluated.

    Attributes:
        meaning: Description for the table.
        fusion: Changes to the `fusion:` section of the model YAML.
        model: The model YAML, without a scale letter; empty for that of the setting.
        baseline: Name of a detector without image fusion, such as "early"; empty for a fused one.
        universal: Whether the front-end is first trained alone, without labels, and then frozen.
        needs: Rows whose checkpoints of the same fold and seed this one needs.
        views: Evaluations, named by the cameras that are on.
        title: Name of the row in a sentence.
        trained: Whether anything is trained; if not, the checkpoint that all rows start from is evaluated.
    """

    meaning: str
    fusion: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    baseline: str = ""
    universal: bool = False
    needs: tuple[str, ...] = ()
    views: tuple[str, ...] = (BOTH,)
    title: str = ""
    trained: bool = True


def rule(method: str) -> dict[str, Any]:
    """Return the section of a fixed fusion rule: stock detector, host's loss, cameras never blanked."""
    return {"method": method, "schedule": FLAT, "gains": {"meta": 0.0}, **UNDROPPED}


FROZEN = {
    "schedule": {**FLAT, "joint": {"fraction": 1.0, "lr": {"fusion": 0.0}, "joint": False}},
    **UNDROPPED,
}
VISIBLE, INFRARED, AVERAGE, FALSE_COLOUR, EARLY, UNIVERSAL, GUIDED, UNTRAINED = (
    "visible",
    "infrared",
    "average",
    "false-colour",
    "early",
    "universal",
    "guided",
    "untrained",
)
COMPARED = {
    VISIBLE: Row("the detector on the visible image", rule("visible"), title="the visible camera alone"),
    INFRARED: Row("the detector on the infrared image", rule("infrared"), title="the infrared camera alone"),
    AVERAGE: Row("the detector on the mean of both images", rule("average"), title="the average image"),
    FALSE_COLOUR: Row(
        "the detector on visible luminance, mean and infrared as R, G and B", rule(FALSE_COLOUR), title="false colour"
    ),
    EARLY: Row("the detector with a stem of four channels", baseline="early", title="early fusion"),
    UNIVERSAL: Row(
        "fusion learned without labels, frozen, and the detector on its images",
        {**FROZEN, "meet": "image"},
        universal=True,
        title="universal fusion",
    ),
    GUIDED: Row("fusion and detector trained together, the full model", title="detection-guided fusion"),
    UNTRAINED: Row(
        "the detector as it came, on images fused by its front-end, or by an untrained one if it has none",
        title="the detector without any training",
        trained=False,
    ),
}
