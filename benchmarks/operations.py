"""How many operations does a detector of pairs take, against the stock one on a single image?

python benchmarks/operations.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml
from results import RESULTS, save
from rows import TWO_BACKBONES
from ultralytics.utils import LOGGER

from metafusion_yolo.compare.rows import rule
from metafusion_yolo.compare.training import model_yaml
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.front_end import gflops
from metafusion_yolo.nn.tasks import build_model

ROWS: dict[str, dict[str, Any]] = {
    "the visible image": rule("visible"),
    "the infrared image": rule("infrared"),
    "the average": rule("average"),
    "both, by two backbones": TWO_BACKBONES,
    "both cameras, fused": {},
}


def main() -> None:
    """Count, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--json", type=Path, default=RESULTS / "operations.json")
    args = parser.parse_args()
    LOGGER.setLevel("WARNING")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "yolov8n.yaml")
        for row, section in ROWS.items():
            file.write_text(yaml.safe_dump(model_yaml("metafusion-yolov8n.yaml", section)))
            model = build_model(file, verbose=False).eval()
            found[row] = gflops(model, NUM_CHANNELS, args.imgsz)
            print(f"{row:<24}{found[row]:6.2f} GFLOPs", flush=True)
    stock = found["the visible image"]
    rows = {
        row: {"operations": f"{value / stock:.2f} \N{MULTIPLICATION SIGN}", "GFLOPs": value}
        for row, value in found.items()
    }
    save(args.json, rows, "counted, so there is none", first="the detector reads", ours="both cameras, fused", digits=2)


if __name__ == "__main__":
    main()
