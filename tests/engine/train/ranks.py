"""Trainings in two processes of a machine without GPUs: what a rank runs, and a trainer that starts two."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ultralytics.utils import RANK
from ultralytics.utils.callbacks import default_callbacks

from metafusion_yolo import cli
from metafusion_yolo.engine.train.trainer import FusionDetectionTrainer


class TwoProcesses(FusionDetectionTrainer):
    """The trainer as for `device=0,1`, on processors."""

    @staticmethod
    def processes(device: Any) -> int:
        return 2


def killed(trainer: FusionDetectionTrainer) -> None:
    """End rank 1 in the last epoch of the run `cut`, unless it was started anew for that."""
    if RANK == 1 and trainer.args.name == "cut" and trainer.epoch == trainer.epochs - 1 and not trainer.resume:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    default_callbacks["on_train_batch_start"].append(killed)
    file = Path(sys.argv[1])
    codes = []
    for words in json.loads(file.read_text()):
        codes.append(cli.main(words))
        if codes[-1] and "name=refused" not in words:  # as one command would: torchrun starts it again
            sys.exit(codes[-1])
    file.with_name(f"codes{RANK}.json").write_text(json.dumps(codes))
