"""Two videos, or one that holds both cameras, as pairs of frames."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics.data.loaders import LoadImagesAndVideos, SourceTypes
from ultralytics.data.utils import VID_FORMATS
from ultralytics.utils import LOGGER

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.planes import keep_deep
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.sources import Origin, PairedSource, is_path, moving_partner
from metafusion_yolo.data.sources.frames import FrameStacker
from metafusion_yolo.data.sync import CAMERAS, Frame, Frames, Matcher, SyncReport
from metafusion_yolo.data.thermal import SEQUENCE_SAMPLE
from metafusion_yolo.support.errors import MissingFileError
from metafusion_yolo.support.logs import pace
from metafusion_yolo.support.sampling import evenly

Batch = tuple[list[str], list[np.ndarray], list[str]]

FRAMES_APART = 1  # largest difference in length of two videos of one recording, frames
RATES_APART = 0.01  # largest relative difference of frame rates for pairing by frame number
ATTEMPTS = 100  # a video ends after so many undecodable frames in a row


def is_video(source: Any) -> bool:
    """Return whether a source is a video: a file or web address with the suffix of a video."""
    return is_path(source) and Path(str(source).partition("?")[0]).suffix[1:].lower() in VID_FORMATS


class VideoReader:
    """Frames of a video with their times; the image of a frame that cannot be decoded is None.

    Args:
        path: File or web address.
        deep: Whether frames of 16 bits and one plane, such as those of FFV1 in Matroska, are kept so, as (H, W).

    Raises:
        FileNotFoundError: If there is no such file, it is not a video, or its name is not UTF-8.
        PermissionError: If the file must not be read.
    """

    def __init__(self, path: str, deep: bool = False) -> None:
        self.path = path
        if "://" not in path:
            if not Path(path).is_file():
                raise MissingFileError(f"'{path}' does not exist; give the path of a video")
            try:
                Path(path).open("rb").close()
            except PermissionError as error:
                raise PermissionError(f"no permission to read '{path}'; change its rights or copy it") from error
            try:
                path.encode()
            except UnicodeEncodeError as error:  # OpenCV would crash the process
                raise MissingFileError(
                    f"the name of '{path}' is not UTF-8, so it cannot be opened; rename it"
                ) from error
        self.capture = cv2.VideoCapture(path)
        if not self.capture.isOpened():
            raise MissingFileError(f"'{path}' cannot be opened as a video; is it complete, and does a player play it?")
        if deep:
            keep_deep(self.capture)
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate < 1000 else 30.0  # hertz; some containers have no rate
        self.frames = max(int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        height, width = self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT), self.capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        self.shape = int(height), int(width)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame from the first one."""
        if self.capture.get(cv2.CAP_PROP_POS_FRAMES):
            self.capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        number, moment = 0, -1 / self.fps
        while (failures := self._failures()) is not None:
            for _ in range(failures):
                moment += 1 / self.fps
                yield Frame(moment, None)
            stamp = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            moment = stamp if stamp > moment else moment + 1 / self.fps  # if the container has no times
            yield Frame(moment, self.capture.retrieve()[1])
            number += failures + 1
        if self.frames - number > FRAMES_APART:
            LOGGER.warning(f"'{self.path}' ends after {number} of {self.frames} frames; the file is cut off or damaged")

    def _failures(self) -> int | None:
        """Advance to the next frame that can be decoded; return the number of bad ones before it, None at the end."""
        return next((i for i in range(ATTEMPTS) if self.capture.grab()), None)

    def sample(self) -> Iterator[np.ndarray]:
        """Yield some frames, evenly spread over the video."""
        for number in evenly(range(self.frames), SEQUENCE_SAMPLE):
            self.capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            read, frame = self.capture.read()
            if read:
                yield frame


class LoadVideoPair(LoadImagesAndVideos):
    """Read two videos, paired by the number or the time of their frames, or one that holds both cameras.

    Attributes:
        report: Counts of the frames, see :class:`~metafusion_yolo.data.sync.SyncReport`.
        origins: Origin of each pair in the last batch.

    Args:
        source: `visible` is a video; `infrared` another one, or None. With a `layout`, `visible` holds both.
        reader: Normalises, registers and stacks the frames.
        batch: Pairs per batch.
        vid_stride: Use every n-th pair.

    Raises:
        FileNotFoundError: If a video does not exist or cannot be opened.
        PermissionError: If it must not be read.
        PairError: If the infrared video is not given, or has a length or rate that the rules do not allow; during
            iteration, if a frame cannot be decoded.
        TypeError: If `infrared` is not a video.
    """

    def __init__(self, source: PairedSource, reader: PairReader, batch: int = 1, vid_stride: int = 1) -> None:
        self.path, self.sync = str(source.visible), source.sync
        self.bs, self.vid_stride = batch, vid_stride
        self.nf, self.ni, self.files, self.video_flag = 1, 0, [self.path], [True]
        self.mode = "video"
        self.source_type = SourceTypes(stream=False, screenshot=False, from_img=False, tensor=False)
        self.videos = {"visible": VideoReader(self.path)}
        if (infrared := moving_partner(source, "video", is_video)) is not None:
            infrared = str(infrared)
            self.videos["infrared"] = VideoReader(infrared, deep=True)
            self._check_lengths()
        self.fps = min(video.fps for video in self.videos.values())  # the slower one sets the pace
        counts = [video.frames for video in self.videos.values()]
        self.frames = (max if self.sync.on_missing == "single" else min)(counts) // vid_stride
        self.stacker = FrameStacker(reader, source.layout, self.path, infrared, self.videos["visible"].shape)
        self.stacker.set_limits(list(self.videos.values())[-1].sample())
        iter(self)

    def _check_lengths(self) -> None:
        """Check that the lengths and rates of the videos fit the rules.

        Raises:
            PairError: If they do not.
        """
        visible, infrared = self.videos.values()
        names = (
            f"'{visible.path}' has {visible.frames} frames at {visible.fps:.4g} Hz "
            f"and '{infrared.path}' {infrared.frames} at {infrared.fps:.4g} Hz"
        )
        apart = abs(visible.frames - infrared.frames)
        if self.sync.by == "time":
            seconds = abs(visible.frames / visible.fps - infrared.frames / infrared.fps)
            apart = round(seconds * min(visible.fps, infrared.fps))
        elif abs(visible.fps - infrared.fps) / visible.fps > RATES_APART:
            raise PairError(f"{names}; pair them by time: sync=time")
        if apart > FRAMES_APART and visible.frames and infrared.frames and self.sync.on_missing == "error":
            raise PairError(f"{names}; cut them to the same length, or give on_missing=skip or on_missing=single")

    def __iter__(self) -> LoadVideoPair:
        """Start from the first frame."""
        self.report = SyncReport()
        self.count, self.frame = 0, 0
        self.cap = None  # of the host, unused
        self._start = time.monotonic()
        self._shots = self._by_time() if self.sync.by == "time" and len(self.videos) > 1 else self._by_frame()
        return self

    def __next__(self) -> Batch:
        """Return names, pairs (H, W, 4) uint8 and log lines of the next batch."""
        names: list[str] = []
        pairs: list[np.ndarray] = []
        lines: list[str] = []
        self.origins: list[Origin] = []
        while len(pairs) < self.bs and (frames := next(self._shots, None)) is not None:
            self.count += 1
            if self.count % self.vid_stride:
                self.report.count(frames, "skipped")
                continue
            self.report.use(frames)
            self.frame += 1
            infrared = self.videos["infrared"].path if "infrared" in self.videos else self.stacker.layout and self.path
            pair, thermogram = self.stacker.stack(frames)
            self.origins.append(Origin(infrared, self.count, next(iter(frames.values())).time, thermogram))
            names.append(self.path)
            pairs.append(pair)
            lines.append(self._log_line(frames))
        if not pairs:
            raise StopIteration
        return names, pairs, lines

    def _log_line(self, frames: Frames) -> str:
        """Return progress and speed, in the format in which the host finds the number of a frame."""
        alone = f"{next(iter(frames))} only, " if len(frames) < len(self.videos) else ""
        speed = pace(self.frame - 1, self.frames, self._start)
        return f"video 1/1 (frame {self.frame}/{self.frames}){speed} {alone}{self.path}: "

    def _by_frame(self) -> Iterator[Frames]:
        """Yield the frames of the same number; follow `on_missing` where one is missing."""
        apart = 0
        for row in zip_longest(*map(self._read, self.videos)):
            frames = {camera: frame for camera, frame in zip(self.videos, row, strict=True) if frame and frame.decoded}
            if None in row and self.sync.on_missing != "single":
                self.report.count(frames, "left")
                apart += 1
                if self.sync.on_missing == "skip":
                    return
                if apart > FRAMES_APART:
                    early = self.videos["infrared" if "visible" in frames else "visible"].path
                    hint = "cut the other one too, or give on_missing=skip or on_missing=single"
                    raise PairError(f"'{early}' ends after {self.count} frames, before the other video; {hint}")
            elif frames and (len(frames) == len(self.videos) or self.sync.on_missing == "single"):
                yield frames
            else:
                self.report.count(frames, "unmatched")

    def _by_time(self) -> Iterator[Frames]:
        """Yield the frames nearest in time, and under "single" the rest of the longer video."""
        matcher = Matcher(self.sync, self.report)
        readers = {camera: self._read(camera) for camera in CAMERAS}
        soonest = dict.fromkeys(CAMERAS, -math.inf)
        while not (over := [c for c in CAMERAS if soonest[c] == math.inf and not matcher.queues[c]]):
            if (pair := matcher.match(soonest)) is not None:
                yield pair
                continue
            behind = min(CAMERAS, key=soonest.__getitem__)
            frame = next(readers[behind], None)
            soonest[behind] = math.inf if frame is None else frame.time
            if frame and frame.decoded:
                matcher.add(behind, frame)
        if self.sync.on_missing == "single":
            [rest] = {*CAMERAS} - {over[0]}
            while (alone := matcher.take(rest)) is not None:
                yield alone
            yield from ({rest: frame} for frame in readers[rest] if frame.decoded)
        matcher.finish()

    def _read(self, camera: str) -> Iterator[Frame]:
        """Yield and count the frames of a video."""
        video, report = self.videos[camera], getattr(self.report, camera)
        for number, frame in enumerate(video, start=1):
            report.received += frame.decoded
            report.corrupt += not frame.decoded
            if not frame.decoded and self.sync.on_missing == "error":
                hint = "repair the file, or give on_missing=skip or on_missing=single"
                raise PairError(f"frame {number} of '{video.path}' cannot be decoded; {hint}")
            yield frame

    def close(self) -> None:
        """Release both captures."""
        for video in self.videos.values():
            video.capture.release()
