"""Wrappers for the inputs and outputs of an export: a pair or two images in, boxes and optionally fused image out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor, nn
from ultralytics.engine.exporter import ExportWrapper

INPUTS = {"one": ["images"], "two": ["visible", "infrared"]}
TWO_INPUT_FORMATS = ("torchscript", "onnx", "openvino")


OUTPUTS = {  # by task, where it is not boxes
    "segment": ["boxes", "prototypes"],
    "classify": ["probabilities"],
    "semantic": ["classes"],
    "depth": ["depth"],
}


class FusedOutputModel(ExportWrapper):
    """Return the fused image with the boxes.

    Args:
        model: The fused detector, prepared for export.
        detector: Returns boxes (B, ...) of the output of the front-end: the model itself, or the model with NMS.
        weights: Whether to return the weights of the cameras too.
    """

    def __init__(self, model: nn.Module, detector: nn.Module, weights: bool) -> None:
        super().__init__(model)
        self.detector = detector
        self.weights = weights

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return boxes, prototypes of masks, fused images (B, 3, H, W), [0, 1], and weights (B, 2, H, W) if asked."""
        fusion = self._model.fuse_images(images)
        found = self.detector(self._model.shown_to_detector(images, fusion))
        outputs = *(found if isinstance(found, (tuple, list)) else (found,)), fusion.fused
        if not self.weights:
            return outputs
        size = images.shape[-2:]
        return *outputs, nn.functional.interpolate(fusion.weights, size=size, mode="bilinear", align_corners=False)


class TwoInputModel(ExportWrapper):
    """Read the visible and the infrared image as two inputs."""

    def forward(self, visible: Tensor, infrared: Tensor) -> Any:
        """Join the images (B, 3, H, W) and (B, 1, H, W), both in [0, 1]."""
        return self._model(torch.cat((visible, infrared), 1))


def outputs_of(fused: bool, weights: bool, task: str = "detect") -> list[str]:
    """Return the names of the outputs of an export of a task, in order."""
    found = OUTPUTS.get(task, ["boxes"])
    return found + ["fused"] * fused + ["fusion_weights"] * weights


def rename_onnx(file: str | Path, inputs: Sequence[str]) -> None:
    """Rewrite an ONNX file with outputs named `output0`, ... as by the host, and its input split if two are named."""
    import onnx

    model = onnx.load(file)
    graph = model.graph
    names = {value.name: f"output{i}" for i, value in enumerate(graph.output)}
    for node in graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
    for value in graph.output:
        value.name = names[value.name]
    if len(inputs) == 2:
        whole = graph.input[0]
        for name, channels in zip(inputs, (3, 1), strict=True):
            part = graph.input.add()
            part.CopyFrom(whole)
            part.name, part.type.tensor_type.shape.dim[1].dim_value = name, channels
        graph.input.remove(whole)
        graph.node.insert(0, onnx.helper.make_node("Concat", inputs, [whole.name], name="pair", axis=1))
    onnx.checker.check_model(model)
    onnx.save(model, file)


def rename_openvino(file: str | Path) -> None:
    """Name the inputs of an OpenVINO file `visible` and `infrared` again.

    PyTorch writes `visible.1` where a stem of the detector has that name.
    """
    tree = ElementTree.parse(file)
    for layer in tree.iter("layer"):
        if layer.get("type") == "Parameter":
            for port in layer.iter("port"):
                port.set("names", port.get("names", "").partition(".")[0])
    tree.write(file)
