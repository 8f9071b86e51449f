"""Pairs to pre-train on: synthetic scenes, and photographs with an invented thermal view.

The second view of a photograph has other brightness everywhere (a random curve, now and then not monotone, so that
what differs in one view is alike in the other), is smoother, and shows warm or cold bodies that the first does not.

Source: this project. The photographs are those that ship within scikit-image; see its `data/README.txt` for theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from metafusion_yolo.prepare.synthetic import render_pair
from metafusion_yolo.support.errors import MissingPackageError

# How often a photograph is taken: scenes and people more often than textures and microscopy.
PHOTOGRAPHS = {
    "astronaut.png": 4,
    "camera.png": 4,
    "chelsea.png": 4,
    "coffee.png": 4,
    "motorcycle_left.png": 4,
    "motorcycle_right.png": 4,
    "rocket.jpg": 3,
    "coins.png": 2,
    "brick.png": 1,
    "grass.png": 1,
    "gravel.png": 1,
    "hubble_deep_field.jpg": 1,
    "ihc.png": 1,
    "moon.png": 1,
    "page.png": 1,
    "retina.jpg": 1,
}


class Views(NamedTuple):
    """A batch to pre-train on.

    Attributes:
        pair: (B, 4, H, W), R, G, B, IR in [0, 1].
        photograph: Visible images of the first P pairs before their exposure was changed, (P, 3, H, W); the rest are
            scenes.
    """

    pair: Tensor
    photograph: Tensor


class PairMaker:
    """Makes batches of pairs; the same seed makes the same ones in the same order.

    Args:
        seed: Non-negative.
        scenes: How many synthetic scenes to render.

    Raises:
        MissingPackageError: If scikit-image is not installed.
    """

    def __init__(self, seed: int = 0, scenes: int = 160) -> None:
        self.rng = np.random.default_rng([seed, 22])
        self.photographs = read_photographs()
        self.shares = np.array([*PHOTOGRAPHS.values()]) / sum(PHOTOGRAPHS.values())
        rendered = (render_pair(scenes * seed + i, imgsz=400) for i in range(scenes))
        self.scenes = [np.dstack((pair.visible, pair.infrared)) for pair in rendered]

    def batch(self, size: int, side: int) -> Views:
        """Make a batch, half photographs and half scenes, of square images.

        Args:
            size: Pairs.
            side: Height and width, pixels.
        """
        chosen = self.rng.choice(len(self.photographs), (size + 1) // 2, p=self.shares)
        photographs = [crop(self.rng, self.photographs[i], side) for i in chosen]
        pairs = [np.dstack((exposed(self.rng, photo), thermal(self.rng, photo))) for photo in photographs]
        for i in self.rng.integers(len(self.scenes), size=size // 2):
            view = crop(self.rng, self.scenes[i], side)
            pairs.append(np.dstack((exposed(self.rng, view[..., :3]), ranged(self.rng, view[..., 3] / 255))))
        return Views(as_tensor(pairs).clamp(0, 1), as_tensor(photographs) / 255)


def as_tensor(images: Sequence[np.ndarray]) -> Tensor:
    """Stack images (H, W, C) to (B, C, H, W) float32."""
    return torch.from_numpy(np.stack(images).astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def read_photographs() -> list[np.ndarray]:
    """Read the photographs that ship within scikit-image, each (H, W, 3) uint8, RGB."""
    try:
        import skimage.data
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "pre-training needs the photographs of scikit-image, which is not installed: pip install scikit-image"
        ) from error
    folder = Path(skimage.data.__file__).parent
    return [cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB) for name in PHOTOGRAPHS]


def crop(rng: np.random.Generator, image: np.ndarray, side: int) -> np.ndarray:
    """Cut a random square out of an image (H, W, C) uint8, resize it, and mirror it half of the time."""
    height, width = image.shape[:2]
    reach = min(max(int(rng.uniform(0.35, 1) * min(height, width)), 96), height, width)
    top, left = rng.integers(height - reach + 1), rng.integers(width - reach + 1)
    method = cv2.INTER_AREA if reach > side else cv2.INTER_LINEAR
    part = cv2.resize(image[top : top + reach, left : left + reach], (side, side), interpolation=method)
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def exposed(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as an everyday camera takes it: exposure, haze, softness, noise; float32."""
    image = (image.astype(np.float32) / 255) ** np.float32(2 ** rng.uniform(-0.8, 0.8))
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.3))
    contrast = rng.uniform(0.3, 1.1)
    level = 0.5 * contrast + rng.uniform(0, max(1 - contrast, 0.05))  # within the range, mostly
    noise = rng.standard_normal(image.shape, np.float32)
    return np.asarray((image - 0.5) * contrast + level + rng.uniform(0, 0.02) * noise)


def ranged(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return a synthetic thermal image (H, W), [0, 1], in another range, now and then black-hot."""
    image = (image - 0.4) * rng.uniform(0.4, 1.5) + rng.uniform(0.3, 0.6)
    return 1 - image if rng.random() < 0.2 else image


def thermal(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Invent what a thermal camera might see of a photograph (H, W, 3) uint8: (H, W) float32, about [0, 1]."""
    shares = rng.dirichlet([1, 1, 1])
    if rng.random() < 0.3:
        shares[rng.integers(3)] *= -1
    grey = image.astype(np.float32) @ shares.astype(np.float32)
    grey = ((grey - grey.min()) / max(np.ptp(grey), 1) * 255).astype(np.uint8)
    heat = toned(rng, grey)
    if rng.random() < 0.6:
        heat = cv2.bilateralFilter(heat, 7, rng.uniform(0.05, 0.3), rng.uniform(2, 6))
    if rng.random() < 0.8:
        heat = cv2.GaussianBlur(heat, (0, 0), rng.uniform(0.3, 1.6))
    if rng.random() < 0.5:
        slow = rng.standard_normal((4, 4), np.float32)
        heat = heat + 0.15 * cv2.resize(slow, heat.shape[::-1], interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(4)):
        spot = body(rng, heat.shape)
        heat = heat * (1 - spot) + spot * (rng.uniform(0, 1) + 0.05 * toned(rng, grey))
    low, high = np.percentile(heat, [1, 99])
    heat = (heat - (low + high) / 2) / max(high - low, 0.05) * rng.uniform(0.3, 1.1) + rng.uniform(0.35, 0.65)
    if rng.random() < 0.3:  # sharpened, as many cameras do
        heat = heat + rng.uniform(0.3, 1) * (heat - cv2.GaussianBlur(heat, (0, 0), 1.5))
    return np.asarray(heat + rng.uniform(0, 0.012) * rng.standard_normal(heat.shape, np.float32))


def toned(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Apply a random curve through four to seven points to grey levels (H, W) uint8: float32, [0, 1]."""
    points = rng.uniform(0, 1, rng.integers(4, 8))
    if rng.random() < 0.6:
        points = np.sort(points)
    if rng.random() < 0.4:
        points = 1 - points
    curve = np.interp(np.arange(256), np.linspace(0, 255, len(points)), points)
    return np.asarray(curve[grey].astype(np.float32))


def body(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return the soft mask (H, W) float32 of an ellipse somewhere."""
    height, width = size
    mask = np.zeros(size, np.float32)
    centre = int(rng.uniform(0, width)), int(rng.uniform(0, height))
    axes = int(rng.uniform(0.015, 0.12) * width), int(rng.uniform(0.02, 0.18) * height)
    cv2.ellipse(mask, centre, axes, rng.uniform(0, 180), 0, 360, 1, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 2)))
