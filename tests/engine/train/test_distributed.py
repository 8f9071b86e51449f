"""Training in two processes that speak by gloo: as two machines under torchrun, and started by `train` itself."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import albumentations
import cv2
import pytest
import torch
import torch.distributed as dist
import yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.config import Augment, dotted
from metafusion_yolo.engine.train.distributed import HANDOVER, RanksFailedError, _store
from metafusion_yolo.engine.validate.measure import FusionMetrics
from metafusion_yolo.prepare.synthetic import write_dataset
from metafusion_yolo.support.errors import UserError
from tests.conftest import TINY
from tests.engine.train.ranks import TwoProcesses, killed

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this PyTorch has no gloo, by which CPUs speak"
)
FRACTIONS = {"warmup": 0.34, "joint": 0.33, "finetune": 0.33}  # the last freezes batch norm, which differs by rank
PHASES = {"meta": {"interval": 1}, "schedule": {name: {"fraction": part} for name, part in FRACTIONS.items()}}
COMMON = {"imgsz": 32, "batch": 8, "epochs": 3, "nbs": 8, "warmup_epochs": 0, "pretrained": False, "verbose": False}
COMMON |= {"optimizer": "SGD", "lr0": 0.01, "device": "cpu", "workers": 0, "plots": False}
PLAIN = dict.fromkeys(("mosaic", "translate", "scale", "fliplr", "hsv_h", "hsv_s", "hsv_v"), 0.0)
NOTHING = [albumentations.to_dict(albumentations.HorizontalFlip(p=0.0))]  # in the place of the host's rare changes
ONE_STEP = {
    **PLAIN,
    "augmentations": NOTHING,
    "batch": 16,
    "nbs": 16,
    "epochs": 2,
    "val": False,
    "pretrained": True,
}  # of all pairs, as they are
WARMUP = {
    "augment": {field.name: 0.0 for field in fields(Augment)},
    "schedule": {"warmup": {"fraction": 1.0}, "joint": {"fraction": 0.0}},
}


class Nodes(NamedTuple):
    """What two machines have trained."""

    data: Path
    project: Path
    codes: list[list[int]]
    said: str


def words(fusion: dict | None = None, **arguments) -> list[str]:
    given = {"model": TINY, **COMMON, **dotted(fusion or {}), **arguments}
    return ["train", *(f"{key}={value}" for key, value in given.items())]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory) -> Nodes:
    """Several trainings by the command under torchrun, on two machines of one process each, one after another."""
    folder = tmp_path_factory.mktemp("nodes")
    data = write_dataset(folder / "pairs", train=16, val=4, imgsz=32)
    one = folder / "one.yaml"  # with one pair for validation: the second machine gets none
    (folder / "one.txt").write_text(f"{min((data.parent / 'images' / 'val').iterdir())}\n")
    one.write_text(yaml.safe_dump({**yaml.safe_load(data.read_text()), "val": str(folder / "one.txt")}))
    given = {"data": data, "project": folder / "runs"}
    trainings = [
        words(**given, fusion=PHASES, name="cut", resume="auto", plots=True),
        words(**given, epochs=1, val=False),  # in a folder that is named once for both
        words(**{**given, "data": one}, name="alone", fusion_only=True, epochs=1),
        words(**given | ONE_STEP, fusion=WARMUP, name="step", model=folder / "start.pt"),
        words(**given, name="refused", compile=True),
        words(**given, name="refused", batch=3),
        words(**given, name="refused", unlabelled="self"),
    ]
    MetaFusionYOLO(TINY).save(folder / "start.pt")
    (folder / "trainings.json").write_text(json.dumps(trainings))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", "--max-restarts=1"]
    launch += ["--rdzv_backend=c10d", f"--rdzv_endpoint=127.0.0.1:{port}", "--rdzv_id=test"]
    launch += ["-m", "tests.engine.train.ranks", str(folder / "trainings.json")]
    said = [folder / f"said{node}.txt" for node in range(2)]
    machines = []
    for file in said:
        with file.open("w") as stream:
            machines.append(subprocess.Popen(launch, stdout=stream, stderr=subprocess.STDOUT))
    try:
        ends = [machine.wait(timeout=900) for machine in machines]
    finally:
        for machine in machines:
            machine.terminate()
    told = [file.read_text() for file in said]
    assert ends == [0, 0], "".join(text[-3000:] for text in told)
    codes = [json.loads((folder / f"codes{rank}.json").read_text()) for rank in range(2)]
    return Nodes(data, folder / "runs", codes, "".join(told))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return MetaFusionYOLO(run / "weights" / "last.pt").model.float().state_dict()


@pytest.mark.slow
def test_two_machines_agree_on_one_run_and_one_of_them_writes(nodes) -> None:
    assert nodes.codes == [[0, 0, 0, 0, 2, 2, 2]] * 2, nodes.said[-3000:]
    assert sorted(path.name for path in nodes.project.iterdir()) == ["alone", "cut", "step", "train"]
    for name, width in (("film_strip.jpg", 400), ("fusion_weights.jpg", 400), ("losses.png", 100)):
        assert cv2.imread(str(nodes.project / "cut" / name)).shape[1] > width
    assert [path.stem for path in sorted((nodes.project / "cut" / "film").iterdir())] == ["00001", "00002", "00003"]
    with (nodes.project / "cut" / "results.csv").open() as file:
        assert [int(float(row["epoch"])) for row in csv.DictReader(file)] == [1, 2, 3]
    assert nodes.said.count("epochs completed") == 4


@pytest.mark.slow
def test_front_ends_alone_are_validated_where_a_machine_has_no_pair(nodes) -> None:
    with (nodes.project / "alone" / "results.csv").open() as file:
        row = next(csv.DictReader(file))
    assert 0 < float(row["val/ssim_loss"]) < 2 and 0 < float(row["val/int_loss"]) < 2


@pytest.mark.slow
def test_two_machines_take_the_steps_of_one(nodes, tmp_path) -> None:
    model = MetaFusionYOLO(nodes.data.parents[1] / "start.pt")
    before = {f"fusion.{name}": value.clone() for name, value in model.model.fusion.state_dict().items()}
    model.train(**COMMON | ONE_STEP, data=str(nodes.data), project=str(tmp_path), name="step", fusion=WARMUP)
    one, two = weights(tmp_path / "step"), weights(nodes.project / "step")
    moved = max((one[name] - value).abs().max() for name, value in before.items())
    apart = max(((one[name] - two[name]).abs() / one[name].abs().clamp(min=1e-3)).max() for name in before)
    assert moved > 1e-3 and apart <= 2**-10, (moved, apart)  # the last bit of a checkpoint in half precision


@pytest.mark.slow
def test_what_cannot_work_in_several_processes_is_refused_in_a_line(nodes) -> None:
    errors = {line for line in nodes.said.splitlines() if line.startswith("metafusion: error: ")}
    for text in ("'compile=True' needs a model", "'batch=3' is shared by 2", "'unlabelled=self' labels before"):
        assert [line for line in errors if text in line], text


@pytest.mark.slow
def test_a_run_that_torchrun_restarts_ends_as_one_that_train_starts_undisturbed(nodes, tmp_path) -> None:
    assert "failed (exitcode: -9)" in nodes.said, "nothing was killed"
    model = MetaFusionYOLO(TINY)
    arguments = {**COMMON, "data": str(nodes.data), "project": str(tmp_path), "name": "whole", "fusion": PHASES}
    metrics = model.train(trainer=TwoProcesses, **arguments)
    assert isinstance(metrics, FusionMetrics) and metrics.results_dict["fitness"] >= 0
    expected, found = weights(tmp_path / "whole"), weights(nodes.project / "cut")
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def left_alone() -> list:
    """Return what a launcher changes for itself."""
    variables = [os.environ.get(name) for name in (HANDOVER, "OMP_NUM_THREADS")]
    return [*variables, logging.root.manager.disable, signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]


@pytest.mark.slow
def test_a_killed_process_ends_in_a_line_that_says_how_to_go_on(nodes, tmp_path, caplog, capfd) -> None:
    model = MetaFusionYOLO(TINY)
    model.add_callback("on_train_batch_start", killed)
    arguments = {**COMMON, "data": str(nodes.data), "project": str(tmp_path), "name": "cut", "epochs": 2}
    before = left_alone()
    with pytest.raises(RanksFailedError, match=r"because its process 1 of 2 was ended by SIGKILL$"):
        model.train(trainer=TwoProcesses, **arguments)
    assert left_alone() == before
    last = tmp_path / "cut" / "weights" / "last.pt"
    assert f"to continue: metafusion train resume=True model={last}" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_a_missing_package_is_named_before_an_earlier_run_is_touched(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    arguments = {"data": str(run.data), "model": TINY, "project": str(run.folder.parent), "name": run.folder.name}
    with pytest.raises(ModuleNotFoundError, match="several devices need the package 'cloudpickle'"):
        TwoProcesses(overrides={**COMMON, **arguments, "exist_ok": True})
    assert before == {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}


def test_a_rank_without_a_launcher_is_told_in_a_line(monkeypatch) -> None:
    for name in ("RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"does not find the others .*RANK expected.* start them by torchrun"):
        _store()
