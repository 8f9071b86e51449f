"""Infrared and visible image fusion ahead of Ultralytics YOLO, trained jointly with the detector."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from metafusion_yolo.support.moved import keep_old_names

__version__ = "0.1.0"

__all__ = ["FusionConfig", "MetaFusionYOLO", "PairError", "__version__"]

keep_old_names()
logging.getLogger("ultralytics").addFilter(  # on its first import the host says where its settings are: `yolo settings`
    lambda record: not str(record.msg).startswith("Creating new Ultralytics Settings")
)

if TYPE_CHECKING:
    from metafusion_yolo.config import FusionConfig
    from metafusion_yolo.data.pairs import PairError
    from metafusion_yolo.model import MetaFusionYOLO

_HOMES = {
    "FusionConfig": "metafusion_yolo.config",
    "MetaFusionYOLO": "metafusion_yolo.model",
    "PairError": "metafusion_yolo.data.pairs",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `metafusion help` need not wait for PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'metafusion_yolo' has no attribute '{name}'")
    import importlib

    from metafusion_yolo.support.versions import check_host

    check_host()
    return getattr(importlib.import_module(_HOMES[name]), name)
