"""Pairs whose labels are maps, of the tasks semantic and depth: the host's data sets with pairs as images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ultralytics.data.augment import Compose
from ultralytics.data.dataset import DepthDataset, PolygonSemanticDataset, SemanticDataset
from ultralytics.data.utils import read_mask

from metafusion_yolo.data.augment import PairedAlbumentations
from metafusion_yolo.data.dataset import PairedYOLODataset
from metafusion_yolo.support.errors import UserValueError

IGNORED = 255  # class of a pixel that does not count, as in the host


class PairedMapDataset(PairedYOLODataset):
    """Pairs with a map for each, which moves with them. Mixed in before a data set of the host."""

    border = 0.0
    packs = False

    def build_transforms(self, hyp: Any) -> Compose:
        """Reject transforms of Albumentations that would move the pair but not its map.

        Raises:
            ValueError: If there are any.
        """
        transforms = super().build_transforms(hyp)
        if any(isinstance(t, PairedAlbumentations) and t.contains_spatial for t in transforms.transforms):
            raise UserValueError(
                "'augmentations' that move pixels move boxes and masks, but not maps of classes or depth; give those "
                "that change colours, and Ultralytics' own for the rest, such as degrees=10"
            )
        return transforms


class PairedSemanticDataset(PairedMapDataset, SemanticDataset):
    """Pairs with an image of classes for each, beside them in `masks_dir:`."""

    def get_label_files(self) -> list[str]:
        """Take the masks that a CSV list names, and where it names none those in `masks_dir:`."""
        self.mask_files = super().get_label_files()
        return self.mask_files

    def verify_labels(self, labels: Any, cache_path: Path) -> None:
        """Refuse masks of which no pixel counts.

        Raises:
            ValueError: If there are no others.
        """
        super().verify_labels(labels, cache_path)
        if not any((self.label_lut[read_mask(one["mask_file"], one["mode"])] != IGNORED).any() for one in labels):
            raise UserValueError(
                f"no mask of '{self.img_path}' has a class: every pixel is {IGNORED}, which does not count, in "
                f"'{self.mask_files[0]}' and all others; write the numbers of the classes, from 0"
            )

    def load_image(
        self, i: int, rect_mode: bool = True, resize_short: bool = False
    ) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
        """Bring the short side to the size of the training, as the host does."""
        return PairedYOLODataset.load_image(self, i, rect_mode, resize_short or self.augment)


class PairedPolygonDataset(PairedMapDataset, PolygonSemanticDataset):
    """Pairs whose classes are drawn from polygons, labels of the task segment; other pixels are background."""

    needs_polygons = True
    packs = True
    load_image = PairedSemanticDataset.load_image


class PairedDepthDataset(PairedMapDataset, DepthDataset):
    """Pairs with a map of depth for each, in metres, in `depth/` beside `images/`."""

    rectangular = False  # in validation, where the host stretches images

    def get_label_files(self) -> list[str]:
        """Take the maps that a CSV list names, and where it names none those in `depth/`."""
        self.depth_files = super().get_label_files()
        self.depth_files_by_image = dict(zip(self.im_files, self.depth_files, strict=True))
        return self.depth_files

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Record that the image fills the network's input: validation stretches it."""
        sample: dict[str, Any] = super().__getitem__(index)
        height, width = self.labels[index]["shape"]
        rows, columns = sample["img"].shape[1:]
        return {**sample, "ori_shape": (height, width), "ratio_pad": ((rows / height, columns / width), (0, 0))}


def data_set_of(task: str, data: Mapping[str, Any]) -> type[PairedYOLODataset]:
    """Return the class of data set that a task reads.

    Args:
        task: The task.
        data: The data-set dictionary; with `masks_dir:` the classes of pixels are images.
    """
    if task == "depth":
        return PairedDepthDataset
    if task == "semantic":
        return PairedSemanticDataset if data.get("masks_dir") else PairedPolygonDataset
    return PairedYOLODataset
