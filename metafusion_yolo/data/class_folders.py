"""Pairs whose class is the name of the folder that they lie in, for the task classify."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset
from ultralytics.data.augment import RandomHSV
from ultralytics.data.utils import get_split_fraction
from ultralytics.utils import colorstr

from metafusion_yolo.config import Augment
from metafusion_yolo.data.augment import CameraOff, InfraredShift, ModalityDropout, PairedPhotometric
from metafusion_yolo.data.listing import as_written
from metafusion_yolo.data.planes import central
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import find_pairs
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.sampling import evenly

RATIOS = 3 / 4, 4 / 3  # width to height of what a random crop shows, as in the host


def class_of(image: str | Path) -> str:
    """Return the class of an image, the name of its folder."""
    return Path(image).parent.name


def in_class_folders(images: Iterable[str], names: Mapping[int, str]) -> bool:
    """Return whether every image lies in a folder that is named after a class."""
    return {*map(class_of, images)} <= {*names.values()}


class PairedClassDataset(Dataset[dict[str, Any]]):
    """Pairs (4, S, S) uint8, R, G, B, IR, and their classes; both cameras are cropped, mirrored and erased alike.

    They are paired, checked, normalised and registered as those of every other task.

    Args:
        args: The host's arguments.
        img_path: Folder or list of the visible images; each lies in a folder that is named after its class.
        data: The data-set dictionary; `infrared`, `thermal` and `registration` describe the cameras.
        names: Class names by number.
        mode: "train" for augmentation.
        photometric: Augmentation of the infrared camera and camera drop-out.
        off: Camera to blank, "visible" or "infrared"; empty for none.

    Attributes:
        im_files: The visible images.
        labels: Their classes, as the host keeps them.

    Raises:
        PairError: If a visible image has no partner, several, or one that does not fit, or cannot be read.
        ValueError: If a folder is named after no class.
    """

    def __init__(
        self,
        args: Any,
        img_path: str | list[str],
        data: dict[str, Any],
        names: Mapping[int, str],
        mode: str = "val",
        photometric: Augment | None = None,
        off: str = "",
    ) -> None:
        self.args, self.augment = args, mode == "train"
        self.prefix = colorstr(f"{mode}: ")
        self.reader = PairReader(Rig.from_yaml(data, data.get("yaml_file", "the data-set YAML")), off)
        source = as_written(img_path, data)
        self.partners = find_pairs(source, self.reader.rig).complete(str(img_path)).partners
        fraction = get_split_fraction(args.fraction, "train" if self.augment else args.split)
        count = fraction if isinstance(fraction, int) else max(1, round(len(self.partners) * fraction))
        self.im_files = self.samples = evenly([*self.partners], count)  # classes lie one after another
        self.labels = [{"cls": np.array([[number]])} for number in self._numbers(names, img_path)]
        self.reader.check_all(self.im_files, self.partners, self.prefix, "the pairs of this split")
        self._kept: dict[int, np.ndarray] = {}
        photometric = photometric or Augment()
        hsv = RandomHSV(args.hsv_h, args.hsv_s, args.hsv_v)
        changes = InfraredShift(photometric.infrared_shift), PairedPhotometric(hsv, photometric)
        self.changes: list[Any] = [*changes, ModalityDropout(photometric.modality_dropout)] if self.augment else []
        self.changes += [CameraOff(off)] if off else []

    def _numbers(self, names: Mapping[int, str], img_path: Any) -> list[int]:
        """Return the class of each image."""
        numbers = {name: number for number, name in names.items()}
        for file in self.im_files:
            if class_of(file) not in numbers:
                known = ", ".join(f"'{name}'" for name in [*numbers][:5]) + (", ..." if len(numbers) > 5 else "")
                raise UserValueError(
                    f"'{file}' of '{img_path}' is in the folder '{class_of(file)}', which is not one of the classes "
                    f"{known}; the folder of an image is its class, so sort the images into folders of these names"
                )
        return [numbers[class_of(file)] for file in self.im_files]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.im_files)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Return a pair (4, S, S) uint8, its class, its file, and its place in what the network sees."""
        size = int(np.max(self.args.imgsz))  # that of an export is height and width
        pair = self._read(i)
        sample = {"img": self._random_crop(pair, size) if self.augment else central(pair, size)}
        for change in self.changes:
            sample = change(sample)
        planes = np.ascontiguousarray(sample["img"].transpose(2, 0, 1))
        if self.augment and random.random() < self.args.erasing:
            self._erase(planes)
        place = {"ori_shape": (size, size), "ratio_pad": ((1.0, 1.0), (0, 0))}
        number = int(self.labels[i]["cls"][0, 0])
        return {"img": torch.from_numpy(planes), "cls": number, "im_file": self.im_files[i], **place}

    def _read(self, i: int) -> np.ndarray:
        """Read a pair (H, W, 4), once if pairs are cached."""
        file = self.im_files[i]
        pair = self._kept[i] if i in self._kept else self.reader.read(file, self.partners[file] or None)
        if self.args.cache in (True, "ram"):
            self._kept[i] = pair
        return pair

    def _random_crop(self, pair: np.ndarray, size: int) -> np.ndarray:
        """Return a part of random size, shape and place, mirrored at random, (S, S, 4)."""
        from torchvision.transforms import RandomResizedCrop

        height, width = pair.shape[:2]
        smallest = torch.empty(1, height, width)  # only its size is looked at
        top, left, rows, columns = RandomResizedCrop.get_params(smallest, (1 - self.args.scale, 1.0), RATIOS)
        part = pair[top : top + rows, left : left + columns]
        shrinks = size < max(rows, columns)
        part = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        part = part[:, ::-1] if random.random() < self.args.fliplr else part
        return np.ascontiguousarray(part[::-1] if random.random() < self.args.flipud else part)

    def _erase(self, planes: np.ndarray) -> None:
        """Blank a rectangle of both cameras, 2 to 33 % of the area, as the host does."""
        size = planes.shape[1]
        area, ratio = random.uniform(0.02, 0.33), np.exp(random.uniform(-1.2, 1.2))
        height, width = (min(size, max(1, round(size * np.sqrt(area * r)))) for r in (ratio, 1 / ratio))
        top, left = random.randint(0, size - height), random.randint(0, size - width)
        planes[:, top : top + height, left : left + width] = 0
