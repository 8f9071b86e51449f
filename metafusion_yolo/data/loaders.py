"""Loaders of pairs for prediction, in the shape of the host's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ultralytics.data.loaders import LoadImagesAndVideos, SourceTypes

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import PairReader, check_image, read_counts, read_visible, spread
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource, file_pairs, is_path, memory_pairs, tensor_pairs
from metafusion_yolo.data.streams import LoadStreamPair, is_live
from metafusion_yolo.data.videos import Batch, LoadVideoPair, is_video


def load_pairs(source: PairedSource, rig: Rig, batch: int = 1, vid_stride: int = 1, in_order: bool = False) -> Any:
    """Return a loader of pairs that the host's predictor can iterate, or a checked tensor.

    Args:
        source: What to predict on.
        rig: How the cameras go together; its pairing rule is for paths given without their infrared partner.
        batch: Pairs a batch.
        vid_stride: Read every n-th frame of videos.
        in_order: Whether all pairs of live cameras are wanted, rather than the newest.

    Raises:
        PairError: If something does not pair up.
        FileNotFoundError: If a path does not exist or holds no images.
        ConnectionError: If a live camera cannot be reached.
        TypeError: If the source is of no known kind.
    """
    visible, infrared = source.visible, source.infrared
    if isinstance(visible, torch.Tensor):
        return tensor_pairs(visible, infrared)
    if is_live(visible):
        return LoadStreamPair(source, PairReader(rig), vid_stride, in_order)
    if is_video(visible):
        return LoadVideoPair(source, PairReader(rig), batch, vid_stride)
    if source.layout:
        raise PairError(f"layout={source.layout} is for videos and live cameras; cut images in two, or leave it out")
    of_files = infrared is None or infrared is BY_RULE or is_path(infrared)
    if of_files and (is_path(visible) or (isinstance(visible, list) and visible and all(map(is_path, visible)))):
        return LoadPairs(file_pairs(visible, infrared, rig.pairing), PairReader(rig), batch)
    return LoadPairs(memory_pairs(visible, infrared, rig.pairing), PairReader(rig), batch, from_img=True)


class LoadPairs(LoadImagesAndVideos):
    """Read pairs one batch at a time; nothing is kept, so memory does not grow with their number.

    Args:
        pairs: `(visible, infrared)`, each a path, an array or None (infrared only).
        reader: Reads and stacks them.
        batch: Pairs a batch.
        from_img: Whether the pairs are in memory rather than files.
    """

    def __init__(
        self, pairs: list[tuple[Any, Any]], reader: PairReader, batch: int = 1, from_img: bool = False
    ) -> None:
        self.pairs = pairs
        self.reader = reader
        self.bs = batch
        self.count = 0
        self.mode = "image"
        self.nf = self.ni = len(pairs)  # the host prefetches by these on a GPU
        self.video_flag = [False] * len(pairs)
        self.cap = None
        self.source_type = SourceTypes(stream=False, screenshot=False, from_img=from_img, tensor=False)
        arrays = [infrared for _, infrared in pairs if isinstance(infrared, np.ndarray)]
        self.limits = reader.rig.thermal.limits_of(spread(arrays))  # what is in memory is one sequence

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
            limits, partner = self.limits, None
            if isinstance(infrared, str):
                partner, limits = infrared, self.reader.limits_of(infrared)
                infrared = _checked(infrared, read_counts)
            visible = visible if in_memory else _checked(visible, read_visible)
            pairs.append(self.reader.stack(visible, infrared, name, partner, limits))
        return names, pairs, lines


def _checked(file: str, read: Callable[[str], np.ndarray]) -> np.ndarray:
    check_image(file, read)
    return read(file)
