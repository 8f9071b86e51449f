"""The data-set YAMLs and the page of the docs say what the converters write."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from metafusion_yolo.prepare.convert import FORMATS, convert
from tests.prepare.convert.miniatures import MINIATURES

ROOT = Path(__file__).parents[3]
PUBLISHED = [name for name in FORMATS if name not in ("voc", "coco", "yolo")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_shipped_yaml_is_that_of_the_converter(tmp_path, name) -> None:
    MINIATURES[name].write(tmp_path / "src")
    written = yaml.safe_load(convert(name, tmp_path / "src", tmp_path / "dst").yaml.read_text(encoding="utf-8"))
    shipped = yaml.safe_load((ROOT / "datasets" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert {**shipped, "path": written["path"]} == written
    assert shipped["path"] == name


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_names_the_format(name) -> None:
    page = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page or f"`format={name}`" in page
