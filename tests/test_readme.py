"""What the README and the pages that it was part of show works as pasted."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict
from pathlib import Path
from types import MethodType, SimpleNamespace

import pytest
import yaml

from metafusion_yolo import cli
from metafusion_yolo.config import FusionConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    page: (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in ("index", "commands", "how-it-works")
}
COMMANDS = [
    line.split("#")[0].split("&& ")[-1].strip()
    for block in re.findall(r"```bash\n(.*?)```", README + PAGES["index"] + PAGES["commands"], re.DOTALL)
    for line in block.splitlines()
    if "metafusion " in line.split("#")[0]
]


@pytest.mark.slow
def test_python_runs_as_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"<!-- runs: python -->\n```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert list((tmp_path / "out").glob("*.png"))


def test_it_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", [*dict.fromkeys(COMMANDS)])
def test_commands_are_valid(command, monkeypatch):
    """Everything up to loading the model, which the paths of the README do not have."""
    reached = []
    monkeypatch.setattr(cli, "load_model", lambda path, task=None: reached.append(path) or _Anything())
    monkeypatch.setattr("metafusion_yolo.prepare.synthetic.write_dataset", lambda *a, **k: Path("synthetic.yaml"))
    monkeypatch.setattr("metafusion_yolo.prepare.convert.convert", lambda **k: _Anything())
    monkeypatch.setattr("metafusion_yolo.cli.demo.run_demo", lambda *_: None)
    monkeypatch.setattr("metafusion_yolo.cli.runs._serve", lambda options: None)
    monkeypatch.setattr("metafusion_yolo.prepare.init.init_dataset", lambda *_: (_Anything(), Path("report.html")))
    monkeypatch.setattr("metafusion_yolo.labelling.dataset.label_pairs", lambda *_: "2 pairs labelled")
    clean = SimpleNamespace(errors=0, summary=lambda: "nothing found")
    monkeypatch.setattr("metafusion_yolo.prepare.check.run_check", lambda *_: (clean, Path("report.html")))
    verdict = SimpleNamespace(sentence="Use it.", rule="5 %")
    monkeypatch.setattr("metafusion_yolo.compare.run_compare", lambda *_: (verdict, Path("report.html")))
    assert cli.main(shlex.split(command)[1:]) == 0


class _Anything:
    """A model, or a report, whose every method accepts everything and returns one path."""

    def __getattr__(self, name):
        return MethodType(lambda *args, **kwargs: [Path("fused/7.png")], SimpleNamespace(task="detect"))


def test_the_table_of_the_fusion_section_shows_the_defaults():
    config = FusionConfig()
    rows = dict(re.findall(r"^\| `([^`]+)`(?:[^|]*)\| ([^|]+) \|", PAGES["how-it-works"], re.MULTILINE))
    gains, meta, augment = config.gains, config.meta, config.augment
    assert rows["method"] == config.method
    assert rows["attention"] == str(config.attention).lower()
    assert float(rows["initial_infrared_weight"]) == config.initial_infrared_weight
    expected = [gains.ssim, gains.gradient, gains.intensity, gains.detection, gains.meta, gains.trust]
    assert [float(x) for x in rows["gains: {ssim, gradient, intensity, detection, meta, trust}"].split(",")] == expected
    shown = yaml.safe_load(f"[{rows['meta: {levels, distance, interval, inner_lr, first_order}']}]")
    assert shown == [list(meta.levels), meta.distance, meta.interval, meta.inner_lr, meta.first_order]
    key = f"augment: {{{', '.join(asdict(augment))}}}"
    assert [float(x) for x in rows[key].split(",")] == list(asdict(augment).values())
    fractions = [phase.fraction for phase in config.schedule.phases]
    assert [float(x) for x in rows["schedule: {warmup, joint, finetune}"].split("/")] == fractions


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
