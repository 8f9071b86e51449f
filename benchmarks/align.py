"""What does `align=auto` get back where the infrared camera is shifted, and what does it cost?

A stock detector behind the front-end that stock checkpoints get, nothing trained; the infrared files are shifted to the
right by pixels of the network's input. Intervals resample whole blocks of neighbouring frames.

    python benchmarks/align.py --data roadscene.yaml --shifts 0 2 4 8
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from results import RESULTS, ratio, save
from ultralytics.data.utils import img2label_paths
from untrained import FUSED, figure, look, parser_of, summarise

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.data.description import describe
from metafusion_yolo.data.reading import PairReader, read_counts, read_visible
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import split_pairs
from metafusion_yolo.options import ALIGN

ROUNDS = 7  # of predictions without and with it in turn, after one that warms up


def main() -> None:
    """Evaluate every shift with and without, and print the table and the share of the time."""
    parser = parser_of(__doc__, imgsz=512, resamples=300)
    parser.add_argument("--json", type=Path, default=RESULTS / "align.json")
    parser.add_argument("--shifts", nargs="+", type=int, default=[0, 2, 4, 8], help="pixels of the network's input")
    args = parser.parse_args()
    description = describe(args.data)
    rig = Rig.from_yaml(description)
    pairs = {v: i for split in args.splits for v, i in split_pairs(description, split, rig).partners.items()}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for shift in args.shifts:
            for align in ALIGN:
                data = write(Path(folder, f"{shift}-{align}"), pairs, rig, shift, align, args)
                found[f"{shift} px, align={align}"] = look(args, FUSED, data)
    table = summarise(found, {c: n for c, n in description["names"].items() if n in args.classes}, args.resamples)
    for row, values in table.items():
        off = row.replace(ALIGN[1], ALIGN[0])
        gain = f"; minus off {figure(values['mAP50']['minus'][off])}" if off != row else ""
        print(f"{row}: mAP50 {figure(values['mAP50'])}{gain}")
    rows: dict[str, dict[str, Any]] = {"as it is": {}, "`align=auto`": {}, "gained": {}}
    for shift in args.shifts:
        off, auto = (f"{shift} px, align={align}" for align in ALIGN)
        cells = table[off]["mAP50"], table[auto]["mAP50"], table[auto]["mAP50"]["minus"][off]
        for row, cell in zip(rows, cells, strict=True):
            rows[row][f"{shift} px"] = {key: cell[key] for key in ("value", "interval")}
    times = np.array([[paced(args.model, pairs, align, args.imgsz) for align in ALIGN] for _ in range(1 + ROUNDS)])[1:]
    low, middle, high = np.percentile(times[:, 1] / times[:, 0], [25, 50, 75])
    off, auto = 1000 * np.median(times, 0)
    print(f"{off:.1f} and {auto:.1f} ms of one core a pair; {middle:.3f} x (quartiles {low:.3f} and {high:.3f})")
    more = {"processor time": {"of prediction": ratio(low, middle, high)}}
    spread = "95 % interval, bootstrap over blocks of neighbouring frames; time: quartiles of runs in turn"
    save(args.json, rows, spread, first="infrared shifted by", more=more)


def write(folder: Path, pairs: dict[str, str], rig: Rig, shift: int, align: str, args: argparse.Namespace) -> Path:
    """Write the pairs as they are read with a shift, and return their YAML."""
    reader = PairReader(rig, align=align)
    for part in ("images", "infrared", "labels"):
        (folder / part / "val").mkdir(parents=True)
    for visible, infrared in pairs.items():
        image, counts = read_visible(visible), read_counts(infrared)
        there = np.float32([[1, 0, shift * counts.shape[1] / args.imgsz], [0, 1, 0]])
        moved = cv2.warpAffine(counts, there, counts.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        name = Path(visible).stem
        plane = np.ascontiguousarray(reader.stack(image, moved, visible)[..., 3])
        cv2.imwrite(str(folder / "infrared/val" / f"{name}.png"), plane)
        (folder / "images/val" / Path(visible).name).symlink_to(Path(visible).resolve())
        if (labels := Path(img2label_paths([visible])[0])).is_file():
            (folder / "labels/val" / labels.name).symlink_to(labels.resolve())
    file, names = folder / "pairs.yaml", describe(args.data)["names"]
    file.write_text(yaml.safe_dump({"path": str(folder), "train": "images/val", "val": "images/val", "names": names}))
    return file


def paced(model: str, pairs: dict[str, str], align: str, imgsz: int) -> float:
    """Return the seconds of processor time of a pair, predicted one by one, mean over all."""
    loaded, start = MetaFusionYOLO(model), time.process_time()
    for _ in loaded.predict([*pairs.items()], stream=True, align=align, imgsz=imgsz, verbose=False, save=False):
        pass
    return (time.process_time() - start) / len(pairs)


if __name__ == "__main__":
    main()
