"""The guard of the table: every name of the host has a row, every test of a row exists, every refusal is said."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import ultralytics
from ultralytics.utils import DEFAULT_CFG_DICT

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.arguments import OTHER_TASKS
from metafusion_yolo.engine.export.exporter import STOCK_ONLY
from metafusion_yolo.support.errors import UserValueError
from tests.contract.document import FILE, document
from tests.contract.rows import ARGUMENTS, DOORS, TABLES, Row, names_of_host

TESTS = Path(__file__).parents[1]
ROWS = [(title, row) for title, (_, rows) in TABLES.items() for row in rows]
MODES = ("train", "val", "predict", "track", "export", "benchmark")


@pytest.mark.parametrize("title", TABLES)
def test_every_name_of_the_host_has_its_row(title):
    listed = Counter(name for row in TABLES[title][1] for name in row.each())
    host = names_of_host()[title]
    new, gone = sorted(host - set(listed)), sorted(set(listed) - host)
    assert not new, f"ultralytics {ultralytics.__version__}, {title}: do {', '.join(new)} work with pairs? Add a row"
    assert not gone, f"ultralytics {ultralytics.__version__}, {title} has no {', '.join(gone)} any more: drop the rows"


@cache
def sources_of(file: str) -> dict[str, str]:
    """Return the tests of a file by name, with their source and the whole file behind it."""
    source = (TESTS / file).read_text(encoding="utf-8")
    return {
        node.name: ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize(("title", "row"), ROWS, ids=lambda x: x if isinstance(x, str) else x.names[:30])
def test_a_row_names_a_test_that_exists_or_a_refusal(title, row):
    assert bool(row.shown) != bool(row.refused), f"{row.names}: works with pairs, or refused; never a third"
    if row.shown:
        file, _, test = row.shown.partition("::")
        assert test in sources_of(file), f"{row.names}: no test '{test}' in tests/{file}"


@pytest.mark.parametrize(
    "row", [row for row in ARGUMENTS if row.shown.startswith(DOORS)], ids=lambda row: row.names[:20]
)
def test_the_test_of_an_argument_gives_it(row: Row):
    source = (TESTS / "contract" / "test_doors.py").read_text(encoding="utf-8")
    missing = [name for name in row.each() if not re.search(rf'\b{name}\b(=|":)', source)]
    assert not missing, f"test_doors.py never gives {', '.join(missing)}"


@pytest.fixture(scope="module")
def model() -> MetaFusionYOLO:
    return MetaFusionYOLO("metafusion-yolov8n.yaml")


def other(value: object) -> object:
    """Return another value than a default."""
    return {bool: lambda v: not v, str: lambda v: f"no {v}"}.get(type(value), lambda v: v + 1)(value)


@pytest.mark.parametrize("name", [*OTHER_TASKS, "bgr", "auto_augment"])
@pytest.mark.parametrize("mode", MODES)
def test_what_does_nothing_to_pairs_is_refused(model, mode, name):
    value = 0.5 if name == "bgr" else other(DEFAULT_CFG_DICT[name])
    [row] = [row for row in ARGUMENTS if name in row.each()]
    given = {"source": "a"} if mode in ("predict", "track") else {"data": "a.yaml"}
    with pytest.raises(UserValueError) as caught:
        getattr(model, mode)(**given, **{name: value})
    assert str(caught.value) == row.refused.replace("NAME", name).replace("VALUE", str(value))


def test_defaults_of_other_tasks_are_no_mistake(model):
    given = {name: DEFAULT_CFG_DICT[name] for name in [*OTHER_TASKS, "bgr", "auto_augment"]}
    with pytest.raises(FileNotFoundError, match=r"'a.jpg' does not exist"):
        model.predict("a.jpg", **given)


def test_a_calibration_of_depth_is_refused(model):
    [row] = [row for row in TABLES["Model"][1] if row.names == "calibrate"]
    with pytest.raises(ValueError) as caught:
        model.calibrate("a.yaml")
    assert str(caught.value).startswith(row.refused) and "\n" not in str(caught.value)


@pytest.mark.parametrize("form", STOCK_ONLY)
def test_a_format_of_stock_detectors_is_refused(model, form):
    [row] = [row for row in TABLES["Exporter"][1] if row.names == f"export_{form}"]
    with pytest.raises(UserValueError) as caught:
        model.export(format=form)
    assert str(caught.value) == row.refused


def test_every_refusal_is_played():
    refused = {name for _, row in ROWS if row.refused for name in row.each()}
    assert refused == {*OTHER_TASKS, "bgr", "auto_augment", "calibrate", *(f"export_{form}" for form in STOCK_ONLY)}


def test_the_page_is_fresh_and_short():
    assert FILE.read_text(encoding="utf-8") == document(), "python -m tests.contract"
    assert len(document().splitlines()) < 250
