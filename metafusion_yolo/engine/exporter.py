"""Export through the host, with what the input looks like in the metadata."""

from __future__ import annotations

from copy import copy
from typing import Any

from ultralytics.data.build import build_dataloader
from ultralytics.data.utils import check_det_dataset
from ultralytics.engine.exporter import Exporter
from ultralytics.utils import LOGGER

from metafusion_yolo import __version__
from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.engine._host import (
    INPUT_KEY,
    input_description,
    missing_packages_named,
    rig_of,
    warn_of_other_cameras,
)
from metafusion_yolo.resources import find_data_yaml


class FusionDetectionExporter(Exporter):
    """The host's exporter for models that read pairs (B, 4, H, W), R, G, B, IR in [0, 1]."""

    def __call__(self, model: Any) -> str:
        """Export the model; how its cameras go together is put into the metadata."""
        self._input = input_description(rig_of(model) or Rig())
        with missing_packages_named():
            return super().__call__(model)

    def get_int8_calibration_dataloader(self, prefix: str = "") -> Any:
        """Calibrate on pairs, normalised and registered; the host would read the visible images alone."""
        split, file = self.args.split or "val", find_data_yaml(self.args.data)
        data = check_det_dataset(file, split=split)
        warn_of_other_cameras(rig_of(self.model), Rig.from_yaml(data, file), file)
        args = copy(self.args)
        args.imgsz, args.rect = max(self.imgsz), False
        dataset = build_paired_dataset(args, data[split], args.batch, data, "val", int(max(self.model.stride)))
        dataset.transforms.transforms[0].new_shape = self.imgsz  # the letterbox, of exports that are not square
        LOGGER.info(f"{prefix} calibrating on {len(dataset)} pairs of '{file}'")
        return build_dataloader(dataset, batch=min(args.batch, len(dataset)), workers=0, drop_last=True)

    def run_callbacks(self, event: str) -> None:
        """Complete the metadata when the host has filled in its own."""
        if event == "on_export_start":
            self.metadata[INPUT_KEY] = str(self._input)
            self.metadata["metafusion_yolo"] = __version__
        super().run_callbacks(event)
