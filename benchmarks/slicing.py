"""What do slices find that a large pair as a whole hides, and at what cost?

Puts labelled pairs together to one large pair of rows x rows, detects in it as a whole, in slices, and as a whole at a
larger image size, and counts the labelled objects that are found: same class, IoU at least 0.5, score at least 0.25.
The detector is stock YOLOv8n behind the untrained front-end, so none of the pairs was trained on.

    python benchmarks/slicing.py ROADSCENE yolov8n.pt
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from results import RESULTS, save
from torchvision.ops import box_iou

from metafusion_yolo import MetaFusionYOLO

TILE = (540, 300)  # width and height of each pair in the large one
IMGSZ = 640
RUNS = {
    "whole": {},
    "slice=640": {"slice": 640},
    "slice=400": {"slice": 400},
    "slice=640 overlap=0.4": {"slice": 640, "overlap": 0.4},
    "whole, imgsz=1280": {"imgsz": 1280},
    "whole, imgsz=2560": {"imgsz": 2560},
}


def mosaic(root: Path, rows: int) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Return a visible image (H, W, 3) B, G, R, its infrared image (H, W), and the boxes (K, 5): class, xyxy."""
    visible, infrared, boxes = [], [], []
    for i, file in enumerate(sorted((root / "images" / "train").iterdir())[: rows * rows]):
        partner = next((root / "infrared" / "train").glob(f"{file.stem}.*"))
        visible.append(cv2.resize(cv2.imread(str(file)), TILE))
        infrared.append(cv2.resize(cv2.imread(str(partner), cv2.IMREAD_GRAYSCALE), TILE))
        corner = np.array([i % rows * TILE[0], i // rows * TILE[1]])
        for line in (root / "labels" / "train" / f"{file.stem}.txt").read_text().splitlines():
            cls, *xywhn = map(float, line.split())
            centre, size = np.array(xywhn[:2]) * TILE + corner, np.array(xywhn[2:]) * TILE
            boxes.append((cls, *(centre - size / 2), *(centre + size / 2)))
    grid = [
        np.concatenate([np.hstack(part[i : i + rows]) for i in range(0, rows * rows, rows)])
        for part in (visible, infrared)
    ]
    return grid[0], grid[1], torch.tensor(boxes, dtype=torch.float32)


def count(result, boxes: torch.Tensor) -> tuple[int, int]:
    """Return how many labelled objects were found, and how many detections are none of them."""
    alike = (boxes[:, :1] == result.boxes.cls) & (box_iou(boxes[:, 1:], result.boxes.xyxy) >= 0.5)
    return int(alike.any(1).sum()), int((~alike.any(0)).sum())


def main() -> None:
    """Detect and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder with images/, infrared/ and labels/")
    parser.add_argument("weights", help="stock YOLOv8n")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "slicing.json")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    visible, infrared, boxes = mosaic(args.root, args.rows)
    boxes = boxes[boxes[:, 0] <= 2]  # person, bicycle, car, as in COCO
    with tempfile.TemporaryDirectory() as folder:
        model = MetaFusionYOLO("metafusion-yolov8n.yaml")
        model.load(args.weights)
        model.save(f"{folder}/coco.pt")
        model = MetaFusionYOLO(f"{folder}/coco.pt")
    print(
        f"{visible.shape[1]} x {visible.shape[0]} pixels, {len(boxes)} objects; imgsz={IMGSZ} unless said otherwise\n"
    )
    print(f"{'':<24}{'found':>7}{'share':>8}{'others':>8}{'s':>7}")
    table = {}
    for name, extra in RUNS.items():
        options = {"imgsz": IMGSZ, "classes": [0, 1, 2], "verbose": False, **extra}
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            [result] = model.predict(visible, infrared=infrared, **options)
            seconds.append(time.perf_counter() - started)
        found, others = count(result, boxes)
        row = {"found": found, "share": found / len(boxes), "others": others, "seconds": float(np.median(seconds))}
        table[name] = row
        print(f"{name:<24}{found:>7}{row['share']:>8.2f}{others:>8}{row['seconds']:>7.2f}", flush=True)
    columns = {f"of {len(boxes)} labelled objects found": "found", "other detections": "others", "seconds": "seconds"}
    rows = {name: {title: row[key] for title, key in columns.items()} for name, row in table.items()}
    save(args.json, rows, "time: median of three runs")


if __name__ == "__main__":
    main()
