"""Sources of pairs for prediction, in the shape of the host's loaders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from ultralytics.data.loaders import LoadImagesAndVideos, SourceTypes
from ultralytics.data.utils import IMG_FORMATS, VID_FORMATS

from metafusion_yolo.data.pairs import (
    PairError,
    PairingRule,
    expected_beside,
    expected_by_rule,
    find_partners,
    read_infrared,
    read_visible,
    stack_pair,
)
from metafusion_yolo.data.thermal import to_uint8
from metafusion_yolo.nn import NUM_CHANNELS

Batch = tuple[list[str], list[np.ndarray], list[str]]


class _ByRule:
    """Stands for `infrared` not given: the pairing rule of the checkpoint finds the partner."""

    def __repr__(self) -> str:
        return "by the pairing rule of the checkpoint"


BY_RULE = _ByRule()


@dataclass(frozen=True)
class PairedSource:
    """What to predict on, and what of ours to do with it: the host refuses arguments that it does not know.

    Attributes:
        visible: Path, folder, glob, list, array, PIL image, (H, W, 4) array, (B, 4, H, W) tensor, or a list of
            `(visible, infrared)` tuples.
        infrared: The same for the infrared camera; None for none, `BY_RULE` for the rule of the checkpoint.
        save_fused: Whether the fused images are to be written.
        view: What the detections are to be drawn on.
    """

    visible: Any
    infrared: Any = BY_RULE
    save_fused: bool = False
    view: str = "fused"


def load_pairs(source: PairedSource, rule: PairingRule, batch: int = 1, vid_stride: int = 1) -> Any:
    """Return a loader of pairs that the host's predictor can iterate, or a checked tensor.

    Args:
        source: What to predict on.
        rule: Pairing rule for paths given without their infrared partner.
        batch: Pairs a batch.
        vid_stride: Read every n-th frame of videos.

    Raises:
        PairError: If something does not pair up.
        FileNotFoundError: If a path does not exist or holds no images.
        TypeError: If the source is of no known kind.
    """
    visible, infrared = source.visible, source.infrared
    if isinstance(visible, torch.Tensor):
        return tensor_pairs(visible, infrared)
    if isinstance(visible, (str, Path)):
        if Path(visible).suffix[1:].lower() in VID_FORMATS:
            return LoadVideoPair(visible, infrared, vid_stride)
        return LoadPairs(file_pairs(visible, infrared, rule), batch)
    return LoadPairs(list(memory_pairs(visible, infrared, rule)), batch, from_img=True)


class LoadPairs(LoadImagesAndVideos):
    """Read pairs one batch at a time; nothing is kept, so memory does not grow with their number.

    Args:
        pairs: `(visible, infrared)`, each a path, an array or None (infrared only).
        batch: Pairs a batch.
        from_img: Whether the pairs are in memory rather than files.
    """

    def __init__(self, pairs: list[tuple[Any, Any]], batch: int = 1, from_img: bool = False) -> None:
        self.pairs = pairs
        self.bs = batch
        self.count = 0
        self.mode = "image"
        self.nf = self.ni = len(pairs)  # the host prefetches by these on a GPU
        self.video_flag = [False] * len(pairs)
        self.cap = None
        self.source_type = SourceTypes(stream=False, screenshot=False, from_img=from_img, tensor=False)

    def __len__(self) -> int:
        """Return the number of batches."""
        return math.ceil(self.nf / self.bs)

    def __next__(self) -> Batch:
        """Return names, pairs (H, W, 4) uint8 and log lines of the next batch."""
        if self.count >= self.nf:
            raise StopIteration
        names, pairs, lines = [], [], []
        for visible, infrared in self.pairs[self.count : self.count + self.bs]:
            self.count += 1
            in_memory = isinstance(visible, np.ndarray)
            name = f"image{self.count - 1}.jpg" if in_memory else visible
            names.append(name)
            lines.append("" if in_memory else f"pair {self.count}/{self.nf} {name}: ")
            visible = visible if in_memory else read_visible(visible)
            infrared = read_infrared(infrared) if isinstance(infrared, str) else infrared
            pairs.append(stack_pair(visible, infrared, f"the images of pair '{name}'"))
        return names, pairs, lines


class LoadVideoPair(LoadImagesAndVideos):
    """Read two videos frame by frame, paired by frame number.

    Args:
        visible: Video of the visible camera.
        infrared: Video of the infrared camera, None for none.
        vid_stride: Read every n-th frame.

    Raises:
        PairError: If the infrared video is not given, or ends more than a frame away from the visible one.
    """

    def __init__(self, visible: str | Path, infrared: Any, vid_stride: int = 1) -> None:
        super().__init__(str(visible), batch=1, vid_stride=vid_stride)
        if infrared is BY_RULE:
            raise PairError(f"no infrared video for '{visible}'; give it as infrared=, or infrared=None for none")
        self.source_type = SourceTypes(stream=False, screenshot=False, from_img=False, tensor=False)
        self.infrared = None
        if infrared is not None:
            self.infrared = LoadImagesAndVideos(str(infrared), batch=1, vid_stride=vid_stride)
            if abs(self.frames - self.infrared.frames) > 1:
                self.close()
                raise PairError(
                    f"'{visible}' has {self.frames} frames and '{infrared}' {self.infrared.frames}; "
                    f"cut them to the same length and rate"
                )

    def __iter__(self) -> LoadVideoPair:
        """Start both videos."""
        super().__iter__()
        if self.infrared is not None:
            iter(self.infrared)
        return self

    def __next__(self) -> Batch:
        """Return name, pair and log line of the next frame."""
        names, frames, lines = super().__next__()
        if not frames:
            raise StopIteration
        partner = None
        if self.infrared is not None:
            _, partners, _ = next(self.infrared)
            if not partners:
                raise StopIteration
            partner = cv2.cvtColor(partners[0], cv2.COLOR_BGR2GRAY)
        pair = stack_pair(cv2.cvtColor(frames[0], cv2.COLOR_BGR2RGB), partner, f"the frames of '{names[0]}'")
        return names, [pair], lines

    def close(self) -> None:
        """Release both captures."""
        super().close()
        if self.infrared is not None:
            self.infrared.close()


def tensor_pairs(pairs: torch.Tensor, infrared: Any) -> torch.Tensor:
    """Check a source (B, 4, H, W) in [0, 1], R, G, B, IR, which the host loads by itself."""
    if pairs.ndim not in (3, 4) or pairs.shape[-3] != NUM_CHANNELS:
        raise PairError(f"a tensor source must be (B, 4, H, W), R, G, B, IR in [0, 1], not {tuple(pairs.shape)}")
    if infrared is not BY_RULE:
        raise PairError("a tensor source holds the infrared plane already; leave infrared= out")
    return pairs


def file_pairs(visible: str | Path, infrared: Any, rule: PairingRule) -> list[tuple[str, str | None]]:
    """Pair a file, folder, glob or text list of visible images with its partners.

    Raises:
        PairError: With a summary of everything that does not pair up.
        FileNotFoundError: If there are no visible images, or `infrared` does not exist.
    """
    files = list_images(visible)
    if infrared is None:
        return [(file, None) for file in files]
    if infrared is BY_RULE:
        partners, problems = find_partners(files, expected_by_rule(rule))
    else:
        root, partner_root = Path(visible), Path(infrared)
        if not partner_root.exists():
            raise FileNotFoundError(f"infrared='{infrared}' does not exist; give the file or folder of the partners")
        if partner_root.is_file():
            if len(files) != 1:
                raise PairError(f"infrared='{infrared}' is one file for {len(files)} visible images; give a folder")
            return [(files[0], str(partner_root))]
        base = root if root.is_dir() else Path(files[0]).parent
        partners, problems = find_partners(files, expected_beside(base, partner_root))
    if problems:
        raise PairError.of(problems, f"'{visible}'")
    return [(file, partners[file]) for file in files]


def list_images(source: str | Path) -> list[str]:
    """Return the image files of a path, folder (nested too), glob or text file of paths, sorted.

    Raises:
        FileNotFoundError: If there are none.
    """
    path = Path(source)
    if path.is_dir():
        candidates: Iterable[Path] = path.rglob("*")
    elif path.suffix.lower() == ".txt" and path.is_file():
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        candidates = [Path(line) if Path(line).exists() else path.parent / line for line in lines if line.strip()]
    elif "*" in str(source):
        candidates = Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))
    else:
        candidates = [path]
    files = sorted(str(f) for f in candidates if f.suffix[1:].lower() in IMG_FORMATS and f.is_file())
    if not files:
        raise FileNotFoundError(f"no images in source='{source}'; expected an image, a folder, a glob or a .txt list")
    return files


def memory_pairs(visible: Any, infrared: Any, rule: PairingRule) -> Iterator[tuple[Any, Any]]:
    """Yield the pairs of arrays, PIL images, or lists of these or of paths.

    A visible array is (H, W, 3) in the host's order B, G, R; a stacked one (H, W, 4) in R, G, B, IR.

    Raises:
        PairError: If lists have different lengths, or something has no partner.
        TypeError: If something is no image.
    """
    if not isinstance(visible, (list, tuple)):
        visible, infrared = [visible], infrared if infrared is None or infrared is BY_RULE else [infrared]
    elif is_pair(visible) and infrared is BY_RULE:
        visible = [visible]
    if all(is_pair(item) for item in visible) and infrared is BY_RULE:
        for first, second in visible:
            yield as_visible(first), as_infrared(second)
        return
    if isinstance(infrared, (list, tuple)) and len(infrared) != len(visible):
        raise PairError(f"{len(visible)} visible and {len(infrared)} infrared images; give as many of each")
    partners = infrared if isinstance(infrared, (list, tuple)) else [infrared] * len(visible)
    for first, second in zip(visible, partners, strict=True):
        yield memory_pair(first, second, rule)


def memory_pair(visible: Any, infrared: Any, rule: PairingRule) -> tuple[Any, Any]:
    """Return one pair of a list: two paths, two arrays, or a stack taken apart."""
    if isinstance(visible, (str, Path)) and infrared is BY_RULE:
        return file_pairs(visible, BY_RULE, rule)[0]
    if isinstance(visible, np.ndarray) and visible.ndim == 3 and visible.shape[2] == NUM_CHANNELS:
        if infrared is not BY_RULE:
            raise PairError("an (H, W, 4) array holds the infrared plane already; leave infrared= out")
        return np.ascontiguousarray(visible[..., :3]), to_uint8(visible[..., 3])
    if infrared is BY_RULE:
        raise PairError("no infrared image for an image in memory; give it as infrared=, or infrared=None for none")
    return as_visible(visible), as_infrared(infrared)


def is_pair(item: Any) -> bool:
    """Tell whether an item of a list is a `(visible, infrared)` tuple."""
    return isinstance(item, tuple) and len(item) == 2 and not isinstance(item[0], (list, tuple))


def as_visible(image: Any) -> str | np.ndarray:
    """Return a path as it is, a PIL image or a B, G, R (or grey) array as (H, W, 3) uint8 R, G, B."""
    if isinstance(image, (str, Path)):
        return str(image)
    if isinstance(image, Image.Image):
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1):
            return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        if image.ndim == 3 and image.shape[2] == 3:
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    raise TypeError(f"a visible image must be a path, PIL image or (H, W, 3) uint8 array, not {describe(image)}")


def as_infrared(image: Any) -> str | np.ndarray | None:
    """Return a path or None as it is, a PIL image or an array as (H, W) uint8."""
    if image is None or isinstance(image, (str, Path)):
        return None if image is None else str(image)
    array = np.asarray(ImageOps.exif_transpose(image)) if isinstance(image, Image.Image) else image
    if isinstance(array, np.ndarray):
        if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
            array = cv2.cvtColor(array, cv2.COLOR_BGR2GRAY)
        elif array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        if array.ndim == 2:
            return to_uint8(array)
    raise TypeError(f"an infrared image must be a path, PIL image or (H, W) array, not {describe(image)}")


def describe(item: Any) -> str:
    """Name the kind of a wrong item."""
    return f"an array {item.shape} {item.dtype}" if isinstance(item, np.ndarray) else f"{type(item).__name__}"
