"""A data-set YAML as the host reads it, but nothing of it is run, and what is wrong with it is told in a line."""

from __future__ import annotations

import re
from typing import Any

from ultralytics.data.utils import check_det_dataset


def data_description(data: Any, split: str = "") -> dict[str, Any]:
    """Read a data-set YAML, and never run what it says under `download:`, which the host would and may be any code.

    Args:
        data: The YAML.
        split: The split whose images must be here; empty for `val`.

    Returns:
        The dictionary of the host: `path`, `train`, `val`, `names`, `nc`, and what else the YAML holds.

    Raises:
        FileNotFoundError: If the YAML or the images are not here.
        ValueError: If the YAML is wrong in another way.
    """
    try:
        return check_det_dataset(str(data), autodownload=False, split=split)
    except Exception as error:  # the host raises whatever comes of a wrong value
        raise data_error(error, data) from error


def data_error(error: BaseException, data: Any) -> Exception:
    """Return what the host says about a data set as a FileNotFoundError or ValueError of one line.

    Args:
        error: An error of the host, perhaps wrapped in another.
        data: The data-set YAML.
    """
    cause = error.__cause__ or error
    kind = FileNotFoundError if isinstance(cause, FileNotFoundError) else ValueError
    return kind(f"data set '{data}': {plain(' '.join(str(cause).split()))}")


def plain(text: str) -> str:
    """Take emoji and colour codes out of a text, but no letters of any language."""
    return re.sub(r" ?(\x1b\[[0-9;]*m|[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])", "", text).strip()
