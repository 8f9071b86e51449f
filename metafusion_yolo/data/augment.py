"""Augmentation that the host lacks for four channels: photometry per camera, shifts, and cameras that fail."""

from __future__ import annotations

import random
from typing import Any

import cv2
import numpy as np
from ultralytics.data.augment import RandomHSV

from metafusion_yolo.config import Augment
from metafusion_yolo.data.planes import blank, join, split


class PairedPhotometric:
    """Change colours of the visible image and contrast, brightness and noise of the infrared one, independently.

    Args:
        hsv: The host's transform, applied to the visible planes.
        augment: Ranges of the infrared changes.
    """

    def __init__(self, hsv: RandomHSV, augment: Augment) -> None:
        self.hsv = hsv
        self.augment = augment

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Change `labels["img"]` (H, W, 4) uint8, R, G, B, IR."""
        visible, infrared = split(labels["img"])
        # The host reads B, G, R. On R, G, B its random hue shift only changes sign, and its sign is random.
        visible = self.hsv.apply_image({"img": visible})["img"]
        labels["img"] = join(visible, self._infrared(infrared))
        return labels

    def _infrared(self, infrared: np.ndarray) -> np.ndarray:
        gain = 1 + random.uniform(-1, 1) * self.augment.infrared_gain
        offset = random.uniform(-1, 1) * self.augment.infrared_offset * 255
        sigma = random.uniform(0, 1) * self.augment.infrared_noise * 255
        table = np.rint((np.arange(256) - 128) * gain + 128 + offset).astype(np.int16)
        noise = np.zeros(infrared.shape, np.int16)
        if sigma:
            cv2.setRNGSeed(random.getrandbits(31))
            cv2.randn(noise, 0, sigma)
        return cv2.add(cv2.LUT(infrared, table), noise, dtype=cv2.CV_8U)  # saturates


class InfraredShift:
    """Shift the infrared plane against the visible ones, like two cameras with a registration error.

    Boxes do not change, as they belong to the visible image.

    Args:
        share: Largest shift in each direction, as a share of the longer side.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Shift plane 3 of `labels["img"]` (H, W, 4) uint8 by whole pixels, and replicate the border."""
        pair = labels["img"]
        reach = round(self.share * max(pair.shape[:2]))
        if reach:
            dx, dy = random.randint(-reach, reach), random.randint(-reach, reach)
            visible, infrared = split(pair)
            padded = cv2.copyMakeBorder(infrared, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
            height, width = infrared.shape
            moved = padded[reach - dy : reach - dy + height, reach - dx : reach - dx + width]
            labels["img"] = join(visible, moved)
        return labels


class ModalityDropout:
    """Blank one camera at random, so that the detector learns to work when a camera fails.

    Args:
        p: Probability that a pair loses one camera, either with the same chance.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Blank planes of `labels["img"]` (H, W, 4) uint8, R, G, B, IR."""
        if random.random() < self.p:
            labels["img"] = blank(labels["img"], random.choice(("visible", "infrared")))
        return labels


class CameraOff:
    """Always blank one camera, including its letterbox.

    Args:
        camera: "visible" or "infrared".
    """

    def __init__(self, camera: str) -> None:
        self.camera = camera

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Blank planes of `labels["img"]` (H, W, 4) uint8, R, G, B, IR."""
        labels["img"] = blank(labels["img"], self.camera)
        return labels
