"""How exactly are two cameras registered from their pairs? Corner error of random warps of registered pairs.

Each warp moves the infrared images of 20 random pairs alike: a shift of up to 8 % of the width both ways, a rotation
of up to 5 degrees and a scale of up to 10 %, all at once. The error is how far the estimate lays the corners of the
infrared image from where they belong, on average, in percent of the width. The pairs are brought to one size, as from
one rig, and count as exactly registered, which RoadScene is not quite. Cases:

    whole       the infrared image has the size of the visible one
    half        the infrared image has half the resolution and another shape: its upper and lower eighth are cut off
    shuffled    the partners are exchanged, which must be refused

    python benchmarks/registration.py ../shared/data/roadscene --warps 20 --cases whole half shuffled
    python benchmarks/registration.py ../shared/data/roadscene --warps 10 --freedoms 4 6 8
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from results import RESULTS, save

from metafusion_yolo.data.reading import read_counts, read_visible
from metafusion_yolo.data.sources import file_pairs
from metafusion_yolo.prepare.register.estimate import estimate_registration
from metafusion_yolo.prepare.register.homography import corner_distance, similarity

SIZE = 544, 320  # width, height; about the mean of RoadScene
SHIFT, ROTATION, SCALE = 0.08, np.deg2rad(5), 0.10
NAMES = {
    "whole": "infrared as large as visible",
    "half": "infrared of half the resolution and another shape",
    "shuffled": "partners exchanged",
}
CASES = tuple(NAMES)
FREEDOMS = {0: "freedom as the pairs support", 4: "a similarity", 6: "an affine map", 8: "a homography"}
HALF = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25 - SIZE[1] / 16], [0, 0, 1]]), (SIZE[0] // 2, SIZE[1] * 3 // 8)


def load_pairs(root: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return every pair below `images` and `infrared` of a folder, grey, in one size."""
    images = [
        (cv2.cvtColor(read_visible(visible), cv2.COLOR_RGB2GRAY), read_counts(infrared))
        for visible, infrared in file_pairs(root / "images", root / "infrared", "infrared")
    ]
    resized = [[cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA) for image in pair] for pair in images]
    return [(visible, infrared) for visible, infrared in resized]


def random_warp(rng: np.random.Generator) -> np.ndarray:
    """Return a (3, 3) matrix from infrared to visible pixels."""
    shift = rng.uniform(-SHIFT, SHIFT, 2) * SIZE[0]
    return similarity(SIZE, 1 + rng.uniform(-SCALE, SCALE), rng.uniform(-ROTATION, ROTATION), shift)


def measure(pairs: list[tuple[np.ndarray, np.ndarray]], warp: np.ndarray, case: str, freedom: int | None) -> dict:
    """Return the error of one estimate in percent of the width, what it says of itself, and its time in seconds."""
    view, size = HALF if case == "half" else (np.eye(3), SIZE)
    there = view @ np.linalg.inv(warp)
    warped = [cv2.warpPerspective(infrared, there, size) for _, infrared in pairs]
    if case == "shuffled":
        warped = warped[7:] + warped[:7]
    started = time.perf_counter()
    found = estimate_registration([(v, i) for (v, _), i in zip(pairs, warped, strict=True)], freedom=freedom)
    elapsed = time.perf_counter() - started
    error = corner_distance(found.matrix, np.linalg.inv(there), SIZE, size)
    return {
        "error": round(100 * error, 2),
        "refused": bool(found.problem()),
        "freedom": found.freedom,
        "spread": round(100 * found.spread, 2),
        "agreement": round(found.agreement, 3),
        "stand_out": round(found.stand_out, 2),
        "seconds": round(elapsed, 1),
    }


def main() -> None:
    """Warp, estimate, and print a line for every estimate and every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder that holds images/ and infrared/")
    parser.add_argument("--warps", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=["whole"])
    parser.add_argument("--freedoms", type=int, nargs="+", choices=(0, 4, 6, 8), default=[0], help="0: as supported")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS / "registration.json")
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)

    pairs, rows = load_pairs(args.root), []
    columns = ("case", "warp", "asked", "freedom", "error", "spread", "agreement", "stand_out", "refused", "seconds")
    print("  ".join(f"{name:>9}" for name in columns))
    for number in range(args.warps):
        rng = np.random.default_rng([args.seed, number])
        warp, chosen = random_warp(rng), [pairs[i] for i in rng.choice(len(pairs), args.pairs, replace=False)]
        for case in args.cases:
            for asked in args.freedoms:
                row = {"case": case, "warp": number, "asked": asked}
                rows.append({**row, **measure(chosen, warp, case, asked or None)})
                print("  ".join(f"{rows[-1][name]!s:>9}" for name in columns), flush=True)
    found = {}
    for case in args.cases:
        for asked in args.freedoms:
            mine = [row for row in rows if (row["case"], row["asked"]) == (case, asked)]
            errors = np.array([row["error"] for row in mine if not row["refused"]])
            label = f"{NAMES[case]}, {FREEDOMS[asked]}"
            found[label] = {
                "within 1 %": f"{(errors <= 1).sum()} of {len(mine)}",
                "refused": f"{len(mine) - len(errors)} of {len(mine)}",
                "mean error, % of the width": float(errors.mean()) if errors.size else "",
                "worst": float(errors.max()) if errors.size else "",
            }
            print(f"{label}: {found[label]}")
    seconds = np.array([row["seconds"] for row in rows])
    more = {
        "time of an estimate": {
            "seconds": {"value": float(np.median(seconds)), "interval": [*np.percentile(seconds, [25, 75])]}
        }
    }
    save(
        args.json,
        found,
        f"over {args.warps} random warps of {args.pairs} random pairs",
        first="case",
        digits=2,
        more=more,
    )


if __name__ == "__main__":
    main()
