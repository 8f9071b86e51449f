"""A model repository for the Triton Inference Server, made from an export."""

import shutil
from pathlib import Path
from typing import Any

from ultralytics.nn.backends.base import BaseBackend

from metafusion_yolo.support.errors import UserValueError

BACKENDS = {".onnx": "onnxruntime", "_openvino_model": "openvino"}
TYPES = {"float": "TYPE_FP32", "f32": "TYPE_FP32", "float16": "TYPE_FP16", "f16": "TYPE_FP16"}

Tensor = tuple[str, str, list[int]]  # name, type, dimensions with -1 for any


def write_repository(export: str | Path, root: str | Path) -> Path:
    """Write `<root>/<name>/config.pbtxt` and `<root>/<name>/1/`, from which Triton serves an export.

    The parameters hold the metadata, where the host's client looks for it, so that
    `MetaFusionYOLO("http://localhost:8000/<name>")` knows names, stride and input.

    Args:
        export: ONNX file or OpenVINO folder.
        root: Model repository, created if missing; a model of the same name in it is replaced.

    Returns:
        The folder of the model.
    """
    source = Path(export)
    suffix = next(suffix for suffix in BACKENDS if source.name.endswith(suffix))
    folder = Path(root) / source.name.removesuffix(suffix)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "1").mkdir(parents=True)
    for file in [source] if suffix == ".onnx" else [*source.glob("*.xml"), *source.glob("*.bin")]:
        shutil.copy(file, folder / "1" / f"model{file.suffix}")
    metadata = BaseBackend.read_metadata(source)
    signature = onnx_signature(source) if suffix == ".onnx" else openvino_signature(next(source.glob("*.xml")))
    (folder / "config.pbtxt").write_text(config(folder.name, BACKENDS[suffix], *signature, metadata), encoding="utf-8")
    return folder


def check_servable(form: Any, root: str | Path) -> None:
    """Reject, before an export, a format that Triton cannot serve, or a repository that is a file."""
    if Path(root).is_file():
        raise UserValueError(f"triton={root} is a file; name the folder of the model repository")
    if form not in ("onnx", "openvino"):
        raise UserValueError(f"triton= serves format=onnx and format=openvino, not '{form}'")


def onnx_signature(file: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs, outputs = (
        [(x.name, x.type[7:-1], [d if isinstance(d, int) else -1 for d in x.shape]) for x in side]
        for side in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs


def openvino_signature(file: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and the outputs of an OpenVINO model; unnamed ones are numbered."""
    import openvino

    model = openvino.Core().read_model(file)

    def tensors(side: list[Any], default: str) -> list[Tensor]:
        return [
            (
                port.any_name if port.names else f"{default}{i}",
                port.element_type.get_type_name(),
                [d.get_length() if d.is_static else -1 for d in port.partial_shape],
            )
            for i, port in enumerate(side)
        ]

    return tensors(model.inputs, "input"), tensors(model.outputs, "output")


def config(name: str, backend: str, inputs: list[Tensor], outputs: list[Tensor], metadata: dict[str, Any]) -> str:
    """Return the text of a `config.pbtxt`, whose dimensions include the batch."""
    text = f'name: "{name}"\nbackend: "{backend}"\nmax_batch_size: 0\n'
    for side, tensors in (("input", inputs), ("output", outputs)):
        rows = [f'  {{ name: "{name}" data_type: {TYPES[kind]} dims: {dims} }}' for name, kind, dims in tensors]
        text += f"{side} [\n" + ",\n".join(rows) + "\n]\n"
    return text + f'parameters {{\n  key: "metadata"\n  value {{ string_value: "{escaped(str(metadata))}" }}\n}}\n'


def escaped(text: str) -> str:
    r"""Return a text escaped for a protobuf string.

    Examples:
        >>> escaped('a "b"\n')
        'a \\"b\\"\\n'
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
