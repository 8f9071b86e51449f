"""How do starts grow with the data set? Processor time and memory for 1,000 to 1,000,000 pairs of 64x48, by hard links.

Every job runs in a process of its own, which has done the same with a few pairs before, so that imports and what is
done once do not count: the start of a training with its caches warm (its data set is built), that of `predict out=` up
to the first pair, and `data check` of all pairs, for the smaller sets. A million pairs take an hour of a busy core,
most of it for making and decoding them once.

    python benchmarks/growth.py --pairs 1000 10000 100000 1000000 --check 100000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import yaml
from results import RESULTS, save

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file
DISTINCT = 64  # files; one may have 65,000 names
FEW = 64  # pairs of the set that comes first
SIZE = 64, 48
KINDS = {"images": "jpg", "infrared": "jpg", "labels": "txt"}
JOBS = {"predict": "start of `predict out=`", "start": "start of a training, caches warm", "check": "`data check`"}


def write_set(root: Path, count: int) -> Path:
    """Write pairs with two boxes each under `count` names, their YAML and their manifest; return the YAML."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    for kind, suffix in KINDS.items():
        (root / kind / "train").mkdir(parents=True)
        (root / "few" / kind).mkdir(parents=True)
        for i in range(DISTINCT):
            file = root / "few" / kind / f"{i}.{suffix}"
            if kind == "labels":
                file.write_text("0 0.3 0.4 0.2 0.2\n1 0.6 0.5 0.3 0.2\n")
            else:
                cv2.imwrite(str(file), rng.integers(0, 256, (*SIZE[::-1], 3 if kind == "images" else 1), np.uint8))
        for i in range(count):
            os.link(root / "few" / kind / f"{i % DISTINCT}.{suffix}", root / kind / "train" / f"{i:07}.{suffix}")
    names = {
        column: [str(root / kind / "train" / f"{i:07}.jpg") for i in range(count)]
        for column, kind in (("visible", "images"), ("infrared", "infrared"))
    }
    pq.write_table(pa.table(names), root / "pairs.parquet")
    description = {"path": str(root), "train": "images/train", "val": "images/train", "names": {0: "a", 1: "b"}}
    (root / "data.yaml").write_text(yaml.safe_dump(description))
    return root / "data.yaml"


def start(data: Path) -> None:
    """Build the data set of a training."""
    from ultralytics.cfg import get_cfg

    from metafusion_yolo.data.dataset import build_paired_dataset
    from metafusion_yolo.data.description import describe

    described = describe(str(data))
    build_paired_dataset(get_cfg(), described["train"], 16, described, "train", 32)


def predict(data: Path) -> None:
    """Begin a prediction, of a share without pairs."""
    from metafusion_yolo import scale

    with tempfile.TemporaryDirectory() as out:
        scale.predict(os.environ["MODEL"], data.with_name("pairs.parquet"), out, part="9999999/9999999")


def check(data: Path) -> None:
    """Check all pairs."""
    from metafusion_yolo.prepare.check import check_dataset

    check_dataset(data)


def memory(which: str) -> float:
    """Return the memory of this process in MB: `VmRSS` now, `VmHWM` the most."""
    found = re.search(rf"{which}:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def measure(job: Callable[[Path], None], few: Path, data: Path) -> None:
    """Do a job with few pairs, then with all, and print what the second took."""
    job(few)
    Path("/proc/self/clear_refs").write_text("5")  # the most is what it is now
    before, begun = memory("VmRSS"), time.process_time()
    job(data)
    seconds, most = time.process_time() - begun, memory("VmHWM")
    print("\n" + json.dumps({"s": seconds, "MB": most - before, "in all": most}))


def in_process(job: str, root: Path, count: int) -> dict[str, float]:
    """Measure a job on a set in a process of its own."""
    few, data = (str(root / str(number) / "data.yaml") for number in (FEW, count))
    line = [sys.executable, __file__, "--job", job, few, data]
    model = {**os.environ, "MODEL": str(root / "tiny.onnx")}
    done = subprocess.run(line, check=True, env=model, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure every job on every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--check", type=int, default=10_000, help="most pairs that are checked")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=[*JOBS], help="what is measured")
    parser.add_argument("--folder", type=Path, help="where the sets are made and kept; what is there is used again")
    parser.add_argument("--json", type=Path, default=RESULTS / "scale.json")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        measure(globals()[args.job[0]], *map(Path, args.job[1:]))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure_all(args.folder or Path(folder), args.pairs, args.check, args.json, args.jobs)


def measure_all(root: Path, counts: list[int], most: int, file: Path, jobs: list[str]) -> None:
    """Measure, print and write the table, with the slope from the last set but one to the last."""
    from benchmarks.scale import write_model

    root.mkdir(exist_ok=True)
    if not (root / "tiny.onnx").is_file():
        write_model(root, 64)
    for count in [FEW, *(count for count in counts if count <= most or jobs != ["check"])]:
        if not (root / str(count) / "data.yaml").is_file():
            write_set(root / str(count), count)
            in_process("start", root, count)  # which writes the caches
    rows: dict[str, dict[str, str]] = {f"{count:,}": {} for count in counts}
    for job, title in ((job, JOBS[job]) for job in jobs):
        of_job = [count for count in counts if job != "check" or count <= most]
        found = [in_process(job, root, count) for count in of_job]
        for count, one in zip(of_job, found, strict=True):
            rows[f"{count:,}"][title] = f"{float(format(one['s'], '.2g')):g} s, {one['MB']:.0f} MB"
            print(job, count, one, flush=True)
        if len(of_job) > 1:
            tens = math.log(of_job[-1] / of_job[-2])
            slopes = [math.log(found[-1][key] / found[-2][key]) / tens for key in ("s", "MB")]
            rows.setdefault("slope", {})[title] = "{:.2f}, {:.2f}".format(*slopes)
    save(file, rows, "one run each, on a busy machine; processor time and memory beyond the imports", first="pairs")


if __name__ == "__main__":
    main()
