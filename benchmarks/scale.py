"""What does Ray cost? Pairs a second of two actors against two plain loops of the same runtime on the same cores.

A manifest of 20,000 pairs (a few small ones, by hard links), a tiny model unless one is given. The plain loop reads,
decodes and detects pair by pair with `Detector`, one process a worker, each with its share; nothing is written. Both
are timed in the steady state: the loops once they have loaded, Ray from the first file of each worker to the last.
Rounds take turns, and Ray is kept from lowering the priority of its workers. Then an actor is killed in mid-run, and
then the driver; what is there after a restart is compared with the undisturbed run, row by row. Prints a table and
writes JSON.

    python benchmarks/scale.py --pairs 20000 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from metafusion_yolo.runtime import Detector, read_counts, read_visible

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file
DISTINCT = 8
TINY = Path(__file__).parents[1] / "tests" / "metafusion-tiny.yaml"


def write_model(folder: Path, imgsz: int) -> Path:
    """Export the tiny model of the tests, with random weights that find something everywhere."""
    from benchmarks.lively import lively
    from metafusion_yolo import MetaFusionYOLO

    model = lively(str(TINY), -2)
    model.save(folder / "tiny.pt")
    exported = MetaFusionYOLO(folder / "tiny.pt").export(
        format="onnx", imgsz=imgsz, fused=True, fusion_weights=True, verbose=False
    )
    return Path(exported)


def write_pairs(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write pairs of noise under `count` names, and their manifest."""
    rng = np.random.default_rng(0)
    for camera, channels in (("visible", (3,)), ("infrared", ())):
        (folder / camera).mkdir()
        for i in range(count):
            file = folder / camera / f"{i:06}.jpg"
            if i < DISTINCT:
                cv2.imwrite(str(file), rng.integers(0, 256, (*size[::-1], *channels), np.uint8))
            else:
                file.hardlink_to(folder / camera / f"{i % DISTINCT:06}.jpg")
    names = {camera: [str(folder / camera / f"{i:06}.jpg") for i in range(count)] for camera in ("visible", "infrared")}
    pq.write_table(pa.table(names), folder / "pairs.parquet")
    return folder / "pairs.parquet"


def plain_share(model: str, visible: list[str], infrared: list[str], ready: Any, ended: Any) -> None:
    """Detect on a share in a loop, from the moment that all are ready."""
    cv2.setNumThreads(1)
    detector = Detector(model, threads=1)
    detector(read_visible(visible[0]), read_counts(infrared[0]), visible[0])
    ready.wait()
    for pair in zip(visible, infrared, strict=True):
        detector(read_visible(pair[0]), read_counts(pair[1]), pair[0])
    ended.wait()


def plain(model: Path, manifest: Path, workers: int) -> float:
    """Return the pairs a second of plain loops side by side."""
    table = pq.read_table(manifest)
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Barrier(workers + 1), context.Barrier(workers + 1)
    shares = [[table[name].to_pylist()[i::workers] for name in ("visible", "infrared")] for i in range(workers)]
    loops = [context.Process(target=plain_share, args=(str(model), *share, ready, ended)) for share in shares]
    for loop in loops:
        loop.start()
    ready.wait()
    begun = time.perf_counter()
    ended.wait()
    seconds = time.perf_counter() - begun
    for loop in loops:
        loop.join()
    return table.num_rows / seconds


def command(model: Path, manifest: Path, out: Path, workers: int | None) -> list[str]:
    """Return the command that predicts by Ray, or without workers in one process."""
    engine = "ray" if workers else "local"
    call = f"scale.predict({str(model)!r}, {str(manifest)!r}, {str(out)!r}, {engine!r}, {workers})"
    return [sys.executable, "-c", f"from metafusion_yolo import scale; print({call})"]


def by_ray(model: Path, manifest: Path, out: Path, workers: int) -> tuple[float, float]:
    """Return the pairs a second between the first file of each worker and the last, and the seconds of all."""
    begun = time.perf_counter()
    subprocess.run(command(model, manifest, out, workers), check=True, env={**os.environ, "RAY_worker_niceness": "0"})
    whole = time.perf_counter() - begun
    files = sorted(out.glob("part-*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    times = [file.stat().st_mtime_ns / 1e9 for file in files]
    pairs = sum(pq.read_metadata(file).num_rows for file in files[workers:])
    return pairs / (times[-1] - times[workers - 1]), whole


def rows(out: Path) -> pa.Table:
    """Return the rows of a result in the order of the manifest."""
    return pq.read_table(out).sort_by("row")


def actors(session: int) -> list[int]:
    """Return the processes of the pool that belong to a session of processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            name = (entry / "cmdline").read_bytes()
            if b"MapWorker" in name and session in lineage(int(entry.name)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def lineage(process: int) -> set[int]:
    """Return a process and those that it descends from."""
    found = set()
    while process > 1:
        found.add(process)
        process = int((Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def until(out: Path, files: int, running: subprocess.Popen[bytes], limit: float = 300) -> None:
    """Wait until so many files are there."""
    begun = time.monotonic()
    while len([*out.glob("part-*.parquet")]) < files:
        if running.poll() is not None or time.monotonic() - begun > limit:
            raise RuntimeError(f"no {files} files in {out} within {limit:.0f} s")
        time.sleep(0.05)


def disturbed(
    model: Path, manifest: Path, out: Path, workers: int, of: pa.Table, again_by: int | None
) -> dict[str, Any]:
    """Kill an actor, then the driver; start again, by so many workers or without Ray; return what came of it."""
    line = command(model, manifest, out, workers)
    running = subprocess.Popen(line, start_new_session=True)
    until(out, 4, running)
    victim = actors(running.pid)[0]
    os.kill(victim, signal.SIGKILL)
    until(out, 4 + 4 * workers, running)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    time.sleep(3)  # until Ray has ended what a dead driver leaves
    there = {file: file.stat().st_mtime_ns for file in out.glob("part-*.parquet")}
    subprocess.run(command(model, manifest, out, again_by), check=True)
    again = rows(out)
    return {
        "files after both kills": len(there),
        "files in the end": len([*out.glob("part-*.parquet")]),
        "written again": sum(file.stat().st_mtime_ns != when for file, when in there.items()),
        "every pair once": again["row"].to_pylist() == list(range(of.num_rows)),
        "boxes": sum(map(len, again["boxes"].to_pylist())),
        "as undisturbed": again.equals(of),
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, help="ONNX file; a tiny one is made if left out")
    parser.add_argument("--imgsz", type=int, default=64, help="size of the model that is made")
    parser.add_argument("--size", type=int, nargs=2, default=(64, 48), help="width and height of the pairs")
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/scale.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model = args.model or write_model(root, args.imgsz)
        manifest = write_pairs(root, args.pairs, tuple(args.size))
        table = []
        for turn in range(args.rounds):
            loop = plain(model, manifest, args.workers)
            ray, whole = by_ray(model, manifest, root / f"out{turn}", args.workers)
            table.append({"plain": loop, "ray": ray, "ratio": ray / loop, "seconds with start": whole})
            print("  ".join(f"{key} {value:.2f}" for key, value in table[-1].items()), flush=True)
        ratio = statistics.median(row["ratio"] for row in table)
        kills = disturbed(model, manifest, root / "killed", args.workers, rows(root / "out0"), args.workers)
        load = os.getloadavg()[0]
    print(f"median ratio {ratio:.3f}; load {load:.1f} on {os.cpu_count()} cores; {kills}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": load}
    args.json.write_text(json.dumps({"pairs": args.pairs, "rows": table, "ratio": ratio, "kills": kills, **machine}))


if __name__ == "__main__":
    main()
