"""What does half precision do on a GPU, and do two of them train as one? Ten minutes, one table.

Steps of training in FP32, FP16 with a scaler, and BF16, fused and stock; pairs a second in FP16 at batch 1 and 32; the
boxes of TensorRT against those of PyTorch; and where there are two GPUs, a training on both against one on one. Where
there is none it says so in a line, and measures nothing.

    python benchmarks/gpu.py --imgsz 640
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
import ultralytics
from parity import verdict
from step_time import VARIANTS, Training, synchronize

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.engine.export.benchmark import benchmark_formats
from metafusion_yolo.prepare.synthetic import write_dataset

PRECISIONS = {"FP32": None, "FP16": torch.float16, "BF16": torch.bfloat16}
STEPS = ("stock", "joint losses", "look-ahead")
Row = tuple[str, str, str]  # what, value, note


def steps(imgsz: int, batch: int, runs: int, device: torch.device) -> Iterator[Row]:
    """Yield the median time of a step by variant and precision, and how many the scaler skipped."""
    boxes = 6
    data = {
        "img": torch.rand(batch, 4, imgsz, imgsz),
        "cls": torch.zeros(batch * boxes, 1),
        "bboxes": torch.rand(batch * boxes, 4) * 0.3 + 0.3,
        "batch_idx": torch.arange(batch).repeat_interleave(boxes).float(),
    }
    data = {key: value.to(device) for key, value in data.items()}
    for name in STEPS:
        whole = 0.0
        for precision, dtype in PRECISIONS.items():
            training = Training(VARIANTS[name], data, device)
            scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
            times, skipped = [], 0
            for _ in range(runs + 3):
                before = scaler.get_scale()
                times.append(step(training, scaler, dtype))
                skipped += scaler.get_scale() < before
            median = statistics.median(times[3:])
            whole = whole or median
            end = "finite" if all(p.isfinite().all() for p in training.model.parameters()) else "NOT FINITE"
            note = f"{median / whole:.2f} of FP32, {skipped} skipped by the scaler, {end}"
            yield f"step, {name}, {precision}", f"{median:.1f} ms", note


def step(training: Training, scaler: torch.amp.GradScaler, dtype: torch.dtype | None) -> float:
    """Take a step under autocast; return its time in milliseconds."""
    device = training.batch["img"].device
    synchronize(device)
    start = time.perf_counter()
    with torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        loss, _ = training.model.loss(training.batch)
    scaler.scale(loss.sum()).backward()
    scaler.step(training.optimizer)
    scaler.update()
    training.optimizer.zero_grad()
    synchronize(device)
    return (time.perf_counter() - start) * 1e3


@torch.inference_mode()
def rates(imgsz: int, seconds: float, device: torch.device) -> Iterator[Row]:
    """Yield pairs a second of the forward in FP16, by batch, and the ratio to the stock detector."""
    for batch in (1, 32):
        found = {}
        for name, channels in (("stock", 3), ("joint losses", 4)):
            model = Training(VARIANTS[name], {"img": torch.zeros(1, 4, 8, 8)}, device).model.eval().half()
            images = torch.rand(batch, channels, imgsz, imgsz, device=device).half()
            for _ in range(5):
                model(images)
            synchronize(device)
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds:
                model(images)
                synchronize(device)
                count += batch
            found[name] = count / (time.perf_counter() - start)
        ratio = found["stock"] / found["joint losses"]
        yield (
            f"forward, FP16, batch {batch}",
            f"{found['joint losses']:.0f} pairs/s",
            f"{ratio:.2f} of the time of stock",
        )


def trained(data: Path, folder: Path, imgsz: int, epochs: int, device: str) -> tuple[Path, float, float]:
    """Train, and return the run, seconds an epoch, and mAP50."""
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    start = time.perf_counter()
    metrics = model.train(
        data=str(data),
        epochs=epochs,
        imgsz=imgsz,
        batch=16,
        device=device,
        project=str(folder),
        verbose=False,
        plots=False,
        pretrained=False,
        seed=0,
    )
    seconds = (time.perf_counter() - start) / epochs  # the start of the processes included
    return Path(model.trainer.save_dir), seconds, metrics.results_dict["metrics/mAP50(B)"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--runs", type=int, default=30, help="steps of training that are timed")
    parser.add_argument("--epochs", type=int, default=20, help="of the training whose boxes are compared")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: PyTorch sees none, so there is nothing to measure")
        return
    device, rows = torch.device("cuda", 0), []
    rows += steps(args.imgsz, args.batch, args.runs, device)
    rows += rates(args.imgsz, 5.0, device)
    with tempfile.TemporaryDirectory() as folder:
        data = write_dataset(Path(folder) / "pairs", train=160, val=40, imgsz=320)
        run, seconds, score = trained(data, Path(folder) / "one", 320, args.epochs, "0")
        rows.append(("training, 1 GPU", f"{seconds:.2f} s an epoch", f"mAP50 {score:.3f}"))
        if torch.cuda.device_count() > 1:
            _, both, score = trained(data, Path(folder) / "two", 320, args.epochs, "0,1")
            rows.append(
                ("training, 2 GPUs", f"{both:.2f} s an epoch", f"mAP50 {score:.3f}, {both / seconds:.2f} of 1 GPU")
            )
        else:
            rows.append(("training, 2 GPUs", "not measured", "there is one here"))
        formats = ["pt", "engine", "engine:16"] if find_spec("tensorrt") else ["pt"]
        best = MetaFusionYOLO(run / "weights" / "best.pt")
        where = {"project": folder, "name": "formats", "exist_ok": True}
        found = benchmark_formats(best, str(data), formats, imgsz=320, batches=(), device=0, **where)
        for row in found:
            rows.append((f"boxes, {row['format']}", f"mAP50 {row['mAP50']}", verdict(row, found[0]["mAP50"])))
        if len(formats) == 1:
            rows.append(("boxes, engine", "not measured", "pip install tensorrt"))
    print(f"{torch.cuda.get_device_name(0)}, {torch.cuda.device_count()} here, torch {torch.__version__}, ", end="")
    print(f"ultralytics {ultralytics.__version__}, {args.imgsz} px, batch {args.batch}\n")
    for row in [("what", "value", ""), ("---", "---", "---"), *rows]:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
