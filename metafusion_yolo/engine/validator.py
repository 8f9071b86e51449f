"""Validation on pairs, with both cameras or with one switched off."""

from __future__ import annotations

from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionValidator

from metafusion_yolo.config import nearest
from metafusion_yolo.data.dataset import PairedYOLODataset, build_paired_dataset
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.engine._host import data_error, front_end, missing_packages_named, rig_of, warn_of_other_cameras
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.resources import find_data_yaml

MODALITIES = ("both", "visible", "infrared")


class FusionDetectionValidator(DetectionValidator):
    """The host's detection metrics on a paired data set; plots show the fused images.

    Args:
        modalities: Cameras that are on: "both", "visible" or "infrared". The planes of the other are blanked.
        **kwargs: As for the host's validator.

    Raises:
        ValueError: For unknown modalities.
    """

    def __init__(self, *args: Any, modalities: str = "both", **kwargs: Any) -> None:
        if modalities not in MODALITIES:
            raise ValueError(f"unknown modalities '{modalities}', {nearest(modalities, MODALITIES)}")
        super().__init__(*args, **kwargs)
        if self.args.data:
            self.args.data = find_data_yaml(self.args.data)
        self.off = {"visible": "infrared", "infrared": "visible"}.get(modalities, "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Say in one line what is wrong with the data set."""
        try:
            with missing_packages_named():
                return super().__call__(*args, **kwargs)
        except (SyntaxError, FileNotFoundError) as error:
            if self.device is None:  # not there yet: it is about the model
                raise
            raise data_error(error, self.args.data) from error

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> PairedYOLODataset:
        """Build a paired data set."""
        self.data["channels"] = NUM_CHANNELS  # the host warms an export up with it
        return build_paired_dataset(self.args, img_path, batch, self.data, mode=mode, stride=self.stride, off=self.off)

    def init_metrics(self, model: torch.nn.Module) -> None:
        """Find the front-end for the plots, and compare the cameras with those that the model was trained with."""
        super().init_metrics(model)
        warn_of_other_cameras(rig_of(model), Rig.from_yaml(self.data), self.args.data)
        self._front_end = front_end(model)

    def plot_val_samples(self, batch: dict[str, Any], ni: int) -> None:
        """Draw the labels on fused images."""
        super().plot_val_samples(self._shown(batch), ni)

    def plot_predictions(
        self, batch: dict[str, Any], preds: list[dict[str, torch.Tensor]], ni: int, max_det: int | None = None
    ) -> None:
        """Draw the predictions on fused images."""
        super().plot_predictions(self._shown(batch), preds, ni, max_det)

    def _shown(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the batch with fused images; with visible ones for exports, which do not give the fused image."""
        if self._front_end is None:
            return batch
        pair = batch["img"].to(next(self._front_end.parameters(), batch["img"]).dtype)  # a fixed rule has no parameters
        return {**batch, "img": self._front_end(pair)["fused"]}
