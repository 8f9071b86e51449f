"""The host's inference backends, extended for pairs: two inputs, and OpenVINO at the precision of its export."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ultralytics.nn.autobackend import check_class_names
from ultralytics.nn.backends import ONNXBackend, OpenVINOBackend, TorchScriptBackend, TritonBackend

from metafusion_yolo.data.rig import pair_input
from metafusion_yolo.support.errors import MissingFileError, UserValueError


def reads_two(backend: Any) -> bool:
    """Return whether an export has one input per camera."""
    return len(pair_input(backend.metadata).get("inputs", [])) == 2


@contextmanager
def damage_named(export: str | Path) -> Iterator[None]:
    """Turn any error while an export is loaded into one line.

    Raises:
        ValueError: Instead of the error, unless a file or package is missing, or memory is too small.
    """
    try:
        yield
    except (ImportError, OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).partition(". ")[0]  # without advice that does not apply here
        raise UserValueError(f"'{export}' cannot be loaded ({reason}); export it again") from error


class CheckedLoading:
    """Check the metadata of an export when it is loaded, and say in one line what is wrong with a damaged one."""

    metadata: dict[str, Any]

    def load_model(self, weight: str | Path) -> None:
        """Load the export as the host does, and check its metadata."""
        with damage_named(weight):
            super().load_model(weight)  # type: ignore[misc]
            check_class_names(self.metadata.get("names") or {0: ""})
            pair_input(self.metadata)


class PairONNXBackend(CheckedLoading, ONNXBackend):
    """ONNX Runtime with one input or two."""

    def forward(self, im: Any) -> Any:
        """Split the pair if the export has two inputs."""
        return super().forward({"visible": im[:, :3], "infrared": im[:, 3:]} if reads_two(self) else im)


class PairTorchScriptBackend(CheckedLoading, TorchScriptBackend):
    """TorchScript with one input or two."""

    def forward(self, im: torch.Tensor) -> Any:
        """Split the pair if the export has two inputs."""
        return self.model(im[:, :3], im[:, 3:]) if reads_two(self) else super().forward(im)


class ExactOpenVINOBackend(OpenVINOBackend):
    """OpenVINO with one input or two, which computes FP32 exports in FP32.

    By default OpenVINO uses bfloat16 on CPUs that support it, and scores change by 0.04.
    """

    ov_compiled_model: Any

    def load_model(self, weight: str | Path) -> None:
        """Compile for FP32 unless the export has lower precision; the host loads exports with one input first."""
        import openvino

        file = Path(weight) if Path(weight).is_file() else next(Path(weight).glob("*.xml"), None)
        if file is None:
            raise MissingFileError(f"no .xml file in '{weight}'; export the model again")
        self.apply_metadata(self.read_metadata(file))
        exact = self.metadata.get("args", {}).get("quantize") in (None, 32)
        if reads_two(self):
            self.device = torch.device("cpu")
        else:
            super().load_model(weight)
            if not exact or self.ov_compiled_model.get_property("EXECUTION_DEVICES") != ["CPU"]:
                return
        core, config = openvino.Core(), {"PERFORMANCE_HINT": "LATENCY"}
        config |= {"INFERENCE_PRECISION_HINT": "f32"} if exact else {}
        self.ov_compiled_model = core.compile_model(core.read_model(file), "CPU", config)

    def forward(self, im: torch.Tensor) -> Any:
        """Split the pair if the export has two inputs."""
        if not reads_two(self):
            return super().forward(im)
        pair = im.cpu().float().numpy()
        return list(self.ov_compiled_model({"visible": pair[:, :3], "infrared": pair[:, 3:]}).values())


class PairOpenVINOBackend(CheckedLoading, ExactOpenVINOBackend):
    """See :class:`ExactOpenVINOBackend`."""


class PairTritonBackend(TritonBackend):
    """A model on a Triton server with one input or two."""

    def forward(self, im: torch.Tensor) -> Any:
        """Split the pair if the model has two inputs."""
        pair = im.cpu().numpy()
        return self.model(pair[:, :3], pair[:, 3:]) if reads_two(self) else self.model(pair)


BACKENDS = {
    "onnx": PairONNXBackend,
    "openvino": PairOpenVINOBackend,
    "torchscript": PairTorchScriptBackend,
    "triton": PairTritonBackend,
}
