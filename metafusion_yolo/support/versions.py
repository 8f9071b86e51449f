"""The range of host versions that this package is tested with."""

import re
from importlib.metadata import version

from metafusion_yolo.support.errors import MissingPackageError

LEAST, BELOW = "8.4.190", "8.5"  # as in pyproject.toml, which an installation with --no-deps ignores


def check_host() -> None:
    """Check the version of the host, before an unsupported one fails somewhere inside.

    Raises:
        ModuleNotFoundError: If the host is not installed, or its version is out of range.
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
