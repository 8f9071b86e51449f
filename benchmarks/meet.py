"""What does it cost, and find, to let the cameras meet later? Every `meet:` of a stock detector, nothing trained.

Operations are of 640 px; the time is that of ONNX Runtime, each level in turn with the stock detector; mAP50 is that of
`untrained.py`.

    python benchmarks/meet.py --data roadscene.yaml --model yolov8n.pt --threads 1
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from latency import compare, exported, onnx_runner
from results import RESULTS, ratio, save
from ultralytics import YOLO
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import get_num_params
from untrained import link_pairs, parser_of, setting_of, summarise

from metafusion_yolo import MetaFusionYOLO
from metafusion_yolo.compare.training import evaluate, host_arguments, model_yaml
from metafusion_yolo.data.description import describe
from metafusion_yolo.engine.checkpoints import find_checkpoint, load_checkpoint
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.nn.front_end import gflops
from metafusion_yolo.nn.tasks import fused_form

LEVELS = "image", "P2", "P3", "P4", "P5"
SIDE = 640  # pixels, of operations and time


def main() -> None:
    """Measure every level, print and save."""
    parser = parser_of(__doc__, imgsz=512, resamples=1000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--json", type=Path, default=RESULTS / "meet.json")
    args = parser.parse_args()
    LOGGER.setLevel("WARNING")
    names = {c: n for c, n in describe(args.data)["names"].items() if n in args.classes}
    with tempfile.TemporaryDirectory() as folder:
        costs = {level: cost(level, args, Path(folder)) for level in LEVELS}
        data = link_pairs(args, Path(folder))
        found = {level: look(level, args, data) for level in LEVELS}
    table = summarise(found, names, args.resamples)
    rows = {
        f"`{level}`": {**costs[level], "untrained": {key: table[level]["mAP50"][key] for key in ("value", "interval")}}
        for level in LEVELS
    }
    for level, cells in rows.items():
        print(level, cells)
    save(args.json, rows, "95 % interval, bootstrap over blocks of neighbouring frames", first="`meet`")


def cost(level: str, args: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Return what a level takes: parameters, and operations and time against the stock detector."""
    file = folder / level / "yolov8n.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(model_yaml("metafusion-yolov8n.yaml", {"meet": level})))
    models = {"fused": (MetaFusionYOLO(str(file)), NUM_CHANNELS), "stock": (YOLO("yolov8n.yaml"), 3)}
    fused, stock = (gflops(one.model.eval(), channels, SIDE) for one, channels in models.values())
    parameters = get_num_params(models["fused"][0].model)  # an export folds the batch norms
    calls = {}
    for name, (one, channels) in models.items():
        image = torch.rand(1, channels, SIDE, SIDE).numpy()
        calls[name] = onnx_runner(exported(one, file.parent, name, SIDE), image, args.threads)
    times = compare(calls, args.runs, 5)
    return {
        "parameters": f"{parameters:,}",
        "operations": f"{fused / stock:.2f} \N{MULTIPLICATION SIGN}",
        "time": ratio(times["ratio_q1"], times["ratio"], times["ratio_q3"]),
    }


def look(level: str, args: argparse.Namespace, data: Path) -> dict[str, Any]:
    """Return what the stock detector finds where its cameras meet at a level."""
    model = fused_form(load_checkpoint(find_checkpoint(args.model))[0], meet=level).eval()
    return {"as is": evaluate(model, host_arguments(setting_of(args), data.parent, data), "both").recorded}


if __name__ == "__main__":
    main()
