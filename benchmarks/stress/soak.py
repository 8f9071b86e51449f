"""Does a run of a night hold? Memory, open files, threads and the account of every frame over 8 hours' worth of pairs.

Predicts and tracks on two videos, with all that a long run writes, then tracks on two live cameras (Motion JPEG of this
machine), a third of the pairs each, as fast as it goes. Samples resident memory, open files and threads on the way:

    growth    slope of the memory over the pairs, from block means after the warm-up, with its 95 % interval,
              for as many pairs as the whole run has; "flat" if it is surely less than --most MiB
    handles   open files and sockets at the first and last sample, which must be the same; threads likewise
    account   videos: frames = pairs = results; cameras: received = matched + single + unmatched + skipped + left

    python benchmarks/stress/soak.py --hours 8 --fps 1 --pretrained yolov8n.pt
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import yaml
from scipy import stats
from ultralytics.utils import YAML
from ultralytics.utils.checks import check_yaml

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.sync import SyncReport
from metafusion_yolo.prepare.synthetic import render_pair

sys.path.append(str(Path(__file__).parents[1]))  # the simulated camera is beside the other benchmarks
from mjpeg import MjpegCamera

SCENES, LASTS = 40, 8  # scenes, and frames of each
LEGS = ("predict", "track", "live")
# The host's tracker keeps the last 1000 tracks that have ended. That they are there within the warm-up, tracks begin
# at low scores and end soon.
TRACKER = {"track_high_thresh": 0.1, "track_low_thresh": 0.05, "new_track_thresh": 0.1, "track_buffer": 5}
SAMPLES, BLOCKS = 200, 10
WARM = 0.3  # share of the samples in which caches and pools of memory fill up
ENDS = ("matched", "single", "unmatched", "skipped", "left")  # what becomes of a frame

Frames = tuple[list[np.ndarray], list[np.ndarray]]  # of the visible and of the infrared camera


@dataclass
class Leg:
    """What was seen in a part of the run."""

    name: str
    pairs: int
    seconds: float
    memory: list[float]  # MiB
    files: list[int]
    threads: list[int]
    account: str
    adds_up: bool

    @property
    def settled(self) -> bool:
        """Whether open files and threads are at the end what they were after the warm-up."""
        start = int(len(self.files) * WARM)
        return self.files[start] == self.files[-1] and self.threads[start] == self.threads[-1]


def growth(memory: list[float]) -> tuple[float, float]:
    """Return by how much the memory grows over a leg, and the half-width of the 95 % interval.

    Neighbouring samples are much alike, so the line goes through the means of blocks.

    Args:
        memory: Samples, MiB, evenly spread over the leg; with less than three after the warm-up there is no slope, NaN.
    """
    warm = memory[int(len(memory) * WARM) :]
    count = min(BLOCKS, len(warm))
    if count < 3:
        return float("nan"), float("nan")
    line = stats.linregress(
        np.arange(count) * (1 - WARM) / count, [block.mean() for block in np.array_split(warm, count)]
    )
    error = np.nan_to_num(line.stderr)  # NaN if the memory is the same all the time
    return line.slope, float(error * stats.t.ppf(0.975, count - 2))


def scenes(imgsz: int) -> Frames:
    """Return frames (H, W, 3), B, G, R, of both cameras, each scene seen for a while and shifting."""
    pairs = [render_pair(seed, imgsz) for seed in range(SCENES)]
    return [pair.visible[..., ::-1] for pair in pairs], [np.repeat(pair.infrared[..., None], 3, 2) for pair in pairs]


def frame(images: list[np.ndarray], number: int) -> np.ndarray:
    """Return a frame of a camera: some of a scene, which moves by a pixel from one to the next."""
    return np.ascontiguousarray(np.roll(images[number // LASTS % len(images)], number % LASTS, 1))


def write_videos(folder: Path, frames: Frames, count: int) -> list[Path]:
    """Write a visible and an infrared video of so many frames."""
    files = [folder / "visible.avi", folder / "infrared.avi"]
    for file, images in zip(files, frames, strict=True):
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 25, images[0].shape[1::-1])
        for number in range(count):
            writer.write(frame(images, number))
        writer.release()
    return files


def watch(name: str, results: Iterable[Any], expected: int, model: MetaFusionYOLO) -> Leg:
    """Go through results as a user does, and sample memory, open files and threads on the way."""
    process, start, count, boxes = psutil.Process(), time.monotonic(), 0, 0
    samples: list[tuple[float, int, int]] = []
    for count, result in enumerate(results, start=1):
        _ = result.fused
        boxes += len(result.boxes)
        if count % max(expected // SAMPLES, 1) == 0:
            samples.append((process.memory_info().rss / 2**20, process.num_fds(), process.num_threads()))
        if count == expected and name == "live":
            break  # a camera has no end
    seconds = time.monotonic() - start
    results.close()  # type: ignore[attr-defined]
    account, adds_up = tell(model.sync_report, count)  # type: ignore[arg-type]
    memory, files, threads = map(list, zip(*samples, strict=True))
    return Leg(name, count, seconds, memory, files, threads, f"{boxes} boxes; {account}", adds_up)


def tell(report: SyncReport, results: int) -> tuple[str, bool]:
    """Return the account of a run, and whether every frame that came in came out, or is said to have been left out."""
    cameras = (report.visible, report.infrared)
    whole = all(camera.received == sum(getattr(camera, end) for end in ENDS) for camera in cameras)
    used = report.visible.matched + report.visible.single + report.infrared.single
    return f"visible {report.visible}; infrared {report.infrared}", whole and used == results


def main() -> None:
    """Predict, track, track live; print, write, and end with 1 if something grows or is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=8, help="of recording")
    parser.add_argument("--fps", type=float, default=1, help="of the recording: hours x fps x 3600 pairs in all")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--rate", type=float, default=25, help="of the live cameras, Hz")
    parser.add_argument("--model", default="metafusion-yolov8n.yaml")
    parser.add_argument("--pretrained", help="stock weights, so that there is something to track")
    parser.add_argument("--most", type=float, default=16, help="MiB that memory may grow by, for the number of pairs")
    parser.add_argument("--legs", nargs="+", choices=LEGS, default=LEGS, help="parts of the run, a third of it each")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/soak.json"))
    args = parser.parse_args()

    pairs = round(args.hours * 3600 * args.fps)
    each, frames = pairs // 3, scenes(args.imgsz)
    model = MetaFusionYOLO(args.model)
    if args.pretrained:
        model.load(args.pretrained)
    common = {"stream": True, "imgsz": args.imgsz, "verbose": False, "conf": 0.1}
    legs = []
    with tempfile.TemporaryDirectory() as folder:
        visible, infrared = write_videos(Path(folder), frames, each)
        tracker = Path(folder) / "tracker.yaml"
        tracker.write_text(yaml.safe_dump(YAML.load(check_yaml("tracktrack.yaml")) | TRACKER))
        outputs = dict.fromkeys(("save", "save_fused", "save_json", "save_csv"), True) | {"project": folder}
        if "predict" in args.legs:
            results = model.predict(visible, infrared=infrared, **outputs, **common)
            legs.append(watch("predict", results, each, model))
        if "track" in args.legs:
            results = model.track(visible, infrared=infrared, tracker=tracker, **outputs, **common)
            legs.append(watch("track", results, each, model))
        if "live" in args.legs:
            cameras = [MjpegCamera(lambda i, images=images: frame(images, i), args.rate) for images in frames]
            source = {"source": cameras[0].url, "infrared": cameras[1].url, "on_missing": "single"}
            results = model.track(**source, tracker=tracker, stream_buffer=True, **common)
            legs.append(watch("live", results, each, model))
            for camera in cameras:
                camera.kill()

    good = True
    for leg in legs:
        slope, half = (pairs / leg.pairs * value for value in growth(leg.memory))
        verdict = "flat" if slope + half < args.most else "too short to tell" if np.isnan(slope) else "GROWS"
        good &= verdict != "GROWS" and leg.settled and leg.adds_up
        print(
            f"{leg.name:>8} {leg.pairs:>6} pairs {leg.pairs / leg.seconds:>6.1f}/s  memory {leg.memory[-1]:.0f} MiB, "
            f"{slope:+.1f} ± {half:.1f} MiB in {pairs} pairs ({verdict}), files {leg.files[0]} -> "
            f"{leg.files[-1]}, threads {leg.threads[0]} -> {leg.threads[-1]}{'' if leg.settled else ' (GROW)'}\n"
            f"         {leg.account} ({'adds up' if leg.adds_up else 'DOES NOT ADD UP'})",
            flush=True,
        )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps([asdict(leg) for leg in legs], indent=2))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
