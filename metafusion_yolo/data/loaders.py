"""Loaders of pairs for prediction, in the shape of the host's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.data.loaders import LoadImagesAndVideos, SourceTypes
from ultralytics.data.utils import VID_FORMATS

from metafusion_yolo.data.memory import describe
from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import PairReader, check_image, read_counts, read_visible
from metafusion_yolo.data.rig import Rig
from metafusion_yolo.data.sources import BY_RULE, PairedSource, file_pairs, is_path, memory_pairs, tensor_pairs
from metafusion_yolo.data.thermal import spread

Batch = tuple[list[str], list[np.ndarray], list[str]]


def load_pairs(source: PairedSource, rig: Rig, batch: int = 1, vid_stride: int = 1) -> Any:
    """Return a loader of pairs that the host's predictor can iterate, or a checked tensor.

    Args:
        source: What to predict on.
        rig: How the cameras go together; its pairing rule is for paths given without their infrared partner.
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
    if is_path(visible) and Path(visible).suffix[1:].lower() in VID_FORMATS:
        return LoadVideoPair(visible, infrared, PairReader(rig), vid_stride)
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


class LoadVideoPair(LoadImagesAndVideos):
    """Read two videos frame by frame, paired by frame number.

    Args:
        visible: Video of the visible camera.
        infrared: Video of the infrared camera, None for none.
        reader: Normalises, registers and stacks the frames.
        vid_stride: Read every n-th frame.

    Raises:
        FileNotFoundError: If a video does not exist or cannot be opened.
        PairError: If the infrared video is not given, or ends more than a frame away from the visible one.
        TypeError: If `infrared` is no video.
    """

    def __init__(self, visible: str | Path, infrared: Any, reader: PairReader, vid_stride: int = 1) -> None:
        if infrared is BY_RULE:
            raise PairError(f"no infrared video for '{visible}'; give it as infrared=, or infrared=None for none")
        if infrared is not None and not (is_path(infrared) and Path(infrared).suffix[1:].lower() in VID_FORMATS):
            kind = f"'{infrared}'" if is_path(infrared) else describe(infrared)
            raise TypeError(f"'{visible}' is a video, so infrared= must be one too, not {kind}")
        super().__init__(str(visible), batch=1, vid_stride=vid_stride)
        self.source_type = SourceTypes(stream=False, screenshot=False, from_img=False, tensor=False)
        self.reader = reader
        self.infrared = self.limits = None
        if infrared is not None:
            self.infrared = LoadImagesAndVideos(str(infrared), batch=1, vid_stride=vid_stride)
            if abs(self.frames - self.infrared.frames) > 1:
                self.close()
                raise PairError(
                    f"'{visible}' has {self.frames} frames and '{infrared}' {self.infrared.frames}; "
                    f"cut them to the same length and rate"
                )
            self.limits = reader.rig.thermal.limits_of(_sample_frames(str(infrared)))

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
        name, counts = None, None
        if self.infrared is not None:
            partner_names, partners, _ = next(self.infrared)
            if not partners:
                raise StopIteration
            name, counts = partner_names[0], cv2.cvtColor(partners[0], cv2.COLOR_BGR2GRAY)
        visible = cv2.cvtColor(frames[0], cv2.COLOR_BGR2RGB)
        return names, [self.reader.stack(visible, counts, names[0], name, self.limits)], lines

    def close(self) -> None:
        """Release both captures."""
        super().close()
        if self.infrared is not None:
            self.infrared.close()


def _sample_frames(video: str) -> Iterator[np.ndarray]:
    """Yield frames (H, W) spread over a video, from which the limits of its counts are taken."""
    capture = cv2.VideoCapture(video)
    for number in spread(range(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        read, frame = capture.read()
        if read:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    capture.release()
