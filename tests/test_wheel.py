"""The wheel works outside the checkout."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_contains_the_descriptions_and_the_start(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("cfg/models", "metafusion_yolo/cfg/models"), ("datasets", "metafusion_yolo/datasets")):
        for file in (ROOT / folder).glob("*.yaml"):
            assert f"{inside}/{file.name}" in names
    assert "metafusion_yolo/nn/start.safetensors" in names
    assert {Path(name).parts[0] for name in names if ".dist-info" not in name} == {"metafusion_yolo"}
    kinds = {Path(name).suffix for name in names}
    assert not kinds & {".pt", ".onnx", ".png", ".jpg", ".webp", ".cache", ".pyc"}, "no weights but the start, no data"
    assert wheel.stat().st_size < 2e6
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_a_new_environment(wheel, tmp_path):
    """A new environment that borrows the dependencies of this one: PyTorch again would test nothing of ours."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    here = [path for path in site.getsitepackages() if Path(path, "torch").is_dir()]
    (packages / "dependencies.pth").write_text("\n".join(here))

    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON"))}
    where = [str(python), "-c", "import metafusion_yolo; print(metafusion_yolo.__file__)"]
    found = subprocess.run(where, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment).stdout
    assert found.startswith(str(packages))

    demo = [str(tmp_path / "venv" / "bin" / "metafusion"), "demo"]
    sizes = ["epochs=1", "imgsz=64", "train=8", "val=4", "batch=4"]
    run = subprocess.run(
        [*demo, *sizes], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "both cameras" in run.stdout + run.stderr
    assert list(tmp_path.glob("runs/demo/demo/demo.png"))
