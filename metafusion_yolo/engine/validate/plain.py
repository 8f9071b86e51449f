"""Validation of pairs with the host's figures only, for tasks without boxes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from ultralytics.engine.validator import BaseValidator

from metafusion_yolo.data.description import check_description
from metafusion_yolo.data.rig import Rig, rig_of
from metafusion_yolo.engine._host import class_folders_described, front_end, warn_of_other_cameras
from metafusion_yolo.engine.validate.validator import camera_off, data_set_at_fault
from metafusion_yolo.options import Val
from metafusion_yolo.support.errors import UserValueError


class PlainValidator(BaseValidator):
    """The figures of the host on pairs, with both cameras or with one switched off; plots show the fused images.

    It is mixed in before the validator of a task.

    Args:
        *args: As for the host's validator.
        **kwargs: Likewise, and the fields of :class:`~metafusion_yolo.options.Val`, of which `metrics` and
            `night_below` have no effect.

    Raises:
        ValueError: If modalities are unknown, or curves or corruptions requested.
    """

    _front_end: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        asked = Val.of(kwargs)
        self.off = camera_off(asked.modalities)
        super().__init__(*args, **kwargs)
        if asked.curves or asked.corruptions:
            what = "curves" if asked.curves else "corruptions"
            raise UserValueError(
                f"'{what}=True' evaluates boxes, and the task '{self.args.task}' has none; leave it out"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the validation; errors in the data set become one line."""
        if self.args.data and not (args or kwargs.get("trainer")):
            self.args.data = check_description(self.args.data, self.args.task)
        with data_set_at_fault(self), class_folders_described():
            return super().__call__(*args, **kwargs)

    def init_metrics(self, model: nn.Module) -> None:
        """Compare the cameras with those that the model was trained with."""
        super().init_metrics(model)
        self.metrics.report = None  # ours is one of boxes
        self._front_end = front_end(model)
        warn_of_other_cameras(rig_of(model), Rig.from_yaml(self.data), self.args.data)

    def plot_val_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Draw the labels on fused images."""
        super().plot_val_samples(self._shown(batch), ni)

    def plot_predictions(self, batch: dict[str, Any], preds: Tensor, ni: int) -> None:
        """Draw the predictions on fused images."""
        super().plot_predictions(self._shown(batch), preds, ni)

    def _shown(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch with fused images, or with visible ones for exports, which do not output them."""
        if self._front_end is None:
            return {**batch, "img": batch["img"][:, :3]}
        weight = next(self._front_end.parameters(), batch["img"])
        return {**batch, "img": self._front_end(batch["img"].to(weight)).fused}
