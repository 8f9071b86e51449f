"""Loaders of pairs for prediction, with the interface of the host's loaders."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from ultralytics.data.loaders import LoadImagesAndVideos, SourceTypes
from ultralytics.utils import LOGGER

from metafusion_yolo.data import tiff
from metafusion_yolo.data.decoding import Page, pages_of
from metafusion_yolo.data.listing import is_pair_list
from metafusion_yolo.data.pairs import PairError, listed
from metafusion_yolo.data.reading import PairReader, check_image, read_visible
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import (
    BY_RULE,
    Origin,
    PairedSource,
    file_pairs,
    is_lazy,
    is_path,
    lazy_pairs,
    memory_pairs,
    tensor_pairs,
)
from metafusion_yolo.data.sources.streams import LoadStreamPair, is_live
from metafusion_yolo.data.sources.videos import Batch, LoadVideoPair, is_video
from metafusion_yolo.data.temperatures import Thermogram
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE
from metafusion_yolo.support.logs import pace
from metafusion_yolo.support.sampling import evenly


def load_pairs(source: PairedSource, rig: Rig, batch: int = 1, vid_stride: int = 1, in_order: bool = False) -> Any:
    """Return a loader of pairs that the host's predictor can iterate, or a checked tensor.

    Args:
        source: What to predict on.
        rig: The cameras; the pairing rule is used for paths without `infrared`.
        batch: Pairs per batch.
        vid_stride: Use every n-th pair of videos and live cameras.
        in_order: Whether to return all pairs of live cameras rather than the newest.

    Raises:
        PairError: If the source does not form pairs.
        FileNotFoundError: If a path does not exist or holds no images.
        ConnectionError: If a live camera cannot be reached.
        PermissionError: If a video must not be read.
        TypeError: If the source is of an unknown kind.
    """
    visible, infrared = source.visible, source.infrared
    if rig.layout and infrared is BY_RULE and is_path(visible) and not is_pair_list(visible):
        source = replace(source, layout=source.layout or rig.layout)
    rig = replace(rig, layout=source.layout)
    reader = PairReader(rig, align=source.align)
    images = partial(LoadPairs, reader=reader, batch=batch, on_error=source.on_error)
    if isinstance(visible, torch.Tensor):
        return tensor_pairs(visible, infrared)
    if is_live(visible):
        return LoadStreamPair(source, reader, vid_stride, in_order)
    if is_video(visible):
        return LoadVideoPair(source, reader, batch, vid_stride)
    if source.layout:
        if infrared is not BY_RULE:
            raise PairError(f"layout={source.layout} says that the images hold both cameras; leave infrared= out")
        infrared = None
    if is_lazy(visible):
        return images(lazy_pairs(visible, infrared, rig.pairing), from_img=True)
    of_files = infrared is None or infrared is BY_RULE or is_path(infrared)
    if of_files and (is_path(visible) or (isinstance(visible, list) and visible and all(map(is_path, visible)))):
        return images([pair for files in file_pairs(visible, infrared, rig.pairing) for pair in _pages(*files)])
    return images(memory_pairs(visible, infrared, rig.pairing), from_img=True)


class LoadPairs(LoadImagesAndVideos):
    """Read pairs one batch at a time; none is kept, so memory does not grow with their number.

    Args:
        pairs: `(visible, infrared)`, each a path, an array or None (infrared only); an iterator is read lazily.
        reader: Reads and stacks them.
        batch: Pairs per batch.
        from_img: Whether the pairs are in memory rather than files.
        on_error: "stop" at a pair that cannot be read, or "skip" it and log so at the end.

    Attributes:
        skipped: Reasons of skipped pairs, by name.
        done: Number of pairs left out because they are done already.
        alike: Whether a batch ends where the size changes, so that no pair gets a border because of another.
        origins: Origin of each pair in the last batch.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[Any, Any]],
        reader: PairReader,
        batch: int = 1,
        from_img: bool = False,
        on_error: str = "stop",
    ) -> None:
        self.pairs = pairs
        self.reader = reader
        self.bs = batch
        self.on_error = on_error
        self.mode = "image"
        self.nf = self.ni = len(pairs) if isinstance(pairs, list) else sys.maxsize  # the host prefetches by these
        self.video_flag = [False]
        self.cap = None
        self.source_type = SourceTypes(stream=False, screenshot=False, from_img=from_img, tensor=False)
        arrays = (
            [infrared for _, infrared in pairs if isinstance(infrared, np.ndarray)] if self.nf < sys.maxsize else []
        )
        self.done = 0
        self.skipped: dict[str, str] = {}
        self.alike = False
        self.limits = reader.rig.thermal.limits_of(evenly(arrays, SEQUENCE_SAMPLE))  # images in memory are one sequence

    @property
    def of_files(self) -> bool:
        """Whether all visible images are files, so that their paths identify the pairs."""
        return isinstance(self.pairs, list) and all(isinstance(visible, str) for visible, _ in self.pairs)

    def sort(self, key: Callable[[str], Any]) -> None:
        """Sort pairs of files by their visible images."""
        self.pairs = sorted(self.pairs, key=lambda pair: key(pair[0]))

    def leave_out(self, done: Sequence[str]) -> None:
        """Leave out finished pairs, given their visible images; a repeated image as often as it is given."""
        left, rest = Counter(done), []
        for pair in self.pairs:
            left[pair[0]] -= 1
            if left[pair[0]] < 0:
                rest.append(pair)
        self.done = self.nf - len(rest)
        self.pairs, self.nf, self.ni = rest, len(rest), len(rest)

    def __iter__(self) -> LoadPairs:
        """Start with the first pair."""
        self.count = 0
        self.skipped.clear()
        self._held: tuple[str, np.ndarray, str, Origin] | None = None  # for the next batch
        self._rest = iter(self.pairs)
        self._start = time.monotonic()
        return self

    def __len__(self) -> int:
        """Return the number of batches."""
        return (self.nf + self.bs - 1) // self.bs

    def __next__(self) -> Batch:
        """Return names, pairs (H, W, 4) uint8 and log lines of the next batch.

        Raises:
            PairError: If a pair cannot be read and `on_error` is "stop", or if none can be read.
            FileNotFoundError: Under "stop", if a path from a generator does not exist.
            TypeError: Under "stop", if an item of a generator is not an image.
        """
        batch: list[tuple[str, np.ndarray, str, Origin]] = []
        while len(batch) < self.bs and (item := self._held or self._next_readable()):
            if self.alike and batch and item[1].shape != batch[0][1].shape:
                self._held = item
                break
            batch.append(item)
            self._held = None
        if not batch:
            if self.skipped and len(self.skipped) == self.count and not self.done:
                raise PairError(f"none of {self.count} pairs can be read:{listed(self.skipped.values())}")
            raise StopIteration
        names, pairs, lines, self.origins = map(list, zip(*batch, strict=True))
        return names, pairs, lines

    def _next_readable(self) -> tuple[str, np.ndarray, str, Origin] | None:
        """Return name, pair, log line and origin of the next pair that can be read; None at the end."""
        while True:
            name = f"image{self.count}.jpg"
            try:
                visible, infrared = next(self._rest)
                name = name if isinstance(visible, np.ndarray) else visible
                pair, thermogram = self._read(visible, infrared, name)
            except StopIteration:
                return None
            except (PairError, TypeError, FileNotFoundError) as error:
                if self.on_error == "stop":
                    raise
                self.skipped[name] = str(error)
                self.count += 1
                continue
            line = self._log_line(visible)
            self.count += 1
            partner = visible if self.reader.rig.layout else infrared
            return name, pair, line, Origin(partner if isinstance(partner, str) else None, thermogram=thermogram)

    def _read(self, visible: Any, infrared: Any, name: str) -> tuple[np.ndarray, Thermogram | None]:
        """Read one pair, and what its infrared camera measured."""
        limits, partner = self.limits, None
        if self.reader.rig.layout:
            if isinstance(visible, str):
                check_image(visible, read_visible)
            visible, infrared = self.reader.read_both(visible)
            limits = None
        if isinstance(infrared, str):
            partner, limits = infrared, self.reader.limits_of(infrared)
            infrared = _checked(infrared, self.reader.counts)
        visible = visible if isinstance(visible, np.ndarray) else _checked(visible, read_visible)
        pair = self.reader.stack(visible, infrared, name, partner, limits)
        return pair, self.reader.thermogram(infrared, pair.shape[1::-1], name)

    def _log_line(self, visible: Any) -> str:
        """Return progress, pairs per second and time left for a pair of files; empty for images in memory."""
        if isinstance(visible, np.ndarray):
            return ""
        if self.nf == sys.maxsize:
            return f"pair {self.count + 1} {visible}: "
        return f"pair {self.count + 1}/{self.nf}{pace(self.count, self.nf, self._start)} {visible}: "

    def close(self) -> None:
        """Log the skipped pairs at the end, as the host reads ahead."""
        super().close()
        if self.skipped and len(self.skipped) < self.count + self.done:
            LOGGER.warning(f"{len(self.skipped)} of {self.count} pairs skipped:{listed(self.skipped.values())}")


def _pages(visible: str, infrared: str | None) -> list[tuple[str, str | None]]:
    """Return a pair of files, or the pairs of their pages if they have several."""
    pages = pages_of(visible), pages_of(infrared) if infrared else None
    counts = len(pages[0]), len(pages[0] if pages[1] is None else pages[1])
    if counts == (1, 1):
        return [(visible, infrared)]
    if counts[0] != counts[1]:
        raise PairError(f"'{visible}' has {counts[0]} pages and '{infrared}' has {counts[1]}; give as many of each")
    moving = [file for file in (visible, infrared) if file and not file.lower().endswith(tiff.SUFFIXES)]
    if moving:
        raise PairError(f"'{moving[0]}' has {counts[0]} frames; save them as files or as a video")
    heat = [None] * counts[0] if infrared is None else [Page(infrared, number) for number in pages[1] or ()]
    return [(Page(visible, number), page) for number, page in zip(pages[0], heat, strict=True)]


def _checked(file: str, read: Callable[[str], np.ndarray]) -> np.ndarray:
    check_image(file, read)
    return read(file)
