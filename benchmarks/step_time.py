"""What does training cost? Time of an optimizer step: stock detector, joint losses, teaching and look-ahead.

All variants run in one process on the same batch, alternating; medians, and ratios to the joint losses alone and to the
stock detector on the visible images. The look-ahead is taken every `interval` batches: its ratio is the mean over one
such stretch. With `--peak` a few steps of one variant are taken, and the most memory that the process held is printed.

    python benchmarks/step_time.py --imgsz 384 --batch 8 --threads 2
    python benchmarks/step_time.py --imgsz 384 --batch 8 --threads 2 --peak stock
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import statistics
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import torch
import ultralytics
from results import RESULTS, save
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel

from metafusion_yolo.nn.model_yaml import load_model_yaml
from metafusion_yolo.nn.tasks import FusionDetectionModel

VARIANTS: dict[str, dict[str, Any] | None] = {
    "stock": None,  # the detector alone, on the visible images
    "joint losses": {"gains": {"meta": 0.0}, "meta": {"interval": 0}},
    "teaching": {"gains": {"meta": 1.0}, "meta": {"interval": 0}},
    "look-ahead, first order": {"gains": {"meta": 1.0}, "meta": {"interval": 1, "first_order": True}},
    "look-ahead": {"gains": {"meta": 1.0}, "meta": {"interval": 1}},
}


class Training:
    """A model in training on one batch, ready to take steps.

    Args:
        section: Changes to the `fusion:` section; None for the stock detector.
        batch: The host's batch.
        device: Where to train.
    """

    def __init__(self, section: dict[str, Any] | None, batch: dict[str, torch.Tensor], device: torch.device) -> None:
        if section is None:
            batch = {**batch, "img": batch["img"][:, :3].contiguous()}
            self.model = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
        else:
            shipped = load_model_yaml("metafusion-yolov8n.yaml")
            shipped["fusion"] = {**shipped["fusion"], **section}
            self.model = FusionDetectionModel(shipped, nc=3, verbose=False)
        self.model.to(device).train()
        self.model.args = get_cfg()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5)
        self.batch = batch

    def step(self) -> float:
        """Take one step; return its time in milliseconds."""
        synchronize(self.batch["img"].device)
        start = time.perf_counter()
        loss, _ = self.model.loss(self.batch)
        loss.sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        synchronize(self.batch["img"].device)
        return (time.perf_counter() - start) * 1e3


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def give_back_memory() -> None:
    """Let glibc return every freed tensor to the system, so that the peak is what was needed, not what it kept."""
    mmap_threshold = -3  # M_MMAP_THRESHOLD of malloc.h
    ctypes.CDLL(None).mallopt(mmap_threshold, 2**16)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgsz", type=int, default=384)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--interval", type=int, default=4, help="batches from one look-ahead to the next")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--peak", choices=VARIANTS, help="print the peak memory of one variant instead")
    parser.add_argument("--json", type=Path, default=RESULTS / "step-time.json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device, boxes = torch.device(args.device), 6
    batch = {
        "img": torch.rand(args.batch, 4, args.imgsz, args.imgsz),
        "cls": torch.zeros(args.batch * boxes, 1),
        "bboxes": torch.rand(args.batch * boxes, 4) * 0.3 + 0.3,
        "batch_idx": torch.arange(args.batch).repeat_interleave(boxes).float(),
    }
    batch = {key: value.to(device) for key, value in batch.items()}
    if args.peak:
        give_back_memory()
        training = Training(VARIANTS[args.peak], batch, device)
        for _ in range(4):
            training.step()
        cuda = device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(device) if cuda else 1024 * getrusage(RUSAGE_SELF).ru_maxrss
        print(f"{args.peak}: {peak / 2**20:.0f} MiB at most")
        return
    trainings = {name: Training(section, batch, device) for name, section in VARIANTS.items()}
    times: dict[str, list[float]] = {name: [] for name in trainings}
    for i in range(args.runs + 2):
        for name, training in trainings.items():
            elapsed = training.step()
            if i >= 2:
                times[name].append(elapsed)
    base = times["joint losses"]
    print(
        f"torch {torch.__version__}, ultralytics {ultralytics.__version__}, {platform.machine()}, {args.device}, ",
        end="",
    )
    print(f"{args.threads} threads, batch {args.batch}, {args.imgsz} px, {args.runs} steps each")
    print(f"| step | median ms | ratio | ratio at interval {args.interval} | ratio to stock |\n|---|---|---|---|---|")
    rows = {}
    for name, values in times.items():
        ratio = statistics.median(v / b for v, b in zip(values, base, strict=True))
        without = statistics.median(v / b for v, b in zip(times["teaching"], base, strict=True))
        mean = (ratio + (args.interval - 1) * without) / args.interval if "look-ahead" in name else ratio
        stock = statistics.median(v / s for v, s in zip(values, times["stock"], strict=True))
        rows[name] = {"ms": statistics.median(values), "ratio": ratio, "ratio_at_interval": mean, "to_stock": stock}
        print(f"| {name} | {rows[name]['ms']:.0f} | {ratio:.2f} | {mean:.2f} | {stock:.2f} |")
    ours, stock_ms = rows["joint losses"], rows["stock"]["ms"]
    text = f"{ours['to_stock']:.2f} \N{MULTIPLICATION SIGN} ({ours['ms']:.0f} and {stock_ms:.0f} ms)"
    label = f"training step against stock, batch {args.batch}, {args.imgsz} px, threads: {args.threads}"
    save(args.json, {label: {"measured": text}}, f"medians of {args.runs} steps in turn", first="cost", more=rows)


if __name__ == "__main__":
    main()
