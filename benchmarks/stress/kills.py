"""Does a killed training end like an undisturbed one? Random `kill -9`, resumed until finished, compared bit for bit.

Every training is killed at a random moment and resumed, half of the time to be killed again, until it is finished. Half
of the kills fall anywhere, the other half wait for a certain stage of a certain epoch. Weights, averages, state of the
optimizer, both checkpoints and results.csv (but for its times) must be those of a training that nobody disturbed. Done
trainings are kept in the JSON file, and a benchmark that was itself cut off goes on from there.

    python benchmarks/stress/kills.py --kills 50
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch

from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer
from metafusion_yolo.prepare.synthetic import write_dataset

STAGES = ("start", "batches", "validation", "checkpoint", "between", "end")
WITHIN = {"batches": 0.5, "validation": 0.2, "checkpoint": 0.2, "between": 0.002, "end": 0.5}  # seconds from its begin
ARGS: dict[str, Any] = {
    **{"model": "metafusion-yolov8n.yaml", "imgsz": 64, "epochs": 3, "batch": 2, "pretrained": False, "seed": 0},
    **{"nbs": 6, "warmup_epochs": 1, "close_mosaic": 1, "plots": False, "verbose": False, "exist_ok": True},
}  # a step of the optimizer every three batches, of which an epoch has four: gradients wait from epoch to epoch
stage = mmap.mmap(-1, 1)  # shared with the trainings: what they are at


class Watched(FusionDetectionTrainer):
    """Tells which stage it is at, and leaves a fingerprint of all that the next epoch builds on."""

    def _model_train(self) -> None:
        super()._model_train()
        stage[0] = STAGES.index("batches")

    def validate(self) -> Any:
        """Validate."""
        stage[0] = STAGES.index("validation")
        return super().validate()

    def save_model(self) -> bool:
        """Save."""
        state = self.model.state_dict(), self.ema.ema.state_dict(), self.optimizer.state_dict()["state"]
        (self.save_dir / f"epoch{self.epoch}.sha256").write_text(fingerprint(state))
        stage[0] = STAGES.index("checkpoint")
        saved = super().save_model()
        stage[0] = STAGES.index("between")
        return saved

    def final_eval(self) -> None:
        """Finish."""
        stage[0] = STAGES.index("end")
        super().final_eval()


def fingerprint(state: Any) -> str:
    """Return the SHA-256 of all tensors in nested dictionaries, lists and tuples, in their order."""
    digest = hashlib.sha256()

    def add(item: Any) -> None:
        if isinstance(item, torch.Tensor):
            digest.update(item.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(item, dict):
            add(list(item.values()))
        elif isinstance(item, (list, tuple)):
            for part in item:
                add(part)

    add(state)
    return digest.hexdigest()


def finished(folder: Path) -> bool:
    """Tell whether a killed training had done all but end its process."""
    last = folder / "weights" / "last.pt"
    return last.exists() and torch.load(last, weights_only=False)["epoch"] == -1


def outcome(folder: Path) -> dict[str, Any]:
    """Return what a finished training left, in a form that can be compared."""
    found: dict[str, Any] = {}
    for name in ("last", "best"):
        checkpoint = torch.load(folder / "weights" / f"{name}.pt", weights_only=False)
        found[name] = fingerprint(checkpoint["model"].state_dict())
        found[f"{name} is stripped"] = checkpoint["epoch"] == -1 and checkpoint["optimizer"] is None
    found["state"] = (folder / f"epoch{ARGS['epochs'] - 1}.sha256").read_text()
    rows = [row.split(",") for row in (folder / "results.csv").read_text().splitlines()]
    found["results"] = [[row[0], *row[2:]] for row in rows]
    found["litter"] = sorted(path.name for path in folder.rglob("*.part"))
    return found


def launch(folder: Path, data: Path) -> int:
    """Start or resume a training in a copy of this process, which has all modules loaded; return its number."""
    stage[0] = STAGES.index("start")
    process = os.fork()
    if process:
        return process
    try:
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        last = folder / "weights" / "last.pt"
        again = {"model": str(last), "resume": str(last)}
        fresh = {**ARGS, "data": str(data), "project": str(folder.parent), "name": folder.name}
        Watched(overrides=again if last.exists() else fresh).train()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def wait(process: int, until: Callable[[], bool]) -> bool:
    """Wait for the end of a process, and return True, or until something else is the case, and return False.

    Raises:
        RuntimeError: If the process fails.
    """
    while not until():
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended and os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"a training failed with status {os.waitstatus_to_exitcode(status)}; see its log")
        if ended:
            return True
        time.sleep(0.0005)
    return False


def moment(draw: random.Random, seconds: float) -> Callable[[], bool]:
    """Return what is true once the moment to kill has come: anywhere, or in a certain stage of a certain epoch."""
    start = time.monotonic()
    if draw.random() < 0.5:
        delay = draw.uniform(0, seconds)
        return lambda: time.monotonic() - start > delay
    wanted, delay = draw.choice(list(WITHIN)), draw.random()
    times, seen, inside = draw.randint(1, 1 if wanted == "end" else ARGS["epochs"]), 0, False

    def come() -> bool:
        nonlocal seen, inside, start
        now = STAGES[stage[0]] == wanted
        if now and not inside:
            seen, start = seen + 1, time.monotonic()
        inside = now
        return inside and seen >= times and time.monotonic() - start > delay * WITHIN[wanted]

    return come


def disturbed(folder: Path, data: Path, seed: int, seconds: float) -> list[str]:
    """Train with random kills and return the stages in which they fell."""
    draw, fell = random.Random(seed), []
    while not fell or draw.random() < 0.5:
        process = launch(folder, data)
        if wait(process, moment(draw, seconds)):  # finished before its turn came
            return fell
        os.kill(process, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0:
            return fell
        fell.append(STAGES[stage[0]])
        if finished(folder):
            return fell
    wait(launch(folder, data), lambda: False)
    return fell


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--model", default=ARGS["model"])
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/kills.json"))
    args = parser.parse_args()
    ARGS["model"] = args.model

    torch.set_num_threads(1)  # a copy of a process has one thread
    cv2.setNumThreads(1)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    trainings = json.loads(args.json.read_text()) if args.json.exists() else []
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        data = write_dataset(root / "pairs", train=8, val=4, imgsz=64)
        start = time.monotonic()
        wait(launch(root / "undisturbed", data), lambda: False)
        seconds, expected = time.monotonic() - start, outcome(root / "undisturbed")
        while sum(len(training["kills"]) for training in trainings) < args.kills:
            folder = root / f"killed-{len(trainings)}"
            kills = disturbed(folder, data, len(trainings), seconds)
            found = outcome(folder)
            trainings.append({"kills": kills, "differs": [key for key in expected if found[key] != expected[key]]})
            args.json.write_text(json.dumps(trainings, indent=1))
            differs = ", ".join(trainings[-1]["differs"]) or "nothing"
            print(f"{len(trainings)}: killed in {', '.join(kills) or 'no stage'}; differs: {differs}", flush=True)
            shutil.rmtree(folder)
    where = Counter(name for training in trainings for name in training["kills"])
    same = sum(not training["differs"] for training in trainings)
    print(f"\n| kills | {' | '.join(STAGES)} | trainings | identical |\n|{'---|' * (len(STAGES) + 3)}")
    print(f"| {where.total()} | {' | '.join(str(where[s]) for s in STAGES)} | {len(trainings)} | {same} |")


if __name__ == "__main__":
    main()
