"""A stranger's checkpoint runs none of its code, wherever it is given, and nothing is installed on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.nn.tasks import DetectionModel, load_checkpoint
from ultralytics.utils import checks

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.cli import main
from metafusion_yolo.engine._host import missing_packages_named
from metafusion_yolo.engine.checkpoints import UnsafeCheckpointError
from metafusion_yolo.nn.tasks import FusionDetectionModel
from tests.conftest import TINY
from tests.engine.conftest import TRAIN_ARGS


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch '{self.trace}'",)


@pytest.fixture
def trace(tmp_path) -> Path:
    """File that exists once the payload has run."""
    return tmp_path / "it-ran"


@pytest.fixture(params=["alone", "in a model", "in a hook", "old format"])
def hostile(request, tmp_path, trace) -> Path:
    """Checkpoint that runs a command when it is unpickled."""
    file, content = tmp_path / "hostile.pt", {"model": Payload(trace), "epoch": 3, "optimizer": {}}
    if request.param in ("in a model", "in a hook"):
        content["model"] = FusionDetectionModel(TINY, verbose=False)
        content["model"].names = {0: Payload(trace)}
        if request.param == "in a hook":
            content["model"]._forward_hooks[0] = Payload(trace)
    torch.save(content, file, _use_new_zipfile_serialization=request.param != "old format")
    return file


def test_the_payload_is_real(hostile, trace):
    torch.load(hostile, weights_only=False)
    assert trace.exists()


REFUSAL = r"was not loaded: it asks for posix\.system, .* ULTRALYTICS_SAFE_LOAD=0"


def test_no_way_in_runs_the_payload(hostile, trace, tiny_data, tmp_path):
    arguments = {"data": str(tiny_data), "epochs": 1, "project": str(tmp_path), **TRAIN_ARGS}
    ways = {
        "model": lambda: MetaFusionYOLO(hostile),
        "load": lambda: MetaFusionYOLO().load(hostile),
        "pretrained": lambda: MetaFusionYOLO().train(**{**arguments, "pretrained": str(hostile)}),
        "resume": lambda: MetaFusionYOLO().train(resume=str(hostile)),
        "distill_model": lambda: MetaFusionYOLO().train(**arguments, distill_model=str(hostile)),
    }
    for name, way in ways.items():
        with pytest.raises(UnsafeCheckpointError, match=REFUSAL):
            way()
        assert not trace.exists(), name
    with pytest.raises(TypeError, match="references types outside"):  # where the host loads by itself
        AutoBackend(str(hostile))
    assert not trace.exists()


def test_the_command_says_it_in_one_line(hostile, trace, capsys):
    assert main(["predict", f"model={hostile}", "source=x.png"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "posix.system" in error
    assert not trace.exists()


@pytest.mark.parametrize("hostile", ["in a model"], indirect=True)
def test_the_opt_out_is_explicit(hostile, trace):
    """In a process of its own: the host reads the variable as it is imported."""
    code = f"from metafusion_yolo import MetaFusionYOLO\nMetaFusionYOLO({str(hostile)!r})"
    environment = {**os.environ, "ULTRALYTICS_SAFE_LOAD": "0"}
    assert not trace.exists()
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert trace.exists()


@pytest.mark.parametrize("detector", ["yolov8n.yaml", "yolo11n.yaml", "yolo26n.yaml"])
def test_checkpoints_of_stock_detectors_load(detector, tmp_path):
    model = DetectionModel(detector, verbose=False)
    torch.save({"model": model.half(), "ema": None, "train_args": {}}, tmp_path / "stock.pt")
    loaded = MetaFusionYOLO(f"metafusion-{detector}").load(tmp_path / "stock.pt").model
    weights = loaded.state_dict(), model.float().state_dict()
    assert torch.equal(weights[0]["model.0.visible.0.conv.weight"], weights[1]["model.0.conv.weight"])


@pytest.mark.parametrize("file", ["last.pt", "best.pt"])
def test_our_checkpoints_load(run, file):
    assert isinstance(load_checkpoint(run.folder / "weights" / file)[0], FusionDetectionModel)


def test_a_class_of_another_version_is_told_from_hostile_ones(tmp_path, monkeypatch):
    model = FusionDetectionModel(TINY, verbose=False)
    gone = type("DetailBranch", (torch.nn.Module,), {"__module__": "metafusion_yolo.nn.blocks"})
    monkeypatch.setattr("metafusion_yolo.nn.blocks.DetailBranch", gone, raising=False)
    model.fusion.detail = gone()
    torch.save({"model": model}, tmp_path / "old.pt")
    monkeypatch.undo()
    with pytest.raises(
        TypeError, match=r"from another version of metafusion_yolo, with metafusion_yolo\.nn\.blocks\.Det"
    ):
        MetaFusionYOLO(tmp_path / "old.pt")


def test_nothing_is_installed(monkeypatch):
    monkeypatch.setattr(checks.subprocess, "check_output", lambda *a, **k: pytest.fail("an installer was started"))
    assert not checks.check_requirements("a-package-that-is-not-there>=1")
    message = r"needs the package 'not-there'.*: pip install not-there"
    with pytest.raises(ModuleNotFoundError, match=message), missing_packages_named():
        import not_there  # noqa: F401
