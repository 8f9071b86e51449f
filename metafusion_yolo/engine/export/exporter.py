"""Export through the host, with the requested inputs and outputs and their description in the metadata."""

import warnings
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch.onnx._constants import ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET
from ultralytics.data.build import build_dataloader
from ultralytics.engine.exporter import Exporter, NMSModel, export_formats
from ultralytics.utils import LOGGER

from metafusion_yolo import __version__
from metafusion_yolo.data.dataset import build_paired_dataset
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.rig import INPUT_KEY, Rig, input_description, rig_of
from metafusion_yolo.engine._host import missing_packages_named, one_line, warn_of_other_cameras
from metafusion_yolo.engine.arguments import several
from metafusion_yolo.engine.export import io_wrappers
from metafusion_yolo.engine.export.io_wrappers import INPUTS, TWO_INPUT_FORMATS, FusedOutputModel, TwoInputModel
from metafusion_yolo.engine.tasks import WHOLE
from metafusion_yolo.nn.blocks import Upsample
from metafusion_yolo.nn.tasks import FusionTorchvisionModel
from metafusion_yolo.options import Export
from metafusion_yolo.support.errors import UserTypeError, UserValueError
from metafusion_yolo.support.resources import find_data_yaml

MIN_OPSET, MAX_OPSET = 9, ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET  # what the host and PyTorch accept
TENSORFLOW = ("saved_model", "pb", "edgetpu")

STOCK_ONLY = ("imx", "hailo")  # the host rebuilds these from the layers that it knows, and no front-end is among them


class FusionDetectionExporter(Exporter):
    """The host's exporter for models that read pairs (B, 4, H, W), R, G, B, IR in [0, 1].

    Args:
        inputs: "one" input of four channels, `images`, or "two": `visible` and `infrared`.
        fused: Whether to add the fused image to the outputs.
        fusion_weights: Whether to add the weights of the cameras too.
        **kwargs: As for the host's exporter.

    Raises:
        ValueError: If `inputs` is unknown, or weights are requested without the fused image.
    """

    model: Any
    im: Any

    def __init__(
        self,
        *args: Any,
        inputs: str = Export.inputs,
        fused: bool = Export.fused,
        fusion_weights: bool = Export.fusion_weights,
        **kwargs: Any,
    ) -> None:
        Export(inputs, fused, fusion_weights)
        if fusion_weights and not fused:
            raise UserValueError("fusion_weights=True needs fused=True as well")
        super().__init__(*args, **kwargs)
        self.inputs, self.fused, self.fusion_weights = inputs, fused, fusion_weights

    def __call__(self, model: Any) -> str:
        """Export the model, with the description of its cameras in the metadata.

        Raises:
            TypeError: If the format is not a string.
            ValueError: If format or opset cannot be exported as requested, or INT8 has no pairs to calibrate on.
            ModuleNotFoundError: If a package for the format is not installed.
        """
        if not isinstance(self.args.format, str):
            raise UserTypeError(f"'format={self.args.format}' must be a name, such as onnx")
        form = self.args.format.lower()
        if self.args.opset is not None and not MIN_OPSET <= self.args.opset <= MAX_OPSET:
            raise UserValueError(f"'opset={self.args.opset}' is unknown; give one from {MIN_OPSET} to {MAX_OPSET}")
        if form in STOCK_ONLY:
            raise UserValueError(f"format={form} is for stock detectors only, layer by layer; export onnx")
        if form == "engine" and not torch.cuda.is_available():
            raise UserValueError("format=engine needs an NVIDIA GPU, and PyTorch sees none; export onnx")
        if self.inputs == "two" and form not in TWO_INPUT_FORMATS:
            raise UserValueError(f"inputs=two is for {', '.join(TWO_INPUT_FORMATS)}; export '{form}' with inputs=one")
        if self.args.dynamic and isinstance(model, FusionTorchvisionModel):
            raise UserValueError(
                "'dynamic=True' does not work with a torchvision detector, whose anchors are made for one size; leave "
                "it out"
            )
        if model.task == "classify" and len({*several(self.args.imgsz)}) > 1:
            raise UserValueError(f"'imgsz={self.args.imgsz}' must be one number: a classifier sees a square of a pair")
        if self.fused and form == "coreml" and self.args.nms:
            raise UserValueError("a Core ML pipeline with nms=True gives boxes only; leave out nms or fused")
        keys = dict(zip(export_formats()["Argument"], export_formats()["Arguments"], strict=True))
        if self.args.quantize in (8, "w8a16") and "data" in keys.get(form, []):
            if model.task in WHOLE:
                raise UserValueError(
                    f"'quantize={self.args.quantize}' is not available for the task '{model.task}'; give 16, or leave "
                    "it out"
                )
            self.args.data = self._calibration_data(model)
        self._input = input_description(rig_of(model) or Rig())
        self._input |= {
            "inputs": INPUTS[self.inputs],
            "outputs": io_wrappers.outputs_of(self.fused, self.fusion_weights, model.task),
        }
        with missing_packages_named(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="torch")  # deprecations of its old exporters
            if form in TENSORFLOW:
                import_module("tensorflow")  # if it is missing, fail before the ONNX export
            try:
                return super().__call__(model)
            except AssertionError as error:  # how the host rejects a format, such as TensorRT without a GPU
                raise UserValueError(f"format={form} cannot be exported: {one_line(error)}") from error

    def _calibration_data(self, model: Any) -> str:
        """Return the data set to calibrate on, by default that of the training; the host would use COCO."""
        data = self.args.data or model.args.get("data")
        if not data or not Path(find_data_yaml(data)).is_file():
            raise UserValueError(f"INT8 calibrates on pairs, and '{data}' is not a data-set YAML; give one as data=")
        return str(data)

    def run_callbacks(self, event: str) -> None:
        """Complete metadata and model after the host has prepared them."""
        if event == "on_export_start":
            self.metadata[INPUT_KEY] = str(self._input)
            self.metadata["metafusion_yolo"] = __version__
            for module in self.model.modules():
                if isinstance(module, Upsample):
                    module.export = True
            self._give_outputs_and_inputs()
        super().run_callbacks(event)

    def _give_outputs_and_inputs(self) -> None:
        """Wrap the model for its outputs and inputs; an ONNX file gets its inputs after the export."""
        if self.fused:
            detector = NMSModel(self.model, self.args) if self.args.nms else self.model
            self.model = FusedOutputModel(self.model, detector, self.fusion_weights)
            self.args.nms = None  # included already
        if self.inputs == "two" and self.args.format != "onnx":
            self.model = TwoInputModel(self.model)
            self.im = self.im[:, :3], self.im[:, 3:]

    def export_onnx(self, *args: Any, **kwargs: Any) -> str:
        """Name the inputs and outputs after the host's export."""
        file = super().export_onnx(*args, **kwargs)
        if self.fused or self.inputs == "two":
            io_wrappers.rename_onnx(file, INPUTS[self.inputs])
        return file

    def export_openvino(self, *args: Any, **kwargs: Any) -> str:
        """Name the two inputs after what they read."""
        folder: str = super().export_openvino(*args, **kwargs)
        if self.inputs == "two":
            io_wrappers.rename_openvino(next(Path(folder).glob("*.xml")))
        return folder

    def export_coreml(self, *args: Any, **kwargs: Any) -> Any:
        """Declare the input as a tensor in [0, 1]; the host declares an image, which has at most three channels."""
        import coremltools

        image_type = coremltools.ImageType
        coremltools.ImageType = lambda name, shape, **_: coremltools.TensorType(name, shape=tuple(shape))
        try:
            return super().export_coreml(*args, **kwargs)
        finally:
            coremltools.ImageType = image_type

    def _transform_fn(self, data_item: Any) -> Any:
        """Split the pair for an export with two inputs."""
        pair = super()._transform_fn(data_item)
        return (pair[:, :3], pair[:, 3:]) if isinstance(self.im, tuple) else pair

    def get_int8_calibration_dataloader(self, prefix: str = "") -> Any:
        """Calibrate on pairs, normalised and registered; the host would only read the visible images."""
        split, file = self.args.split or "val", find_data_yaml(self.args.data)
        data = describe(file, split)
        warn_of_other_cameras(rig_of(self.model), Rig.from_yaml(data, file), file)
        args = copy(self.args)
        args.imgsz, args.rect = max(self.imgsz), False
        dataset = build_paired_dataset(args, data[split], args.batch, data, "val", int(max(self.model.stride)))
        dataset.transforms.transforms[0].new_shape = self.imgsz  # of the letterbox, for exports that are not square
        LOGGER.info(f"{prefix} calibrating on {len(dataset)} pairs of '{file}'")
        return build_dataloader(dataset, batch=min(args.batch, len(dataset)), workers=0, drop_last=True)
