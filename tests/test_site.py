"""The site of `docs/` builds, without a dead link, and holds every page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


PROSE = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", *(str(page.relative_to(ROOT)) for page in PAGES)]


def test_words_are_spelt_right() -> None:
    pytest.importorskip("codespell_lib")
    command = [sys.executable, "-m", "codespell_lib", *PROSE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prose_has_no_cliches_and_no_word_twice() -> None:
    pytest.importorskip("proselint")
    command = [sys.executable, "-m", "proselint", "check", "--config", "tests/proselint.json", *PROSE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_it_builds_and_asks_for_nothing_from_elsewhere(tmp_path) -> None:
    pytest.importorskip("zensical")
    for name in ("docs", "metafusion_yolo"):  # the generator writes beside them
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    assert {page.stem for page in PAGES} <= {page.parent.name for page in site.glob("*/index.html")} | {"index"}
    assert "MetaFusionYOLO" in (site / "api" / "index.html").read_text()
    scenes = re.findall(r'src="([^"]+\.webp)"', (site / "gallery" / "index.html").read_text())
    assert scenes and all((site / "gallery" / scene).resolve().is_file() for scene in scenes)
    home = (site / "index.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", home)


def test_it_is_published_with_the_generator_that_it_is_tested_with() -> None:
    wanted = re.search(r"^docs = \[.*?\n\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)[0]
    workflow = (ROOT / ".github" / "workflows" / "docs.yml").read_text()
    assert all(package in workflow for package in re.findall(r'"([^"]+)"', wanted))


def test_every_page_is_in_the_menu() -> None:
    menu = re.findall(r'= "([\w-]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(menu) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_links_lead_to_pages_and_headings(page) -> None:
    for target, heading in re.findall(r"\]\(([\w-]*(?:\.md)?)#?([\w-]*)\)", (ROOT / "docs" / page).read_text()):
        file = ROOT / "docs" / (target or page)
        assert file.is_file(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles]
            assert heading in slugs, f"{target}#{heading}"
