"""Scenes that both cameras see."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = 48, 64


def scene(seed: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a visible (H, W, 3) and an infrared (H, W) uint8 image of one scene, and its label row."""
    rng = np.random.default_rng(seed)
    height, width = size
    coarse = rng.integers(20, 200, (6, 8), np.uint8)
    layout = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    visible = np.dstack([layout, layout // 2 + 20, layout // 3 + 40]).astype(np.uint8)
    infrared = 200 - layout
    x, y, w, h = (*rng.uniform(0.3, 0.7, 2).tolist(), 0.3, 0.4)
    low = round((x - w / 2) * width), round((y - h / 2) * height)
    high = round((x + w / 2) * width), round((y + h / 2) * height)
    cv2.rectangle(visible, low, high, (230, 60, 30), -1)
    cv2.rectangle(infrared, low, high, 255, -1)
    return visible, infrared, f"0 {x:.4f} {y:.4f} {w} {h}\n"


def save(file: Path, image: np.ndarray) -> Path:
    """Write an image, R, G, B, and its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image[..., ::-1] if image.ndim == 3 else image)
    return file
