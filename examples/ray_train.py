"""The training of docs/distributed.md under Ray Train, which places the processes and starts them again.

    python examples/ray_train.py --workers 8 --gpus data=pairs.yaml batch=128 project=/shared/runs name=night epochs=100
    python examples/ray_train.py --workers 2 data=pairs.yaml batch=8 project=runs name=night epochs=1 device=cpu

The words behind the options are those of `metafusion train`. `project=` must lie on a disk that all machines share. A
worker that is lost costs its epoch: Ray starts all of them again, and `resume=auto` goes on with the run.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer


def train(config: dict[str, Any]) -> None:
    """Train in one process of the group, whose rank and meeting point Ray has set in the environment."""
    from metafusion_yolo.cli import main

    torch.distributed.destroy_process_group()  # Ray's own; the training makes one as it does under torchrun
    if code := main(["train", *config["words"]]):
        raise SystemExit(code)


def run() -> None:
    """Read the words, and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpus", action="store_true", help="a GPU for each worker")
    parser.add_argument("--restarts", type=int, default=3)
    args, words = parser.parse_known_args()
    trainer = TorchTrainer(
        train,
        train_loop_config={"words": ["resume=auto", *words]},
        scaling_config=ScalingConfig(num_workers=args.workers, use_gpu=args.gpus),
        run_config=RunConfig(failure_config=FailureConfig(max_failures=args.restarts)),
    )
    trainer.fit()


if __name__ == "__main__":
    run()
