"""The versions of the host that are accepted: tested with 8.4.190; no test has met a later one."""

from __future__ import annotations

import re
from importlib.metadata import version

from metafusion_yolo.support.errors import MissingPackageError

LEAST, BELOW = "8.4.190", "8.5"  # as in pyproject.toml, which pip keeps to, but not who installs without dependencies


def check_host() -> None:
    """Refuse another version of the host before it fails somewhere inside.

    Raises:
        ModuleNotFoundError: If it is not installed, or out of the range.
    """
    installed = version("ultralytics")
    if not _numbers(LEAST) <= _numbers(installed) < _numbers(BELOW):
        wanted = f"ultralytics>={LEAST},<{BELOW}"
        raise MissingPackageError(
            f"this needs {wanted}, but {installed} is installed: pip install '{wanted}'", name="ultralytics"
        )


def _numbers(text: str) -> list[int]:
    """Return a version as numbers that can be compared."""
    return [int(part) for part in re.findall(r"\d+", text)[:3]]
