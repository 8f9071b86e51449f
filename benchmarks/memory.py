"""Does prediction stream? Resident memory while predicting over a folder of many pairs.

Writes the pairs (links to a few synthetic ones, or two videos of them) to a temporary folder, predicts with
`stream=True`, prints the resident memory at every tenth of the way, and writes JSON.

    python benchmarks/memory.py --pairs 2000 --imgsz 160
    python benchmarks/memory.py --pairs 5000 --imgsz 160 --video
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import psutil
from results import RESULTS, save

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.synthetic import render_pair, write_dataset


def many_pairs(folder: Path, count: int, imgsz: int) -> Path:
    """Return a folder of `count` visible images, whose partners lie beside it."""
    write_dataset(folder / "few", train=20, val=1, imgsz=imgsz)
    for camera in ("images", "infrared"):
        sources = sorted((folder / "few" / camera / "train").glob("*.png"))
        target = folder / "many" / camera
        target.mkdir(parents=True)
        for i in range(count):
            os.link(sources[i % len(sources)], target / f"{i:06d}.png")
    return folder / "many" / "images"


def two_videos(folder: Path, count: int, imgsz: int) -> tuple[Path, Path]:
    """Return a visible and an infrared video of `count` frames."""
    pairs = [render_pair(seed, imgsz) for seed in range(20)]
    files = folder / "visible.avi", folder / "infrared.avi"
    images = [pair.visible[..., ::-1] for pair in pairs], [np.repeat(p.infrared[..., None], 3, 2) for p in pairs]
    for file, frames in zip(files, images, strict=True):
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 25, frames[0].shape[1::-1])
        for i in range(count):
            writer.write(frames[i % len(frames)])
        writer.release()
    return files


def main() -> None:
    """Predict and watch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--video", action="store_true", help="two videos, tracked, with all that can be written")
    parser.add_argument("--json", type=Path, default=RESULTS / "memory.json")
    args = parser.parse_args()

    process = psutil.Process()
    samples = {}
    with tempfile.TemporaryDirectory() as folder:
        model = MetaFusionYOLO("metafusion-yolov8n.yaml")
        options = {"stream": True, "imgsz": args.imgsz, "verbose": False}
        if args.video:
            visible, infrared = two_videos(Path(folder), args.pairs, args.imgsz)
            outputs = dict.fromkeys(("save", "save_fused", "save_weights", "save_json", "save_csv"), True)
            results = model.track(visible, infrared=infrared, project=folder, **outputs, **options)
        else:
            results = model.predict(many_pairs(Path(folder), args.pairs, args.imgsz), **options)
        for i, result in enumerate(results, start=1):
            _ = result.fused  # what a user looks at must not pile up either
            if i % max(1, args.pairs // 10) == 0:
                samples[i] = round(process.memory_info().rss / 2**20, 1)
                print(f"{i:>8} pairs {samples[i]:>9} MiB", flush=True)
    values = list(samples.values())
    print(f"growth from the first to the last sample: {values[-1] - values[0]:+.1f} MiB")
    what = "frames of two videos, tracked, all outputs on" if args.video else "pairs of files"
    label = f"memory over {args.pairs:,} {what}, from the first tenth to the last pair"
    more = {str(count): {"MiB": value} for count, value in samples.items()}
    save(args.json, {label: {"measured": f"{values[-1] - values[0]:+.1f} MiB"}}, "one run", first="cost", more=more)


if __name__ == "__main__":
    main()
