"""Data-set YAMLs, read as the host reads them, with errors of one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultralytics.data.utils import check_det_dataset

from metafusion_yolo.data.listing import SPLIT_KEYS
from metafusion_yolo.support.errors import MissingFileError, UserTypeError, UserValueError
from metafusion_yolo.support.resources import find_data_yaml, read_yaml
from metafusion_yolo.support.words import without_signs

REFUSALS = (SyntaxError, TypeError, ValueError, KeyError, AssertionError, OSError)  # of the host
ARCHIVE = re.compile(r"https?://\S+\.(zip|tar|gz|tgz|xz|bz2|txz|tbz2)(\?\S*)?", re.IGNORECASE)


def check_description(data: str | Path, task: str | None = None) -> str:
    """Return the path of a data-set YAML, after checking it for mistakes that the host reports unclearly.

    A `download:` of an archive is left to the host; a script, which the host would run, is not run.

    Args:
        data: A YAML, or the name of one of the package; a URL, a folder or an archive is left to the host.
        task: What its labels must be good for; None if they are not used.

    Raises:
        FileNotFoundError: If it does not exist; the host would look for it in its own folders.
        TypeError: If it is not a path.
        ValueError: If it is not a YAML of keys and values, or a value is of the wrong kind.
    """
    if not isinstance(data, (str, Path)):
        raise UserTypeError(f"data={data!r} must be the path of a data-set YAML")
    file = find_data_yaml(data)
    if "://" in file:
        return file
    if not Path(file).exists():
        raise MissingFileError(f"data set '{data}': the file does not exist; give the path of a data-set YAML")
    if Path(file).is_dir() and not [*Path(file).glob("*.y*ml")]:
        raise UserValueError(
            f"data set '{data}': a folder without a YAML; give the data-set YAML, or see fusion_only=True"
        )
    if Path(file).suffix.lower() not in (".yaml", ".yml") or Path(file).is_dir():
        return file
    try:
        content = read_yaml(file)
    except ValueError as error:
        raise UserValueError(f"data set '{data}': {error}") from error
    for split in SPLIT_KEYS:
        entries = content.get(split)
        if isinstance(entries, list) and not (entries and all(isinstance(entry, str) for entry in entries)):
            raise UserValueError(f"data set '{data}': '{split}:' must be a folder or list file, or several of them")
    names = content.get("names")
    if names in ([], {}) or (isinstance(names, Mapping) and {*names} != {*range(len(names))}):
        raise UserValueError(f"data set '{data}': 'names:' must name every class from 0 on, as a list or by number")
    if isinstance(content.get("nc"), int) and content["nc"] < 1:
        raise UserValueError(f"data set '{data}': 'nc:' must be 1 or more, not {content['nc']}")
    if task:
        _check_keypoints(content, data, task)
    if content.get("download") and not ARCHIVE.fullmatch(str(content["download"]).strip()):
        _without_download(file, data, advice="its 'download:' is a script, which is not run; run it yourself")
    return file


def describe(data: str | Path, split: str = "") -> dict[str, Any]:
    """Return the host's dictionary of a data set, without downloading anything.

    Args:
        data: As for :func:`check_description`.
        split: A split that must exist in addition to `train` and `val`.

    Raises:
        FileNotFoundError: If the YAML or one of its folders does not exist.
        TypeError: If `data` is not a path.
        ValueError: If something in it is missing or wrong.
    """
    return _without_download(check_description(data), data, split)


def _check_keypoints(content: Mapping[str, Any], data: str | Path, task: str) -> None:
    """Reject keypoints for another task, which would read them as polygons, and the task pose without their shape."""
    shape = content.get("kpt_shape")
    if task != "pose" and shape:
        raise UserValueError(
            f"data set '{data}': 'kpt_shape:' says that its labels have keypoints, and the task is '{task}'; give a "
            f"model of the task pose, such as metafusion-yolov8n-pose.yaml"
        )
    known = isinstance(shape, list) and len(shape) == 2 and isinstance(shape[0], int) and shape[0] > 0
    if task == "pose" and not (known and shape and shape[1] in (2, 3)):
        raise UserValueError(
            f"data set '{data}': 'kpt_shape: {shape}' must be the number of keypoints and of values each, 2 (x, y) or "
            f"3 (with visibility), such as [17, 3]"
        )


def describe_what_is_there(data: str | Path) -> dict[str, Any]:
    """Return the host's dictionary of a data set whose `train` or `val` may be missing, but not both.

    Args:
        data: As for :func:`check_description`.

    Raises:
        FileNotFoundError: If the YAML or both folders do not exist.
        TypeError: If `data` is not a path.
        ValueError: If something in it is missing or wrong.
    """
    try:
        return describe(data)
    except MissingFileError as error:
        try:
            return describe(data, "train")
        except MissingFileError:
            raise error from None


def _without_download(file: str, data: str | Path, split: str = "", advice: str = "") -> dict[str, Any]:
    """Return the host's dictionary of a local data set; `advice` says what to do if something is missing."""
    try:
        description: dict[str, Any] = check_det_dataset(file, autodownload=False, split=split)
    except REFUSALS as error:
        raise data_error(error, data, advice) from error
    return description


def data_error(error: BaseException, data: Any, advice: str = "") -> Exception:
    """Return an error of the host about a data set as a FileNotFoundError or ValueError of one line.

    Args:
        error: An error of the host, which may wrap another.
        data: The data-set YAML.
        advice: What to do, in addition to the host's text.
    """
    cause = error.__cause__ or error
    text = str(cause.args[0]) if isinstance(cause, KeyError) else str(cause)  # a KeyError quotes its text
    text = " ".join(without_signs(text).replace(f"Dataset '{data}' ", "").split())
    text, hint, _ = text.partition(" Note dataset download directory")  # where there is nothing to download
    remedy = "; correct 'path:' or the split in it" if hint and not advice else ""
    remedy = "; add it there, or name another split" if text.endswith(":' images not found") else remedy
    kind = MissingFileError if isinstance(cause, FileNotFoundError) else UserValueError
    return kind(f"data set '{data}': {text}{remedy}{advice and f'; {advice}'}")
