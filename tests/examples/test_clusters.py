"""The lines that start a training on several machines: torchrun takes its part, and our command the rest."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from torch.distributed.run import parse_args

from metafusion_yolo.cli.modes import MODES
from metafusion_yolo.cli.parsing import check, parse

EXAMPLES = Path(__file__).parents[2] / "examples"


def of_kubernetes() -> list[str]:
    documents = [*yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())]
    (container,) = documents[-1]["spec"]["template"]["spec"]["containers"]
    return container["command"] + container["args"]


def of_slurm() -> list[str]:
    text = (EXAMPLES / "slurm.sh").read_text().replace("\\\n", " ")
    return shlex.split(next(line for line in text.splitlines() if line.startswith("srun ")))[1:]


@pytest.mark.parametrize("line", [of_kubernetes, of_slurm])
def test_torchrun_and_our_command_take_the_line(line) -> None:
    name, *words = line()
    args = parse_args(words)
    assert (name, args.module, args.training_script) == ("torchrun", True, "metafusion_yolo")
    assert (args.rdzv_backend, args.max_restarts) == ("c10d", "3") or args.max_restarts == 3
    mode, *given = args.training_script_args
    arguments = check(MODES[mode], parse(MODES[mode], given))
    assert (arguments["resume"], arguments["batch"] % (2 * 4)) == ("auto", 0)
    assert {"data", "project", "name"} <= arguments.keys()


def test_our_command_takes_the_words_for_ray_train() -> None:
    lines = [line.split() for line in (EXAMPLES / "ray_train.py").read_text().splitlines() if "ray_train.py --" in line]
    for line in lines:
        words = [word for word in line[line.index("--workers") + 2 :] if word != "--gpus"]
        arguments = check(MODES["train"], parse(MODES["train"], ["resume=auto", *words]))
        assert arguments["batch"] % int(line[line.index("--workers") + 1]) == 0
        assert {"data", "project", "name"} <= arguments.keys()
    assert len(lines) == 2
