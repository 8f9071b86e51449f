"""What the pages say of the house is so: the table of rooms, the stations of a pair, paths and dotted names.

`python -m tests.test_contributing` writes the table of rooms into CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

from tests.test_layering import LAYERS, PACKAGE, ROOT

PAGE = ROOT / "CONTRIBUTING.md"
PAGES = [
    PAGE,
    ROOT / "README.md",
    *sorted({*(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "faults.md"}),
]  # whose paths are those of its users
ROOMS = re.compile("(?<=<!-- rooms -->\n).*(?=<!-- end of rooms -->)", re.DOTALL)
STATION = re.compile(r"^\d+\. `([\w.]+)`", re.MULTILINE)
NAME = re.compile(r"\bmetafusion_yolo(?:\.[a-zA-Z_]\w*)+")
FILE = re.compile(r"(?<![\w/.-])(?:[\w-]+/)+\w+\.py\b")


def rooms() -> list[str]:
    """Return the rooms from the ground up: modules and folders at the top, each followed by the folders in it."""
    names = [name for layer in LAYERS for name in layer if not name.startswith("__")]
    top = dict.fromkeys(name.partition(".")[0] for name in names)
    inner = {room: sorted(f.name for f in (PACKAGE / room).glob("*/") if (f / "__init__.py").is_file()) for room in top}
    return [name for room in top for name in (room, *(f"{room}.{folder}" for folder in inner[room]))]


def table() -> str:
    """Return the table of rooms, each with the first line of its docstring."""
    rows = ""
    for room in rooms():
        path = PACKAGE.joinpath(*room.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        said = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        rows += f"| `{room.replace('.', '/')}{'/' if path.is_dir() else '.py'}` | {said} |\n"
    return f"\n| room | what is done there |\n|---|---|\n{rows}\n"


def test_the_table_of_rooms_is_that_of_the_package() -> None:
    found = ROOMS.search(PAGE.read_text(encoding="utf-8"))
    assert found and found[0] == table(), "run `python -m tests.test_contributing`, and commit CONTRIBUTING.md"


def test_every_room_is_in_the_order() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert there - {"__init__", "__main__"} == {room for room in rooms() if "." not in room}


def resolve(name: str) -> object:
    """Return what a dotted name below the package stands for: as much of it as is a module, then attributes."""
    parts = name.split(".")
    for count in range(len(parts), -1, -1):
        try:
            module = importlib.import_module(".".join(["metafusion_yolo", *parts[:count]]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, parts[count:], module)
    raise AttributeError(name)


def test_every_station_exists_and_is_visited_once() -> None:
    walks = [STATION.findall(part) for part in PAGE.read_text(encoding="utf-8").split("### From ")[1:]]
    assert len(walks) == 2 and all(len(walk) > 5 for walk in walks)
    stations = [station for walk in walks for station in walk]
    assert len(stations) == len({*stations})
    for station in stations:
        resolve(station)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_names_of_the_pages_exist(page) -> None:
    text = page.read_text(encoding="utf-8")
    for name in {*NAME.findall(text)}:
        resolve(name.partition(".")[2])
    missing = [p for p in {*FILE.findall(text)} if not ((ROOT / p).is_file() or (PACKAGE / p).is_file())]
    assert missing == []


def write() -> Path:
    """Write the table and return the page's path."""
    PAGE.write_text(ROOMS.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return PAGE


if __name__ == "__main__":
    write()
