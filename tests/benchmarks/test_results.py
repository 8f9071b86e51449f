"""The pages show what the files say, and a file says how its figures came about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "docs" / "results").glob("*.json"))


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{page.name}" for page in sorted(ROOT.glob("docs/*.md")))])
def test_the_figures_of_a_page_are_those_of_the_files(page) -> None:
    from results import AGE, rendered

    text = (ROOT / page).read_text()
    again = rendered(text, "docs/results" if page == "README.md" else "results")
    assert AGE.sub("", again) == AGE.sub("", text), "python benchmarks/results.py"  # an age grows by itself


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_a_file_says_how_its_figures_came_about_and_is_shown(file) -> None:
    content = json.loads(file.read_text())
    assert all(content[key] for key in ("command", "commit", "measured", "machine", "versions", "spread", "rows"))
    assert "/root" not in file.read_text() and "/tmp" not in file.read_text() and "/home" not in file.read_text()
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    assert any(f"results/{file.name}" in page.read_text() for page in pages)


def test_a_table_has_bold_and_intervals_and_a_benchmark_leaves_no_paths(tmp_path, monkeypatch) -> None:
    import results

    rows = {"ours": {"mAP50": {"value": 52.34, "interval": [47.9, 57.7]}}, "other": {"mAP50": 46.5, "note": "odd"}}
    monkeypatch.setattr(
        "sys.argv", [str(results.ROOT / "benchmarks/x.py"), "--data", f"{tmp_path}/a.yaml", "--json", "b"]
    )
    results.save(tmp_path / "found.json", rows, "95 %", first="reads", ours="ours", highest=["mAP50"])
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert results.load("found")["command"] == "python benchmarks/x.py --data a.yaml"
    lines = results.rendered("<!-- results: found -->\n<!-- end -->", "there").splitlines()
    assert lines[1:5] == [
        "| reads | mAP50 | note |",
        "|---|---|---|",
        "| **ours** | **52.3** (47.9 to 57.7) |  |",
        "| other | 46.5 | odd |",
    ]
    assert "[found](there/found.json) 0" in lines[6]
    single = results.rendered("It is <!-- figure: found | ours | mAP50 -->old<!-- end -->.", "there")
    assert ">52.3 (47.9 to 57.7)<" in single


def test_a_night_leaves_out_what_is_current_and_what_it_has_no_data_for(monkeypatch, tmp_path) -> None:
    import benchmarks.__main__ as night

    monkeypatch.setattr(night, "is_current", lambda name: name == "metrics")
    assert night.why_not("metrics", tmp_path / "a.yaml", tmp_path / "b.pt", again=False) == "up to date"
    assert not night.why_not("metrics", tmp_path / "a.yaml", tmp_path / "b.pt", again=True)
    assert "--data" in night.why_not("align", tmp_path / "a.yaml", tmp_path / "b.pt", again=False)
    assert "--weights" in night.why_not("predict", tmp_path / "a.yaml", tmp_path / "b.pt", again=False)
    scripts = {ROOT / "benchmarks" / benchmark.command.split()[0] for benchmark in night.NIGHT.values()}
    assert all(script.is_file() for script in scripts)


def test_a_result_is_current_while_the_code_is_the_same(monkeypatch, tmp_path) -> None:
    import results

    import benchmarks.__main__ as night

    commit = results.git("log", "-1", "--format=%h", "--", "metafusion_yolo", "cfg", "benchmarks/metrics.py")
    if not commit:
        pytest.skip("no history of git here")
    monkeypatch.setattr(night, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"commit": f"{commit}+"}))
    assert not night.is_current("metrics")  # with changes that no commit has
    (tmp_path / "metrics.json").write_text(json.dumps({"commit": commit, "carried": "by hand"}))
    assert not night.is_current("metrics")
