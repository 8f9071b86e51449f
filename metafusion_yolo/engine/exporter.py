"""Export through the host, with what the input looks like in the metadata."""

from __future__ import annotations

from typing import Any

from ultralytics.engine.exporter import Exporter

from metafusion_yolo import __version__
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.engine._host import INPUT_KEY, input_description, rig_of


class FusionDetectionExporter(Exporter):
    """The host's exporter for models that read pairs (B, 4, H, W), R, G, B, IR in [0, 1]."""

    def __call__(self, model: Any) -> str:
        """Export the model; how its cameras go together is put into the metadata."""
        self._input = input_description(rig_of(model) or Rig())
        return super().__call__(model)

    def run_callbacks(self, event: str) -> None:
        """Complete the metadata when the host has filled in its own."""
        if event == "on_export_start":
            self.metadata[INPUT_KEY] = str(self._input)
            self.metadata["metafusion_yolo"] = __version__
        super().run_callbacks(event)
