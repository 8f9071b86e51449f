"""Numbers come from files: a benchmark leaves `docs/results/NAME.json`, and the tables of the pages are made of these.

In a page, what stands between `<!-- results: NAME -->` and `<!-- end -->` is the table of a file, with its
age in commits below. `<!-- results {NAME: {COLUMN: TITLE}, ...} -->` puts columns of several files side by side, with
`rows: more` those that no other table shows, and `<!-- results {rows of: [NAME, ...], columns: {COLUMN: TITLE}} -->`
the rows of several one below the other.
`<!-- figure: NAME | ROW | COLUMN -->` is a single figure, up to `<!-- end -->`.

    python benchmarks/results.py         # write the pages
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PACKAGES = ("torch", "ultralytics", "onnxruntime", "numpy", "opencv-python")
CODE = ("metafusion_yolo", "benchmarks", "cfg")

TABLE = re.compile(r"(<!-- results\b:?(.*?)-->\n).*?(<!-- end -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- figure: (.*?) -->).*?(<!-- end -->)", re.DOTALL)
AGE = re.compile(r"(?<=\.json\) )\d+")

Rows = Mapping[str, Mapping[str, Any]]


def save(file: Path, rows: Rows, spread: str, **about: Any) -> None:
    """Write what a benchmark found, with all that is needed to judge it and to do it again.

    Args:
        file: Its name is that of the result.
        rows: For each row its cells by column: text, a number, or a dict of `value` and `interval`.
        spread: What the intervals are, or how much the figures vary from run to run.
        **about: `first`, the title of the column of rows; `digits` after the point; `ours`, the row set in bold;
            `highest`, the columns whose highest figure is; `plain`, columns shown without their intervals, by default
            those of the file before; `more`, rows that no table shows unless it asks for them.
    """
    if file.is_file():
        about = {key: value for key, value in json.loads(file.read_text()).items() if key == "plain"} | about
    script = Path(sys.argv[0]).resolve()
    where = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script.name
    content = {
        "command": " ".join(["python", str(where), *without_paths(sys.argv[1:])]),
        "commit": git("rev-parse", "--short=7", "HEAD") + ("+" if git("status", "--porcelain", "--", *CODE) else ""),
        "measured": date.today().isoformat(),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "spread": spread,
        **about,
        "rows": rows,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def without_paths(arguments: list[str]) -> list[str]:
    """Return the arguments of a command without where results go and without folders of this machine."""
    kept = [word for i, word in enumerate(arguments) if "--json" not in (word, *arguments[i - 1 : i])]
    return [Path(word).name if "/" in word else word for word in kept]


def machine() -> dict[str, Any]:
    """Return processor, cores, memory, how busy it is, and GPU, and no name of a host."""
    import torch

    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": found[1] if found else platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory, GiB": round(pages / 2**30),
        "load, processes waiting": round(os.getloadavg()[0], 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def git(*arguments: str) -> str:
    """Return what git says, or nothing where there is no history."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def load(name: str) -> dict[str, Any]:
    """Return a result by its name."""
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def rendered(text: str, results: str) -> str:
    """Return a page with its tables and figures as the files have them; `results` is where it links them."""
    text = TABLE.sub(lambda found: found[1] + table(found[2], results) + found[3], text)
    return FIGURE.sub(lambda found: found[1] + single(found[2]) + found[3], text)


def table(wanted: str, results: str) -> str:
    """Return the table of a file, or of columns of several, and how old they are."""
    chosen, shown = yaml.safe_load(wanted), "rows"
    if "rows of" in chosen:
        files, chosen = {name: load(name) for name in chosen["rows of"]}, {"all": chosen["columns"]}
        rows = {
            row: {**cells, "command": f"`{f['command']}`"} for f in files.values() for row, cells in f["rows"].items()
        }
        tables = {"all": {**next(iter(files.values())), "rows": rows}}
    else:
        chosen = {chosen: None} if isinstance(chosen, str) else chosen
        shown = chosen.pop("rows", "rows")
        files = {name: load(name) for name in chosen}
        plain = {"highest": (), "ours": None} if shown == "more" else {}
        tables = {name: {**file, **plain, "rows": file[shown]} for name, file in files.items()}
    columns = [
        (tables[name], column, title)
        for name, titles in chosen.items()
        for column, title in (titles or {c: c for row in tables[name]["rows"].values() for c in row}).items()
    ]
    first = next(iter(tables.values()))
    shared = [row for row in first["rows"] if all(row in file["rows"] for file in tables.values())]
    for file in tables.values():  # the highest is that of the rows shown
        file["rows"] = {row: file["rows"][row] for row in shared}
    lines = [
        f"| {' | '.join([first.get('first', ''), *(title for *_, title in columns)])} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in shared:
        label = f"**{row}**" if row == first.get("ours") else row
        lines.append(f"| {' | '.join([label, *(cell(file, row, column) for file, column, _ in columns)])} |")
    if shown == "more":  # beside the table of the same file, which has its age
        return "\n".join([*lines, ""])
    ages = ", ".join(f"[{name}]({results}/{name}.json) {age(file)}" for name, file in files.items())
    return "\n".join([*lines, "", f"*Age in commits: {ages}*", ""])


def cell(file: dict[str, Any], row: str, column: str) -> str:
    """Return a cell as text, the highest of its column in bold if the file says so."""
    rows = file["rows"]
    value = rows.get(row, {}).get(column, "")
    if isinstance(value, dict) and column in file.get("plain", ()):
        value = value["value"]
    text = figure(value, file.get("digits", 1))
    if column in file.get("highest", ()) and row in rows:
        best = max(rows, key=lambda other: number(rows[other].get(column)))
        text = re.sub(r"^-?[\d.]+", r"**\g<0>**", text) if row == best else text
    return text


def number(value: Any) -> float:
    """Return what a cell counts as."""
    value = value["value"] if isinstance(value, dict) else value
    return float(value) if isinstance(value, int | float) else float("-inf")


def figure(value: Any, digits: int) -> str:
    """Return a number, with its interval if it has one, as text."""
    if isinstance(value, dict):
        low, high = (figure(bound, digits) for bound in value["interval"])
        return f"{figure(value['value'], digits)} ({low} to {high})"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def ratio(low: float, middle: float, high: float) -> str:
    """Return a ratio of two times with its quartiles as text."""
    return f"{middle:.2f} \N{MULTIPLICATION SIGN} (quartiles {low:.2f} to {high:.2f})"


def single(wanted: str) -> str:
    """Return the figure of `NAME | ROW | COLUMN`."""
    name, row, column = (part.strip() for part in wanted.split("|"))
    file = load(name)
    return figure((file["rows"] | file.get("more", {}))[row][column], file.get("digits", 1))


def age(file: dict[str, Any]) -> str:
    """Return how many commits have come since a result was measured."""
    return git("rev-list", "--count", f"{file['commit'].rstrip('+')}..HEAD") or "0"


def main() -> None:
    """Write the pages that have changed."""
    for page in PAGES:
        old = page.read_text()
        new = rendered(old, "docs/results" if page.parent == ROOT else "results")
        if new != old:
            page.write_text(new)
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
