"""Finding and reading the model and data-set YAMLs that ship with the package."""

import re
from pathlib import Path
from typing import Any

import yaml

from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.words import nearest

_PACKAGE = Path(__file__).resolve().parents[1]
_SCALED = re.compile(r"^(?P<family>.*yolov?\d+)(?P<scale>[nslmx])(?P<rest>(?![a-z]).*)$")


def _folder(name: str) -> Path:
    """Return a folder of YAMLs: inside an installed wheel, or beside the package in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def split_scale(name: str) -> tuple[str, str]:
    """Split the scale letter off the file name of a model.

    Examples:
        >>> split_scale("metafusion-yolov8n.yaml")
        ('metafusion-yolov8.yaml', 'n')
        >>> split_scale("yolo26.yaml")
        ('yolo26.yaml', '')
    """
    match = _SCALED.match(name)
    return (match["family"] + match["rest"], match["scale"]) if match else (name, "")


def find_model_yaml(name: str | Path) -> Path:
    """Return the path of a model YAML such as `metafusion-yolov8n.yaml`, with or without a scale letter.

    Args:
        name: A file, or the bare name of a YAML of the package. A path with a folder is only looked up as given.

    Raises:
        FileNotFoundError: If there is no such file; the message names the closest YAML of the package.
    """
    path = Path(name)
    unscaled = split_scale(path.name)[0]
    shipped = _folder("cfg") / "models"
    candidates = [path, path.parent / unscaled]
    if path.parent == Path():
        candidates += [shipped / path.name, shipped / unscaled]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = [f.name for f in shipped.glob("*.yaml")]
    raise MissingFileError(f"no model YAML '{name}', {nearest(unscaled, known)}")


def find_data_yaml(name: str | Path) -> str:
    """Return the path of a data-set YAML: as given if it exists, else that of the package, else the name unchanged.

    Args:
        name: A file, a URL, or the bare name of a YAML of the package, with or without its suffix.
    """
    path = Path(name)
    if path.parent == Path() and not path.is_file():
        shipped = _folder("datasets") / (path.name if path.suffix == ".yaml" else f"{path.name}.yaml")
        if shipped.is_file():
            return str(shipped)
    return str(name)


def is_shipped(file: str | Path) -> bool:
    """Return whether a data-set YAML belongs to the package and must not be changed."""
    return _folder("datasets").resolve() in Path(file).resolve().parents


def read_yaml(file: str | Path) -> dict[str, Any]:
    """Read a YAML file of keys and values, without tags for Python objects.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8, not YAML, has a Python tag, or is not a mapping.
    """
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserValueError(f"'{file}' is not UTF-8; save it as text in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UserValueError(f"'{file}' is not valid YAML ({line}{error.problem}); correct it") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: such as an impossible date
        raise UserValueError(f"'{file}' is not valid YAML ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(content, dict):
        raise UserValueError(f"'{file}' does not map keys to values; is it the right file?")
    return content
