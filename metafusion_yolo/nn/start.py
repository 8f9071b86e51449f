"""The trained parameters that a front-end of default size starts from; what they come from is in docs/start.md."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

START = Path(__file__).with_name("start.safetensors")
EVEN_ODDS = (
    0.27  # brings its infrared weight, on average 0.79 on road pairs, to a half, where features and no images meet
)


def load_start() -> dict[str, Tensor]:
    """Return the parameters of a :class:`~metafusion_yolo.nn.fusion.FusionNet` of default size, by name, float32.

    Examples:
        >>> load_start()["decoder.maps.bias"].shape
        torch.Size([4])
    """
    return load_file(START)
