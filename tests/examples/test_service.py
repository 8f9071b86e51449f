"""The files that run the service elsewhere: nothing that they name is missing. No Docker is asked for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from metafusion_yolo.options.serve import App, Serve

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "service"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMMANDS = {"serve": Serve, "app": App}


def test_what_the_image_is_built_from_is_there_and_suffices():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"]}
    assert needed | {"pyproject.toml", project["project"]["readme"]} <= copied
    [extra] = re.findall(r"/src\[(\w+)\]", DOCKERFILE)
    assert extra in project["project"]["optional-dependencies"]


def test_commands_and_their_arguments_are_known():
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    assert (FOLDER / compose["metafusion"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / compose["metafusion"]["build"]["dockerfile"]).samefile(FOLDER / "Dockerfile")
    [asked] = re.findall(r"^CMD (.+)", DOCKERFILE, re.MULTILINE)
    for command, config, *given in (json.loads(asked), compose["metafusion"]["command"]):
        assert {one.split("=")[0] for one in given} <= {field.name for field in fields(COMMANDS[command])}
        assert (FOLDER / config).is_file()
    mounted = [one.split(":")[0] for one in compose["metafusion"]["volumes"] if one.startswith("./")]
    assert mounted and all((FOLDER / name).is_file() for name in mounted)


def test_the_image_asks_whether_the_service_is_well(monkeypatch):
    [[python, flag, code]] = map(json.loads, re.findall(r"^HEALTHCHECK .* CMD (.+)", DOCKERFILE, re.MULTILINE))
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", asked.append)
    monkeypatch.setenv("METAFUSION_TOKEN", "a-token-of-16-letters")
    exec(code)  # ours
    assert (python, flag) == ("python", "-c") and asked[0].full_url == f"http://127.0.0.1:{Serve().port}/health"
    assert asked[0].headers == {"Authorization": "Bearer a-token-of-16-letters"}


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    text = (FOLDER / "metafusion.service").read_text()
    unit = tmp_path / "metafusion.service"
    unit.write_text(text.replace("/opt/metafusion/bin/metafusion", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
