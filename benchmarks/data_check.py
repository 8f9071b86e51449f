"""How long does `metafusion data check` take? Pairs per second, and the time for 10,000 pairs of 640 x 512.

Renders some distinct pairs as JPEG files, gives them many names by hard links, checks the whole, prints the time, and
writes JSON. The files are decoded and measured again under each name, and every pair of one split is compared with all
of the other, so links cost what files would, except that they come from the cache of the disk. Beside other work, look
at the processor time: two free cores need half of it.

    python benchmarks/data_check.py --pairs 2000
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import yaml
from results import RESULTS, save

from metafusion_yolo.prepare.check import check_dataset, write_page
from metafusion_yolo.prepare.synthetic import NAMES, write_dataset

GOAL = 10_000  # pairs
VAL = 5  # every so many-th pair is for validation


def write_pairs(root: Path, count: int, distinct: int, imgsz: int) -> Path:
    """Write `count` pairs, of which `distinct` are different, and return their YAML."""
    few = write_dataset(root / "few", train=distinct, val=1, imgsz=imgsz).parent
    for kind in ("images", "infrared"):
        for file in (few / kind / "train").iterdir():
            cv2.imwrite(str(file.with_suffix(".jpg")), cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    for kind, suffix in (("images", "jpg"), ("infrared", "jpg"), ("labels", "txt")):
        for split in ("train", "val"):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            target = root / kind / ("train" if i % VAL else "val") / f"{i:06d}.{suffix}"
            os.link(few / kind / "train" / f"{i % distinct:06d}.{suffix}", target)
    file = root / "data.yaml"
    content = {"path": str(root), "train": "images/train", "val": "images/val", "names": NAMES}
    file.write_text(yaml.safe_dump(content))
    return file


def main() -> None:
    """Check and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--json", type=Path, default=RESULTS / "data-check.json")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        data = write_pairs(Path(folder), args.pairs, args.distinct, args.imgsz)
        wall, cpu = time.perf_counter(), time.process_time()
        report = check_dataset(data)
        checked, used = time.perf_counter() - wall, time.process_time() - cpu
        page = write_page(report, Path(folder) / "report.html")
        written = time.perf_counter() - wall - checked
        size = page.stat().st_size
    rows = {
        "pairs": args.pairs,
        "cores": os.cpu_count(),
        "check, s": round(checked, 1),
        "processor time, s": round(used, 1),
        "pairs per second": round(args.pairs / checked, 1),
        "processor time per pair, ms": round(1000 * used / args.pairs, 1),
        f"{GOAL} pairs at this rate, s": round(GOAL * checked / args.pairs),
        "report, s": round(written, 1),
        "report, MiB": round(size / 2**20, 2),
    }
    for name, value in rows.items():
        print(f"{name:32} {value:>9}")
    whole, each = rows[f"{GOAL} pairs at this rate, s"], rows["processor time per pair, ms"]
    text = f"{whole} s at the rate of {args.pairs:,} ({each} ms of a core each)"
    more = {name: {"value": value} for name, value in rows.items()}
    save(
        args.json,
        {f"data check of {GOAL:,} pairs of 640 by 512": {"measured": text}},
        "one run",
        first="cost",
        more=more,
    )


if __name__ == "__main__":
    main()
