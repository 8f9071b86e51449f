"""Synthetic pairs that move: objects walk, and the camera pans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from metafusion_yolo.prepare.synthetic.easy import draw_scene, plan_scene

SEED = 1  # three people and two cars at night


def moving_pairs(frames: int, imgsz: int = 320, pan: float = 0.0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield visible (H, W, 3), B, G, R, and infrared (H, W) uint8 images in which every object shows in both cameras.

    Args:
        frames: How many.
        imgsz: Width of the drawn scene in pixels; with a pan, the images are 4/5 of it.
        pan: By how many pixels the camera turns to the right from one frame to the next.
    """
    plan = plan_scene(SEED)
    for t in range(frames):
        step = [0.004 * t * (-1) ** i for i in range(len(plan.objects))]  # image heights
        objects = [replace(o, shown_in="both", x=o.x + dx) for o, dx in zip(plan.objects, step, strict=True)]
        visible, infrared = draw_scene(replace(plan, objects=tuple(objects)), imgsz)
        left, width = round(pan * t), imgsz * 4 // 5 if pan else imgsz
        yield np.ascontiguousarray(visible[:, left : left + width, ::-1]), infrared[:, left : left + width]


def write_videos(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]], rate: float = 10) -> tuple[Path, Path]:
    """Write pairs as two videos."""
    files = folder / "visible.avi", folder / "infrared.avi"
    for camera, file in enumerate(files):
        size = pairs[0][camera].shape[1::-1]
        writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), rate, size)
        for pair in pairs:
            image = pair[camera]
            writer.write(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        writer.release()
    return files
