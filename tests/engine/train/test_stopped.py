"""The command stopped from without: by a lack of memory, by Ctrl-C, by SIGTERM. One line, an exit code, whole files."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from metafusion_yolo import MetaFusionYOLO, cli
from tests.conftest import TINY
from tests.engine.conftest import IMGSZ
from tests.processes import Command, needs_fork

# Memory --------------------------------------------------------------------------------------------------------------
SHORT_OF_MEMORY = """
import resource, sys
from metafusion_yolo import cli
import metafusion_yolo.model
import albumentations, numpy, scipy.linalg  # each with a BLAS that takes its memory at once, and gives up by itself
for linalg in (numpy.linalg, scipy.linalg):
    linalg.inv(numpy.eye(64))
used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, used + 400_000_000))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit is set from what Linux tells")
def test_too_little_memory_ends_in_a_hint(tiny_data, tmp_path):
    words = ["train", f"data={tiny_data}", "epochs=1", "imgsz=1024", "batch=8", "pretrained=False", "plots=False"]
    words += [f"project={tmp_path}", "workers=0"]
    run = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr[-2000:]
    assert run.stderr.splitlines()[-1].startswith("metafusion: error: out of memory")
    assert run.stderr.splitlines()[-1].endswith("; make batch= or imgsz= smaller")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 7.79 GiB"
        ),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 2.50 GiB. Error code 12 (Cannot allocate memory)"
        ),
        RuntimeError("could not create a primitive"),  # oneDNN
        MemoryError("Unable to allocate 2.50 GiB for an array with shape (1,)"),
        MemoryError(),
    ],
)
def test_every_lack_of_memory_is_told_alike(error, monkeypatch, capsys):
    def fail(words):
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main([]) == 2
    told = capsys.readouterr().err
    assert told.startswith("metafusion: error: out of memory") and told.count("\n") == 1
    assert ("2.50 GiB" in told) == ("2.50 GiB" in str(error))


# Signals -------------------------------------------------------------------------------------------------------------
@needs_fork
def test_signals_leave_a_checkpoint_and_say_how_to_go_on(tiny_data, tmp_path):
    weights = tmp_path / "t" / "weights" / "last.pt"
    fresh = [
        f"model={TINY}",
        f"data={tiny_data}",
        "epochs=500",
        f"imgsz={IMGSZ}",
        "batch=4",
        "pretrained=False",
        "plots=False",
    ]
    fresh += [f"project={tmp_path}", "name=t", "patience=0"]
    again = ["resume=True", f"model={weights}"]
    written = 0.0
    for words, number, code, word in (
        (fresh, signal.SIGTERM, 143, "terminated"),
        (again, signal.SIGINT, 130, "interrupted"),
    ):
        process = Command(["train", *words], tmp_path / "said.txt")
        process.wait(until=lambda last=written: weights.exists() and weights.stat().st_mtime > last)
        process.send(number)
        assert process.wait() == code, process.said()[-20:]
        told = process.said()
        assert told[-1] == f"metafusion: {word}" and not any("Traceback" in line for line in told)
        assert any(f"to continue: metafusion train resume=True model={weights}" in line for line in told)
        assert not list(tmp_path.rglob("*.part"))
        written = weights.stat().st_mtime
    assert MetaFusionYOLO(weights).ckpt["epoch"] >= 1
