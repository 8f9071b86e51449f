"""The trained parameters that a front-end of default size starts from: the file that ships, and its format.

What they were trained from and how is in :mod:`metafusion_yolo.pretrain`.

Source: the format is safetensors, in the few lines that float32 takes, after https://github.com/huggingface/safetensors:
the length of the header as a little-endian 64-bit number, the header as JSON, then the bytes of the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

START = Path(__file__).with_name("start.safetensors")
METADATA = "__metadata__"


def load_start(path: str | Path = START) -> dict[str, Tensor]:
    """Return the trained parameters of a :class:`~metafusion_yolo.nn.fusion.FusionNet` of default size, by name.

    Args:
        path: The file; default: the one that ships.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is none of float32 tensors.
    """
    return read_tensors(path)


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as float32, by name in alphabetical order, so that the same tensors give the same bytes.

    Args:
        path: File to write.
        tensors: Any shapes.
        metadata: What else there is to say, text by name.
    """
    header: dict[str, object] = {METADATA: dict(metadata)} if metadata else {}
    chunks, end = [], 0
    for name, tensor in sorted(tensors.items()):
        data = tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        chunks.append(data)
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(chunks))


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the float32 tensors of a file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is none of float32 tensors, or is not complete.
    """
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        entries = {name: entry for name, entry in json.loads(data[8:start]).items() if name != METADATA}
        return {name: _tensor(entry, data, start) for name, entry in entries.items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"'{path}' is no safetensors file of float32 tensors ({error})") from error


def _tensor(entry: Mapping[str, Any], data: bytes, start: int) -> Tensor:
    """Return the tensor of an entry of the header."""
    if entry["dtype"] != "F32":
        raise ValueError(f"a tensor is of type {entry['dtype']}, not F32")
    first, last = entry["data_offsets"]
    values = np.frombuffer(data[start + first : start + last], "<f4").astype(np.float32)
    return torch.from_numpy(values).reshape(entry["shape"])
