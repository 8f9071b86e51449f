"""What a fault is, the folder that it is planted in, and how it is played: by the command line or from Python."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import torch
import yaml
from ultralytics.utils import LOGGER

from metafusion_yolo import MetaFusionYOLO, cli
from metafusion_yolo.engine.arguments import check_arguments
from metafusion_yolo.support.words import without_signs
from tests.conftest import TINY

ROOT = Path(__file__).parents[2]
ANY = "…"  # in what is said: the host's own words, what depends on versions of others, or on the machine
QUICK = {  # what the tests add to a command that does not say otherwise, so that those which run are done in seconds
    "train": "project={root}/runs imgsz=64 epochs=1 batch=2 device=cpu pretrained=False plots=False val=False",
    "val": "project={root}/runs imgsz=64 batch=2 device=cpu plots=False metrics=EN",
    "predict": "project={root}/runs imgsz=64 device=cpu",
    "track": "project={root}/runs imgsz=64 device=cpu",
    "export": "imgsz=64 device=cpu",
    "fuse": "project={root}/runs imgsz=64 device=cpu",
    "benchmark": "project=runs imgsz=64 device=cpu",
    "compare": "project=runs imgsz=64 epochs=1 device=cpu",
    "metrics": "project=runs metrics=EN",
    "data check": "project=runs",
    "data register": "project=runs",
    "data label": "project=runs imgsz=64 device=cpu",
}
EARLIER = (
    "train",
    "val",
    "predict",
    "track",
    "fuse",
    "benchmark",
    "compare",
    "metrics",
    "check",
    "register",
    "label",
    "demo",
)
Plant = Callable[[Path], object]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, and what the user sees.

    Attributes:
        title: What is wrong.
        command: What is typed behind `metafusion`, or an expression of Python where `raises` is set.
        says: The error without its prefix or, where the fault is tolerated, a line of the output; empty for none.
        plant: Spoils the folder, which is the working directory; what it returns is called at the end.
        code: Exit code: 2 for a refusal, 0 where it is tolerated, 1 for what `data check` has found.
        raises: The exception, from Python.
        leaves: Patterns of the files that a refused run may leave behind.
        python: Whether it is Python, though nothing is raised.
        process: Whether the command is run in a process of its own.
        checked: Whether the command's check finds it, so that nothing behind the check is played.
        note: What becomes of it, where it is tolerated.
    """

    title: str
    command: str
    says: str
    plant: Plant | None = None
    code: int = 2
    raises: type[BaseException] | None = None
    leaves: Sequence[str] = ()
    python: bool = False
    process: bool = False
    checked: bool = False
    note: str = ""


@dataclass(frozen=True)
class Area:
    """Faults that belong together in the document."""

    title: str
    about: str
    faults: Sequence[Fault] = field(repr=False)


# The folder ----------------------------------------------------------------------------------------------------------
def write_world(root: Path) -> None:
    """Write what each fault gets a copy of: six pairs with labels, their YAML, two checkpoints, earlier outputs."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for part in ("images", "infrared", "labels"):
            (root / part / split).mkdir(parents=True)
        for i in range(4 if split == "train" else 2):
            visible, infrared = rng.integers(0, 120, (48, 64, 3), np.uint8), rng.integers(0, 120, (48, 64), np.uint8)
            rows = []
            for cls, left in enumerate((0, 32)):  # an object of each class in each half
                x, y, w, h = left + rng.integers(1, 14), rng.integers(1, 26), rng.integers(10, 17), rng.integers(10, 21)
                visible[y : y + h, x : x + w], infrared[y : y + h, x : x + w] = (250, 160, 190), 230
                rows.append(f"{cls} {(x + w / 2) / 64:.6f} {(y + h / 2) / 48:.6f} {w / 64:.6f} {h / 48:.6f}\n")
            cv2.imwrite(str(root / "images" / split / f"{i}.png"), visible)
            cv2.imwrite(str(root / "infrared" / split / f"{i}.png"), infrared)
            (root / "labels" / split / f"{i}.txt").write_text("".join(rows))
    content = {"train": "images/train", "val": "images/val", "names": {0: "person", 1: "car"}}
    (root / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    shutil.copy(TINY, root / "metafusion-yolov8n.yaml")  # what a training takes where no model is named
    for name in EARLIER:
        (root / "runs" / name).mkdir(parents=True)
        (root / "runs" / name / "of-an-earlier-run.txt").write_text("precious\n")


def write_checkpoint(file: Path) -> None:
    """Write the checkpoint of an untrained fused detector of two classes."""
    model = MetaFusionYOLO(TINY)
    model.model.names, model.ckpt = {0: "person", 1: "car"}, {"train_args": {"imgsz": 64, "data": "data.yaml"}}
    model.save(file)


def snapshot(root: Path) -> dict[str, object]:
    """Return what lies in a folder: the content of files, the targets of links."""
    found: dict[str, object] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            file = Path(folder) / name
            key = os.fsencode(file.relative_to(root)).decode("utf-8", "replace")
            if file.is_symlink():
                found[key] = file.readlink()
            elif file.is_file():
                found[key] = file.read_bytes()
    return found


# Playing -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Outcome:
    """What became of a command: its exit code, or the exception, and its output, without paths of the machine."""

    code: int
    out: list[str]
    err: str
    error: BaseException | None = None


def words(fault: Fault, root: Path) -> list[str]:
    """Return the command line of a fault, with what makes it quick."""
    given = shlex.split(fault.command.replace("$PWD", str(root)))
    mode = " ".join(given[:2]) if given[:1] == ["data"] else (given or [""])[0]
    keys = {word.partition("=")[0] for word in given}
    quick = "" if "out" in keys else QUICK.get(mode, "")  # a prediction on a manifest has arguments of its own
    extra = [word for word in quick.format(root=root).split() if word.partition("=")[0] not in keys]
    return [*given, *extra]


def play(fault: Fault, root: Path) -> Outcome:
    """Do what a fault says in its folder, which is the working directory."""
    if fault.process:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8:strict",
        }  # as in most terminals
        command = [sys.executable, "-m", "metafusion_yolo", *words(fault, root)]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=120, check=False)
        out, err = (plain(stream.decode(errors="backslashreplace"), root) for stream in (done.stdout, done.stderr))
        return Outcome(done.returncode, out.splitlines(), err)
    out, err, log = io.StringIO(), io.StringIO(), _Lines()
    LOGGER.handlers.insert(0, log)  # before that of the host, which writes its prefix into the record
    code, error = 0, None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            if fault.raises or fault.python:
                # `list` runs generators to their end
                eval(fault.command, {"MetaFusionYOLO": MetaFusionYOLO, "np": np, "torch": torch})
            else:
                code = (up_to_the_check if fault.checked else cli.main)(words(fault, root))
    except BaseException as raised:
        error = raised
    finally:
        LOGGER.removeHandler(log)
    return Outcome(
        code, plain("\n".join([*log.lines, out.getvalue()]), root).splitlines(), plain(err.getvalue(), root), error
    )


def up_to_the_check(words: list[str]) -> int:
    """Play a command up to its check: no model is loaded, and what the arguments ask for is not done.

    This is the one place of the tests that knows where the command's check ends and its work begins.
    """

    def checks_alone(mode: str, model: object, task: object) -> Callable[..., Sequence[object]]:
        def method(**args) -> Sequence[object]:
            check_arguments(mode, args)
            return ()

        return method

    with mock.patch.object(cli, "_method_of", checks_alone):
        return cli.main(words)


class _Lines(logging.Handler):
    """Keeps what the host and we log, as the terminal shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        level = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
        self.lines.append(level + record.getMessage())


def plain(text: str, root: Path) -> str:
    """Return output without colours and signs, with the paths of the folder as they are below it."""
    text = without_signs(text).encode(errors="backslashreplace").decode()
    for path in (root.resolve(), root):
        text = text.replace(f"{path}{os.sep}", "").replace(str(path), ".")
    return text


def matches(says: str, seen: str) -> bool:
    """Tell whether something is said, whatever stands for `ANY`."""
    return re.fullmatch(".*?".join(map(re.escape, says.split(ANY))), seen, re.DOTALL) is not None


def check(fault: Fault, root: Path) -> None:
    """Plant a fault, play it, and see that what is said and what is left are as the catalogue has it."""
    undo = fault.plant(root) if fault.plant else None
    before = snapshot(root)
    try:
        outcome = play(fault, root)
        after = snapshot(root)
    finally:
        if callable(undo):
            undo()
    if fault.raises:
        assert outcome.error is not None, f"nothing was raised; expected {fault.raises.__name__}: {fault.says}"
        assert isinstance(outcome.error, fault.raises), repr(outcome.error)
        seen = plain(str(outcome.error), root)
    else:
        assert outcome.error is None, f"a traceback: {type(outcome.error)}: {outcome.error}"
        seen = outcome.err.removesuffix("\n").rpartition("metafusion: error: ")[2] if fault.code == 2 else ""
        assert outcome.code == fault.code, (outcome.code, outcome.err, outcome.out[-20:])
        assert "Traceback" not in outcome.err
    if fault.raises or fault.code == 2:
        assert fault.raises or outcome.err.count("metafusion: error: ") == 1, outcome.err
        assert matches(fault.says, seen), f"\n  seen      {seen}\n  expected  {fault.says}"
        leaves = [*fault.leaves, "runs/train-2/args.yaml", "runs/*/unfinished.txt"]  # notes on what was begun
        new = [name for name in after.keys() - before.keys() if not any(fnmatch(name, p) for p in leaves)]
        assert not new, f"left behind: {new}"
    elif fault.says:
        seen = [line.strip() for line in outcome.out]
        assert any(matches(fault.says, line) for line in seen), "\n".join([f"expected {fault.says}", *seen])
    changed = [name for name in before if after.get(name) != before[name]]
    assert not changed, f"changed: {changed}"
