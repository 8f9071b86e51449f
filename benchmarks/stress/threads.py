"""Does one model serve many threads? Every result and every file of every call, against the same call made alone.

Makes calls of mixed arguments and sources once each, one after another, and keeps their boxes, fused images and files.
Then threads make them in random order on the same model, and whatever differs by a bit is told:

    threads     calls of all threads: wrong results, wrong files, folders that no call should have made, calls a second
    repeat      the same calls in a row in one thread: slope of the resident memory with its 95 % interval
    processes   copies of the model in processes that are started anew ("spawn")

    python benchmarks/stress/threads.py --threads 8 --calls 200 --repeat 500 --processes 2 --pretrained yolov8n.pt
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import random
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from soak import growth, write_videos
from ultralytics.utils import LOGGER

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.prepare.synthetic import render_pair, write_dataset

PAIRS, FRAMES = 6, 6
SHARED = "shared"  # name of the run of every other call, so that the numbers behind it are fought over


@dataclass(frozen=True)
class Job:
    """A call.

    Attributes:
        method: "predict", "track", "fuse_images" or "val".
        source: Kind of the source.
        arguments: All the others.
        loop: What is done with a stream: "all" of it, "leave" it after the first result, or predict "within" its loop.
    """

    method: str
    source: str
    arguments: dict[str, Any]
    loop: str = "all"

    @property
    def writes(self) -> bool:
        """Whether the call makes a folder."""
        saves = any(key.startswith("save") and value for key, value in self.arguments.items())
        return saves or self.method in ("fuse_images", "val")


@dataclass
class Outcome:
    """What came of a call: a row of numbers each result, and the files by name."""

    rows: list[Any] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)


class Scene:
    """The pairs that all calls are made on, as files, videos and images in memory."""

    def __init__(self, root: Path, imgsz: int) -> None:
        self.data = write_dataset(root / "pairs", train=PAIRS, val=2, imgsz=imgsz)
        self.images = self.data.parent / "images" / "train"
        pairs = [render_pair(seed, imgsz) for seed in range(PAIRS)]
        self.arrays = [(pair.visible[..., ::-1].copy(), pair.infrared) for pair in pairs]
        grey = [np.repeat(infrared[..., None], 3, 2) for _, infrared in self.arrays]
        self.videos = write_videos(root, ([visible for visible, _ in self.arrays], grey), FRAMES)

    def source(self, kind: str) -> dict[str, Any]:
        """Return the source of a call."""
        files = sorted(self.images.glob("*.png"))
        stack = np.dstack((self.arrays[0][0][..., ::-1], self.arrays[0][1]))
        height, width = (side // 32 * 32 for side in stack.shape[:2])  # as the host wants tensors
        tensor = torch.from_numpy(stack[:height, :width]).permute(2, 0, 1)[None] / 255
        if kind == "videos":
            return {"source": self.videos[0], "infrared": self.videos[1]}
        kinds: dict[str, Any] = {
            "folder": self.images,
            "files": files[1:4],
            "file": files[5],
            "stack": stack,
            "tuples": self.arrays[2:5],
            "generator": (pair for pair in self.arrays[1:4]),
            "tensor": tensor,
        }
        return {"source": kinds[kind]}


def jobs(scene: Scene, levels: list[float], imgsz: int, seed: int = 0) -> list[Job]:
    """Return calls of many kinds, with thresholds among the `levels`."""
    rng, found = random.Random(seed), []
    kinds = ("folder", "files", "file", "stack", "tuples", "generator", "tensor")
    for kind, conf, stream in itertools.product(kinds, levels, (False, True)):
        written = {
            key: True for key in ("save", "save_txt", "save_fused", "save_json", "save_csv") if rng.random() < 0.4
        }
        more = {"view": "panel"} if rng.random() < 0.3 else {}
        more |= {"classes": [0]} if rng.random() < 0.3 else {}
        more |= {"slice": imgsz // 2} if rng.random() < 0.15 else {}
        arguments = {"conf": conf, "stream": stream, "batch": rng.choice((1, 2)), "imgsz": imgsz, **written, **more}
        loop = rng.choice(("all", "leave", "within")) if stream and kind in ("folder", "files", "tuples") else "all"
        found.append(Job("predict", kind, arguments, loop))
    for tracker, saved in itertools.product(("bytetrack.yaml", "botsort.yaml"), (True, False)):
        arguments = {"tracker": tracker, "conf": levels[0], "imgsz": imgsz, "stream": True, "save_json": saved}
        found.append(Job("track", "videos", arguments))
    found.append(Job("fuse_images", "folder", {"imgsz": imgsz}))
    found.append(Job("val", "data", {"imgsz": imgsz, "plots": False, "conf": levels[0]}))
    return found


def thresholds(model: MetaFusionYOLO, scene: Scene, imgsz: int) -> list[float]:
    """Return two scores between which results differ, whatever the weights."""
    results = model.predict(scene.images, conf=1e-4, imgsz=imgsz, verbose=False)
    scores = torch.cat([result.boxes.conf for result in results])
    return [round(float(scores.quantile(share)), 6) for share in (0.3, 0.8)]


def perform(model: MetaFusionYOLO, job: Job, scene: Scene, project: Path, name: str) -> Outcome:
    """Make a call, and return what came of it."""
    outcome, arguments = Outcome(), {**job.arguments, "project": str(project), "name": name, "verbose": False}
    if job.method == "val":
        metrics = model.val(data=str(scene.data), **arguments)
        outcome.rows = [round(float(metrics.box.map50), 6)]
        return outcome
    if job.method == "fuse_images":
        files = list(model.fuse_images(**scene.source(job.source), **arguments))
        outcome.files = contents(files[0].parent)
        return outcome
    results, folder = getattr(model, job.method)(**scene.source(job.source), **arguments), None
    for result in results:
        folder = folder or model.predictor.save_dir
        fused = zlib.crc32(result.fused.tobytes()) if result.has_fusion else None
        outcome.rows.append((Path(result.path).name, result.boxes.data.tolist(), fused))
        if job.loop == "within":
            inner = model.predict(scene.arrays[0][0], infrared=None, conf=0.9, imgsz=64, verbose=False)
            outcome.rows.append(len(inner[0].boxes))
        if job.loop == "leave":
            break
    if job.loop == "leave":
        results.close()
    if job.writes and folder:
        outcome.files = contents(folder)
    return outcome


def contents(folder: Path) -> dict[str, int]:
    """Return the checksum of each file of a folder by its name in it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): zlib.crc32(file.read_bytes()) for file in files}


def difference(found: Outcome, wanted: Outcome) -> str:
    """Return in words how an outcome differs from the one wanted; empty if it does not."""
    if found.rows != wanted.rows:
        return f"results {str(found.rows)[:80]}, not {str(wanted.rows)[:80]}"
    if found.files.keys() != wanted.files.keys():
        return f"files {sorted(found.files)}, not {sorted(wanted.files)}"
    changed = [name for name in wanted.files if found.files[name] != wanted.files[name]]
    return f"contents of {changed}" if changed else ""


def in_threads(
    model: MetaFusionYOLO, scene: Scene, wanted: list[tuple[Job, Outcome]], project: Path, threads: int, calls: int
) -> Counter[str]:
    """Make calls from many threads at a time, and return what went wrong."""
    faults: Counter[str] = Counter()
    start, folders = threading.Barrier(threads), [0] * threads

    def work(number: int) -> None:
        rng = random.Random(number)
        start.wait()
        for call in range(calls):
            job, outcome = rng.choice(wanted)
            name = SHARED if call % 2 else f"{number}-{call}"
            folders[number] += job.writes
            try:
                fault = difference(perform(model, job, scene, project, name), outcome)
            except Exception as error:
                fault = f"{type(error).__name__}: {error}"
            if fault:
                faults[f"{job.method} {job.source}: {fault}"] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    made, due = sum(1 for _ in project.iterdir()), sum(folders)
    if made != due:
        faults[f"{made} folders of runs, not {due}"] += 1
    return faults


def in_a_row(model: MetaFusionYOLO, scene: Scene, wanted: list[tuple[Job, Outcome]], project: Path, calls: int) -> list:
    """Make calls one after another, and return the resident memory after each, MiB."""
    process, memory, rng = psutil.Process(), [], random.Random(0)
    for call in range(calls):
        job, _ = rng.choice([pair for pair in wanted if pair[0].method != "val"])
        perform(model, job, scene, project, f"row-{call}")
        memory.append(process.memory_info().rss / 2**20)
    return memory


_MODEL: list[MetaFusionYOLO] = []  # of a process of the pool


def _receive(model: MetaFusionYOLO) -> None:
    torch.set_num_threads(1)
    LOGGER.setLevel("ERROR")
    _MODEL.append(model)


def _perform(job: Job, scene: Scene, project: Path, name: str) -> Outcome:
    return perform(_MODEL[0], job, scene, project, name)


def in_processes(
    model: MetaFusionYOLO, scene: Scene, wanted: list[tuple[Job, Outcome]], project: Path, processes: int
) -> Counter[str]:
    """Make each call once in a pool of processes, and return what went wrong."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _receive, (model,)) as pool:
        names = (f"process-{number}" for number in itertools.count())
        pending = [(pool.submit(_perform, job, scene, project, next(names)), job, want) for job, want in wanted]
        faults = [(job, difference(future.result(), want)) for future, job, want in pending]
    return Counter(f"{job.method} {job.source}: {fault}" for job, fault in faults if fault)


def alone(model: MetaFusionYOLO, scene: Scene, calls: list[Job], project: Path) -> Iterator[tuple[Job, Outcome]]:
    """Make each call once, with nothing beside it."""
    for number, job in enumerate(calls):
        yield job, perform(model, job, scene, project, str(number))


def main() -> None:
    """Call, compare, print, write, and end with 1 if anything is wrong or grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--calls", type=int, default=200, help="of each thread")
    parser.add_argument("--repeat", type=int, default=500, help="calls in a row, for the memory; 0 for none")
    parser.add_argument("--processes", type=int, default=2, help="0 for none")
    parser.add_argument("--imgsz", type=int, default=96)
    parser.add_argument("--most", type=float, default=16, help="MiB that memory may grow by over the calls in a row")
    parser.add_argument("--model", default="metafusion-yolov8n.yaml", help="or a checkpoint, or an export")
    parser.add_argument("--pretrained", help="stock weights, so that something is found")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/threads.json"))
    args = parser.parse_args()
    LOGGER.setLevel("ERROR")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    model = MetaFusionYOLO(args.model)
    if args.pretrained:
        model.load(args.pretrained)
    report: dict[str, Any] = {"arguments": {key: str(value) for key, value in vars(args).items()}}
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        scene = Scene(folder, args.imgsz)
        calls = jobs(scene, thresholds(model, scene, args.imgsz), args.imgsz)
        start = time.perf_counter()
        wanted = list(alone(model, scene, calls, folder / "alone"))
        rate = len(wanted) / (time.perf_counter() - start)
        print(f"    alone {len(wanted)} calls, {rate:.1f}/s", flush=True)

        start = time.perf_counter()
        faults = in_threads(model, scene, wanted, folder / "threads", args.threads, args.calls)
        rate = args.threads * args.calls / (time.perf_counter() - start)
        print(f"  threads {args.threads} x {args.calls} calls, {rate:.1f}/s, {faults.total()} wrong", flush=True)
        report["threads"] = dict(faults)
        if args.processes:
            found = in_processes(model, scene, wanted, folder / "processes", args.processes)
            print(f"processes {args.processes}, {len(wanted)} calls, {found.total()} wrong", flush=True)
            report["processes"] = dict(found)
            faults += found
        slope = half = 0.0
        if args.repeat:
            report["memory"] = in_a_row(model, scene, wanted, folder / "row", args.repeat)
            slope, half = growth(report["memory"])
            last = report["memory"][-1]
            print(f"   repeat {args.repeat} calls, {slope:+.1f} ± {half:.1f} MiB over them, {last:.0f} MiB at the end")
    for fault, count in faults.most_common(20):
        print(f"{count:>6} x {fault}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=2))
    raise SystemExit(0 if not faults and slope + half < args.most else 1)


if __name__ == "__main__":
    main()
