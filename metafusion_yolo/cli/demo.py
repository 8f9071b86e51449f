"""The whole main job on synthetic pairs, in a few minutes on two CPU cores: `metafusion demo`."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.utils import LOGGER
from ultralytics.utils.files import increment_path

from metafusion_yolo.engine.checkpoints import find_checkpoint
from metafusion_yolo.engine.predict.pictures import draw_on, style_of
from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.model import MetaFusionYOLO
from metafusion_yolo.options import Demo
from metafusion_yolo.prepare.synthetic import write_dataset
from metafusion_yolo.support.drawing import grid, titled
from metafusion_yolo.support.files import write_image

MODALITIES = {"both cameras": "both", "visible only": "visible", "infrared only": "infrared"}


def run_demo(asked: Demo) -> dict[str, Any]:
    """Render pairs, train a fused YOLOv8n on them, validate with each camera off, predict, export, predict again.

    Returns:
        mAP50 by cameras, the largest differences of the export (box in pixels, score), and the picture's path.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
    """
    pretrained = find_checkpoint(asked.pretrained) if isinstance(asked.pretrained, str) else asked.pretrained
    epochs, imgsz, batch = asked.epochs, asked.imgsz, asked.batch
    started = time.monotonic()
    folder = increment_path(Path(asked.project).absolute() / asked.name, exist_ok=asked.exist_ok, mkdir=True)
    step(1, f"rendering {asked.train} + {asked.val} synthetic pairs")
    data = write_dataset(folder / "data", asked.train, asked.val, imgsz, asked.seed)

    step(2, f"training a fused YOLOv8n for {epochs} epochs at {imgsz} px")
    model = MetaFusionYOLO("metafusion-yolov8n.yaml")
    model.train(
        data=str(data),
        epochs=epochs,
        imgsz=imgsz,
        batch=batch,
        seed=asked.seed,
        pretrained=pretrained,
        project=str(folder),
        name="train",
        exist_ok=True,
        optimizer="AdamW",
        lr0=0.002,
        momentum=0.9,
        nbs=batch,
        warmup_epochs=1.0,
        warmup_bias_lr=0.0,
        close_mosaic=max(1, epochs // 4),
        deterministic=True,
        verbose=False,
    )

    step(3, "validating with both cameras, and with one switched off")
    scores = {}
    for label, modalities in MODALITIES.items():
        metrics = model.val(
            data=str(data), modalities=modalities, plots=False, project=str(folder), name="val", exist_ok=True
        )
        scores[label] = float(metrics.box.map50)

    step(4, "predicting, exporting to ONNX, and predicting with the export")
    source: dict[str, Any] = {
        "source": folder / "data" / "images" / "val",
        "verbose": False,
        "rect": False,
        "conf": 0.25,
    }
    results = list(model.predict(**source, save=True, project=str(folder), name="predict", exist_ok=True))
    export = model.export(format="onnx")
    again = list(MetaFusionYOLO(export).predict(**source))
    differences = largest_differences(results, again)

    picture = folder / "demo.png"
    write_image(picture, panel(most_telling(results)))
    report(scores, results, again, differences, Path(export), picture, time.monotonic() - started)
    return {"mAP50": scores, "box_px": differences[0], "score": differences[1], "picture": picture, "export": export}


def step(number: int, text: str) -> None:
    """Announce a step."""
    LOGGER.info(f"\n[{number}/4] {text}")


def largest_differences(results: list[FusionResults], again: list[FusionResults]) -> tuple[float, float]:
    """Return the largest difference in box corners (pixels) and scores of two runs; infinite if counts differ."""
    box = score = 0.0
    for first, second in zip(results, again, strict=True):
        if len(first) != len(second):
            return float("inf"), float("inf")
        if len(first):
            box = max(box, float((first.boxes.xyxy - second.boxes.xyxy).abs().max()))
            score = max(score, float((first.boxes.conf - second.boxes.conf).abs().max()))
    return box, score


def most_telling(results: list[FusionResults]) -> FusionResults:
    """Return the result whose objects lean most differently on the two cameras, sure ones before unsure ones."""

    def spread(result: FusionResults) -> float:
        weights = result.box_weights
        if weights is None or len(weights) < 2:
            return 0.0
        return float(np.ptp(weights[:, 1])) * float(result.boxes.conf.mean())

    return max(results, key=spread)


def panel(result: FusionResults, height: int = 384) -> np.ndarray:
    """Return visible, infrared, fused image with boxes, and weights side by side, (H, W, 3) uint8, B, G, R."""
    scale = height / result.orig_shape[0]
    larger = result.new()
    larger.update(boxes=torch.cat((result.boxes.data[:, :4] * scale, result.boxes.data[:, 4:]), 1))
    columns = []
    titles = {"visible": "visible", "infrared": "infrared", "fused": "fused", "weights": "weights, bright: infrared"}
    for view, title in titles.items():
        image = cv2.resize(result.image(view), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        columns.append(titled(title, draw_on(larger, image, style_of()) if view == "fused" else image))
    return grid([columns])


def report(
    scores: dict[str, float],
    results: list[FusionResults],
    again: list[FusionResults],
    differences: tuple[float, float],
    export: Path,
    picture: Path,
    seconds: float,
) -> None:
    """Print the closing table."""
    boxes, boxes_again = sum(map(len, results)), sum(map(len, again))
    lines = [
        "",
        f"{'validated with':<24}{'mAP50':>8}",
        "-" * 32,
        *(f"{label:<24}{score:>8.3f}" for label, score in scores.items()),
        "-" * 32,
        f"{'boxes, PyTorch / ONNX':<24}{f'{boxes} / {boxes_again}':>8}",
        f"{'largest difference':<24}{differences[0]:>5.2f} px in a corner, {differences[1]:.4f} in a score",
        f"{'export':<24}{export}",
        f"{'picture':<24}{picture}",
        f"{'time':<24}{seconds / 60:.1f} min",
    ]
    LOGGER.info("\n".join(lines))
