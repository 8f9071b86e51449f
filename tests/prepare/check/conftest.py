"""A clean data set to plant faults in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metafusion_yolo.prepare.synthetic import write_dataset


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """Folder of 14 + 8 pairs of 200 x 160 pixels, not to be written to."""
    return write_dataset(tmp_path_factory.mktemp("check") / "clean", train=14, val=8, imgsz=200).parent


@pytest.fixture
def dataset(rendered, tmp_path) -> Path:
    """A copy of it, to spoil."""
    root = Path(shutil.copytree(rendered, tmp_path / "pairs"))
    yaml = root / "synthetic.yaml"
    yaml.write_text(yaml.read_text().replace(str(rendered), str(root)))
    return root
