"""How often is a thermal image of 8 bits taken for black-hot, as it is and turned into its negative?

Each image stands for the first frame of a video. `looking down` leaves its lower two thirds, without most of the sky.

    python benchmarks/polarity.py roadscene tno llvip256     # folders with one of white-hot images, `infrared`
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from results import RESULTS, save
from scipy.stats import beta

from metafusion_yolo.data.polarity import polarity

VIEWS = {"": 0.0, ", looking down": 1 / 3}  # share of the height that is cut off above


def share(hits: int, of: int) -> dict[str, Any]:
    """Return a share in percent with its interval after Clopper and Pearson."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return {"value": 100 * hits / of, "interval": [100 * float(low), 100 * float(high)]}


def main() -> None:
    """Judge every image of each folder, print and save the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, default=RESULTS / "polarity.json")
    args = parser.parse_args()
    rows = {}
    for folder in args.folders:
        files = sorted((folder / "infrared").rglob("*.*"))
        images = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
        for view, cut in VIEWS.items():
            seen = [image[round(cut * len(image)) :] for image in images]
            told = np.array([(polarity(image), polarity(255 - image)) for image in seen])
            wrong, right = (int((told[:, i] < 0).sum()) for i in (0, 1))
            row = f"{folder.name}{view}, {len(images)}"
            rows[row] = {"turned wrongly": share(wrong, len(images)), "black-hot found": share(right, len(images))}
            print(row, {key: [round(v, 1) for v in (c["value"], *c["interval"])] for key, c in rows[row].items()})
    save(args.json, rows, "95 % interval after Clopper and Pearson", first="first frame of", digits=1)


if __name__ == "__main__":
    main()
