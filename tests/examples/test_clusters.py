"""The lines that start a training on several machines: what they give is known, and has the same meaning everywhere."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"


def of_kubernetes() -> list[str]:
    documents = [*yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())]
    (container,) = documents[-1]["spec"]["template"]["spec"]["containers"]
    return container["command"] + container["args"]


def of_slurm() -> list[str]:
    text = (EXAMPLES / "slurm.sh").read_text().replace("\\\n", " ")
    return shlex.split(next(line for line in text.splitlines() if line.startswith("srun ")))[1:]
