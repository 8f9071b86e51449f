"""Augmentation that the host lacks for four channels: photometry per camera, shifts, and cameras that fail."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from ultralytics.data.augment import Albumentations, Format, RandomHSV

from metafusion_yolo.config import Augment
from metafusion_yolo.data.planes import blank, join, split
from metafusion_yolo.support.errors import MissingPackageError
from metafusion_yolo.support.logs import silent

os.environ.setdefault("ALBUMENTATIONS_NO_TELEMETRY", "1")  # no statistics of use are sent
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


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


class PairedAlbumentations(Albumentations):
    """Albumentations on pairs: what moves pixels moves both cameras and the boxes, the rest changes one camera.

    Args:
        transforms: As dictionaries. They change the visible image, or both if they move pixels; None for the host's.
        infrared: Transforms of the infrared image, which move nothing.

    Raises:
        ModuleNotFoundError: If transforms are given and Albumentations is not installed; the host would pass over them.
    """

    transform: Any

    def __init__(self, transforms: list[Any] | None = None, infrared: list[Any] | None = None) -> None:
        with silent():  # it says of its own composition that it has failed where ours has not
            super().__init__(transforms=transforms)
        self.infrared = Albumentations(transforms=infrared) if infrared else None
        if not (transforms or infrared) and self.transform is None:
            return
        with missing_albumentations_named("augmentations"):
            import albumentations as A
        if transforms:
            built: list[Any] = [A.from_dict(item) if isinstance(item, dict) else item for item in transforms]
            self.contains_spatial = any(map(moves, built))
            fields: dict[str, Any] = {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the labels of key points are numbers of points here
                if self.contains_spatial:
                    fields["bbox_params"] = A.BboxParams("yolo", label_fields=["class_labels", "idx"])
                    fields["keypoint_params"] = A.KeypointParams("xy", remove_invisible=False, label_fields=["pidx"])
                    fields["mask_interpolation"] = cv2.INTER_LINEAR  # the infrared image travels as a mask
                self.transform = A.Compose(built, **fields)

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Change `labels["img"]` (H, W, 4) uint8, R, G, B, IR, and the boxes."""
        if self.transform is None and self.infrared is None:
            return labels
        visible, infrared = split(labels["img"])
        own = {key: labels[key] for key in ("semantic_mask",) if key in labels}  # which nothing moves here
        labels = super().__call__({**labels, "img": visible, "semantic_mask": infrared})
        infrared = labels.pop("semantic_mask")
        labels.update(own)
        if self.infrared:
            infrared = self.infrared({"img": infrared[..., None]})["img"].reshape(infrared.shape)
        labels["img"] = join(labels["img"], infrared)
        return labels


def moves(transform: Any) -> bool:
    """Return whether an Albumentations transform, or one inside it, moves pixels."""
    import albumentations as A

    return isinstance(transform, A.DualTransform) or any(map(moves, getattr(transform, "transforms", ())))


@contextmanager
def missing_albumentations_named(argument: str) -> Iterator[None]:
    """Say how to get the package that an argument needs.

    Raises:
        ModuleNotFoundError: In one line.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{argument}= needs the package 'albumentationsx', or its predecessor 'albumentations', which is not "
            f"installed: pip install albumentationsx",
            name=error.name,
        ) from error


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


class FormatInOrder(Format):
    """The host's formatting, which sorts objects by the area of their masks; `lines` says where they stood before."""

    lines: np.ndarray

    def apply_instances(self, labels: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Add `lines`, the former place of each object, from 0."""
        self.lines = np.arange((params or {})["nl"])
        labels = super().apply_instances(labels, params)
        return {**labels, "lines": self.lines}

    def _format_segments(self, instances: Any, cls: np.ndarray, w: int, h: int) -> tuple[np.ndarray, Any, np.ndarray]:
        masks, instances, places = super()._format_segments(instances, self.lines[:, None], w, h)
        self.lines = places[:, 0]
        return masks, instances, cls[self.lines]
