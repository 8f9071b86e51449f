"""How far off is a registration at other distances, with one homography and with the parallax of the lenses?

Simulated rigs: two pinhole cameras side by side, 2 to 10 cm apart, turned against each other by up to 2 degrees, that
were registered at 5 and 20 m to a third of a pixel. The error is the largest distance of a corner of the infrared
image from where it belongs, for a plane in front of them 3 to 100 m away, in pixels of a detector's input of 512.

    python benchmarks/parallax.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from results import RESULTS, save

from metafusion_yolo.data.registration import Registration, with_parallax

VISIBLE, INFRARED, INPUT = (640, 512), (512, 410), 512
FOCAL = 700, 520  # pixels
BASELINES = 0.02, 0.05, 0.10  # metres
DISTANCES = 3, 5, 7, 10, 20, 50, 100  # metres
MEASURED = 5.0, 20.0
NOISE, TURN = 0.3, 2.0  # pixels of the registrations, degrees between the cameras
CORNERS = np.array([[0, 0], [511, 0], [511, 409], [0, 409]], float)
NAMES = "one homography", "with `parallax`"


def rig(rng: np.random.Generator, baseline: float) -> dict[float, np.ndarray]:
    """Return the true homography of a random rig for each distance."""
    lenses = [
        np.array([[f, 0, (w - 1) / 2], [0, f, (h - 1) / 2], [0, 0, 1]])
        for f, (w, h) in zip(FOCAL, (VISIBLE, INFRARED), strict=True)
    ]
    way, turn = rng.uniform(0, 2 * np.pi), cv2.Rodrigues(np.radians(rng.uniform(-TURN, TURN, 3)))[0]
    side = baseline * np.array([np.cos(way), np.sin(way), 0])
    planes = {d: turn + np.outer(side, [0, 0, 1]) / d for d in DISTANCES}
    found = {d: lenses[0] @ plane @ np.linalg.inv(lenses[1]) for d, plane in planes.items()}
    return {d: matrix / matrix[2, 2] for d, matrix in found.items()}


def errors(rng: np.random.Generator, baseline: float) -> np.ndarray:
    """Return the error of a random rig, by way and distance (2, D), in pixels of the input."""
    truth = rig(rng, baseline)
    measured = {d: truth[int(d)].copy() for d in MEASURED}
    for matrix in measured.values():
        matrix[:2, 2] += rng.normal(0, NOISE, 2)
    fitted = with_parallax(measured, VISIBLE, INFRARED).to_yaml()
    found = []
    for section in ({"matrix": measured[MEASURED[-1]].tolist()}, fitted):
        for distance, matrix in truth.items():
            now = {**section, "distance": distance} if section is fitted else section
            laid = Registration.from_yaml(now).homography(None, VISIBLE, INFRARED)
            seen, meant = (cv2.perspectiveTransform(CORNERS[None], m)[0] for m in (laid, matrix))
            found.append(np.linalg.norm(seen - meant, axis=1).max() * INPUT / VISIBLE[0])
    return np.reshape(found, (2, -1))


def main() -> None:
    """Simulate the rigs, print and save the median error and that which 95 % of the rigs stay below."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rigs", type=int, default=300)
    parser.add_argument("--json", type=Path, default=RESULTS / "parallax.json")
    args = parser.parse_args()
    rows, worst = {}, {}
    for baseline in BASELINES:
        found = np.stack([errors(np.random.default_rng(seed), baseline) for seed in range(args.rigs)])
        for i, name in enumerate(NAMES):
            row = f"{100 * baseline:.0f} cm apart, {name}"
            cells = zip(DISTANCES, np.percentile(found[:, i], [50, 2.5, 97.5], axis=0).T, strict=True)
            rows[row] = {f"{d} m": {"value": m, "interval": [low, high]} for d, (m, low, high) in cells}
            worst[row] = {"largest from 5 m on": float(found[:, i, DISTANCES.index(5) :].max())}
            print(row, {d: round(cell["value"], 2) for d, cell in rows[row].items()}, worst[row])
    spread = f"the middle 95 % of {args.rigs} random rigs"
    save(args.json, rows, spread, first="px of 512, median", digits=1, more=worst)


if __name__ == "__main__":
    main()
