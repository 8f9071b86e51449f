"""The public names, and that naming them costs nothing."""

import importlib
import re
import subprocess
import sys

import pytest

import metafusion_yolo

PUBLIC = ["FusionConfig", "MetaFusionYOLO", "PairError", "__version__"]


def test_public_names_are_these() -> None:
    assert metafusion_yolo.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_public_names_come_from_their_homes(name) -> None:
    public = getattr(metafusion_yolo, name)
    assert public.__name__ == name
    assert public.__doc__
    assert public is getattr(importlib.import_module(public.__module__), name)


def test_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", metafusion_yolo.__version__)


def test_star_import_brings_all_of_them() -> None:
    names: dict[str, object] = {}
    exec("from metafusion_yolo import *", names)
    assert set(PUBLIC) <= names.keys()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'metafusion_yolo' has no attribute 'MetaFusionYolo'"):
        _ = metafusion_yolo.MetaFusionYolo


@pytest.mark.parametrize(
    "statement",
    ["import metafusion_yolo", "from metafusion_yolo import FusionConfig", "import metafusion_yolo.support.resources"],
)
def test_torch_is_not_imported_before_it_is_needed(statement) -> None:
    heavy = "{'torch', 'ultralytics', 'cv2', 'numpy'}"
    code = f"{statement}\nimport sys\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
