"""The host's YOLO data set with registered pairs as images."""

from __future__ import annotations

import gc
import json
import math
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics.data.augment import Albumentations, Compose, Format, RandomHSV
from ultralytics.data.utils import get_hash, get_split_fraction
from ultralytics.utils import LOGGER, colorstr

from metafusion_yolo.config import Augment
from metafusion_yolo.data.augment import (
    CameraOff,
    FormatInOrder,
    InfraredShift,
    ModalityDropout,
    PairedAlbumentations,
    PairedPhotometric,
)
from metafusion_yolo.data.layout import part_shape
from metafusion_yolo.data.listing import as_written
from metafusion_yolo.data.packed_dataset import PackedYOLODataset, Scanned
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.splits import Split, find_pairs
from metafusion_yolo.nn import NUM_CHANNELS
from metafusion_yolo.support.errors import MissingFileError, UserValueError
from metafusion_yolo.support.logs import faults_in_a_line, silent


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the garbage collector from looking through millions of labels again and again while they are read."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


class PairedYOLODataset(PackedYOLODataset):
    """A YOLO data set whose images are (H, W, 4) uint8, R, G, B, IR, so that geometric transforms move both cameras.

    Args:
        data: The data-set dictionary; `infrared`, `thermal` and `registration` describe the cameras.
        photometric: Augmentation of the infrared camera and camera drop-out.
        off: Camera to blank, "visible" or "infrared"; empty for none.
        **kwargs: As for the host's data set.

    Raises:
        PairError: If a visible image has no partner, several, or one that does not fit; the message summarises all.
    """

    fraction: float  # as the host sets it; an int is a number of pairs
    border = 0.5  # of validation images, in strides
    rectangular = True  # whether validation images may keep their shape

    def __init__(
        self, *args: Any, data: dict[str, Any], photometric: Augment | None = None, off: str = "", **kwargs: Any
    ) -> None:
        self.photometric = photometric or Augment()
        self.reader = PairReader(Rig.from_yaml(data, data.get("yaml_file", "the data-set YAML")), off)
        self.partners: dict[str, str] = {}
        self.split = Split({}, {}, [])
        with no_collections():
            super().__init__(*args, data={**data, "channels": NUM_CHANNELS}, **kwargs)
        if self.cache != "disk":
            self.npy_files.clear()  # one path per image, which nothing reads then

    # Pairing ---------------------------------------------------------------------------------------------------------
    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        """List the visible images and pair all of them; a wrong pair stops the run and is not skipped."""
        self.split = find_pairs(img_path, self.reader.rig).complete(str(img_path))
        self.partners = self.split.partners
        files = [*self.partners]
        fraction = self.fraction  # of the pairs, not of the files
        return files[: fraction if isinstance(fraction, int) else max(1, round(len(files) * fraction))]

    def get_label_files(self) -> list[str]:
        """Take the label files that a CSV list names, and where it names none those beside the images."""
        beside = super().get_label_files()
        self.label_files = [self.split.labels.get(file, own) for file, own in zip(self.im_files, beside, strict=True)]
        return self.label_files

    def get_cache_hash(self) -> str:
        """Make the label cache depend also on the infrared files and on the rig, which decides whether pairs fit."""
        faults = self.polygon_faults if self.needs_polygons else []
        rig = json.dumps(["labels in arrays", self.reader.rig.to_yaml(), faults])
        return get_hash([super().get_cache_hash(), rig, *(self.partners[f] for f in self.im_files)])

    def cache_labels(self, path: Path = Path("./labels.cache")) -> dict[str, Any]:
        """Decode every pair once before its labels are read.

        Raises:
            PairError: If a pair cannot be read, or its two images do not fit.
            FileNotFoundError: If there are no labels to train with.
            ValueError: If no label can be used; if some can, the host skips the others with a warning.
        """
        self.reader.check_all(self.im_files, self.partners, self.prefix, str(self.img_path))
        if self.augment and not any(Path(file).is_file() for file in self.label_files):
            raise MissingFileError(
                f"no labels for '{self.img_path}': looked for '{self.label_files[0]}' and others; put them there, or "
                f"train without labels with fusion_only=True"
            )
        scanned: dict[str, Any] = super().cache_labels(path)
        if not scanned["labels"]:
            reason = re.sub(r".*: ignoring (corrupt \S+: )?", "", scanned["msgs"][0])
            raise UserValueError(
                f"no pair of '{self.img_path}' has usable labels; for example '{self.label_files[0]}': "
                f"{reason}; metafusion data check lists all that is wrong"
            )
        return scanned

    def get_labels(self) -> list[dict[str, Any]]:
        """Log one line per kind of fault in the labels; the host logs one per file."""
        with faults_in_a_line():
            labels: list[dict[str, Any]] = super().get_labels()
        self.label_files = []  # one path per image, which has been read
        return labels

    def result_to_label(self, result: list[Any]) -> Scanned:
        """Take the size of one camera where an image holds both."""
        labelled = super().result_to_label(result)
        if labelled[0]:
            labelled[0]["shape"] = part_shape(labelled[0]["shape"], self.reader.rig.layout)
        return self.packed(labelled)

    # Reading ---------------------------------------------------------------------------------------------------------
    def load_image(
        self, i: int, rect_mode: bool = True, resize_short: bool = False
    ) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
        """Load a pair where the host loads an image, with the host's resizing and mosaic buffer."""
        if self.ims[i] is not None:
            return self.ims[i], self.im_hw0[i], self.im_hw[i]
        pair = self._read(i)
        original = pair.shape[:2]
        target = self._target_size(original, rect_mode, resize_short)
        if target != original:
            pair = cv2.resize(pair, target[::-1], interpolation=cv2.INTER_LINEAR)
        if self.augment and self.cache != "ram":
            self._keep_for_mosaic(i, pair, original)
        return pair, original, pair.shape[:2]

    def _read(self, i: int) -> np.ndarray:
        """Read a pair from the disk cache if it is there, else from its two files."""
        if self.cache == "disk" and self.npy_files[i].exists():
            return np.load(self.npy_files[i])
        return self._read_files(i)

    def _read_files(self, i: int) -> np.ndarray:
        return self.reader.read(self.im_files[i], self.partners[self.im_files[i]] or None)

    def _target_size(self, original: tuple[int, int], rect_mode: bool, resize_short: bool) -> tuple[int, int]:
        """Return the (height, width) to which the host would resize."""
        square = (self.imgsz, self.imgsz) if isinstance(self.imgsz, int) else tuple(self.imgsz)
        if not rect_mode:
            return square
        height, width = original
        size = max(square)
        if resize_short:
            ratio = size / min(height, width)
            return (math.ceil(height * ratio), size) if width <= height else (size, math.ceil(width * ratio))
        ratio = size / max(height, width)
        return min(math.ceil(height * ratio), size), min(math.ceil(width * ratio), size)

    def _keep_for_mosaic(self, i: int, pair: np.ndarray, original: tuple[int, int]) -> None:
        """Keep a pair for the host's mosaic, and drop the oldest."""
        self.ims[i], self.im_hw0[i], self.im_hw[i] = pair, original, pair.shape[:2]
        self.buffer.append(i)
        if 1 < len(self.buffer) >= self.max_buffer_length:
            j = self.buffer.pop(0)
            self.ims[j], self.im_hw0[j], self.im_hw[j] = None, None, None

    # Caching ---------------------------------------------------------------------------------------------------------
    def cache_images(self) -> None:
        """Cache pairs in files apart from the host's cache of visible images, one per partner and rig."""
        how = json.dumps([self.reader.rig.to_yaml(), self.reader.off])
        partners = [zlib.crc32((self.partners[f] + how).encode()) for f in self.im_files]
        self.npy_files = [
            Path(f).with_suffix(f".{p:08x}.pair.npy") for f, p in zip(self.im_files, partners, strict=True)
        ]
        super().cache_images()

    def cache_images_to_disk(self, i: int) -> None:
        """Write a pair to the disk cache unless a cache file newer than its images exists."""
        cached, sources = self.npy_files[i], (self.im_files[i], self.partners[self.im_files[i]])
        if cached.exists() and cached.stat().st_mtime >= max(Path(f).stat().st_mtime for f in sources if f):
            return
        part = cached.with_suffix(f".{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                np.save(file, self._read_files(i), allow_pickle=False)
            part.replace(cached)
        except OSError as error:
            part.unlink(missing_ok=True)
            cached.unlink(missing_ok=True)
            LOGGER.warning(f"{self.prefix}cannot cache '{cached}' ({error}); reading the images instead")

    # Augmentation ----------------------------------------------------------------------------------------------------
    def build_transforms(self, hyp: Any) -> Compose:
        """Add our augmentation before the host's formatting."""
        with silent():  # of the host's Albumentations, which ours replaces
            transforms = super().build_transforms(hyp)
        if self.augment:
            own = PairedAlbumentations(
                *(getattr(hyp, name, None) for name in ("augmentations", "infrared_augmentations"))
            )
            transforms.transforms = [own if isinstance(t, Albumentations) else t for t in transforms.transforms]
            hsv = RandomHSV(hyp.hsv_h, hyp.hsv_s, hyp.hsv_v)
            transforms.insert(-1, InfraredShift(self.photometric.infrared_shift))
            transforms.insert(-1, PairedPhotometric(hsv, self.photometric))
            transforms.insert(-1, ModalityDropout(self.photometric.modality_dropout))
        elif type(transforms.transforms[-1]) is Format:
            transforms.transforms[-1] = FormatInOrder(**vars(transforms.transforms[-1]))
        if self.reader.off:
            transforms.insert(-1, CameraOff(self.reader.off))  # blanks the letterbox too
        return transforms


def build_paired_dataset(
    args: Any,
    img_path: str | list[str],
    batch: int | None,
    data: dict[str, Any],
    mode: str,
    stride: int,
    rect: bool = False,
    photometric: Augment | None = None,
    off: str = "",
    kind: type[PairedYOLODataset] = PairedYOLODataset,
) -> PairedYOLODataset:
    """Build a paired data set from the host's arguments, as the host builds its own.

    Args:
        args: The host's arguments.
        img_path: Folder or list of the visible images.
        batch: Batch size, for rectangular batches.
        data: The data-set dictionary.
        mode: "train" for augmentation.
        stride: Largest stride of the model.
        rect: Whether to use rectangular batches regardless of the arguments.
        photometric: Augmentation of the infrared camera and camera drop-out.
        off: Camera to blank, "visible" or "infrared"; empty for none.
        kind: Class of the data set.
    """
    training = mode == "train"
    return kind(
        img_path=as_written(img_path, data),
        imgsz=args.imgsz,
        batch_size=batch,
        augment=training,
        hyp=args,
        rect=(args.rect or rect) and (training or kind.rectangular),
        cache=args.cache or None,
        single_cls=args.single_cls or False,
        stride=stride,
        pad=0.0 if training else kind.border,
        prefix=colorstr(f"{mode}: "),
        task=args.task,
        classes=args.classes,
        data=data,
        fraction=get_split_fraction(args.fraction, "train" if training else args.split),
        photometric=photometric,
        off=off,
    )
