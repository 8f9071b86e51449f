"""Two live cameras, or one that holds both, as pairs of frames."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ultralytics.data.loaders import LoadStreams, SourceTypes
from ultralytics.data.utils import IMG_FORMATS
from ultralytics.utils import LOGGER, ops

from metafusion_yolo.data.live import LivePair
from metafusion_yolo.data.reading import PairReader
from metafusion_yolo.data.sources import Origin, PairedSource, is_path, moving_partner
from metafusion_yolo.data.sources.frames import FrameStacker
from metafusion_yolo.data.sources.videos import Batch, is_video


def is_live(source: Any) -> bool:
    """Return whether a source is a live camera: the number of a USB camera, or a URL other than a file's."""
    if isinstance(source, int):
        return not isinstance(source, bool)
    text = str(source) if is_path(source) else ""
    if text.isdigit():
        return not Path(text).exists()
    file = is_video(text) or Path(text).suffix[1:].lower() in IMG_FORMATS
    return "://" in text and not (text.lower().startswith(("http://", "https://")) and file)


class LoadStreamPair(LivePair, LoadStreams):
    """Live cameras as the host's loader of streams; the counts of their frames are logged at the end.

    Attributes:
        origins: Origin of the last pair.
        began: When it began, by `time.monotonic`, seconds.

    Args:
        source: `visible` and `infrared` are live cameras; `infrared` may be None. With a `layout`, one holds both.
        reader: Normalises, registers and stacks the frames.
        vid_stride: Use every n-th pair.
        in_order: Whether to return all pairs, as far as the buffer allows, rather than the newest.

    Raises:
        ConnectionError: If a camera cannot be reached.
        PairError: If the infrared camera is not given.
        TypeError: If `infrared` is not a live camera.
    """

    def __init__(self, source: PairedSource, reader: PairReader, vid_stride: int = 1, in_order: bool = False) -> None:
        addresses = {"visible": source.visible}
        if (infrared := moving_partner(source, "camera", is_live)) is not None:
            addresses["infrared"] = infrared
        self.mode, self.bs, self.vid_stride = "stream", 1, vid_stride
        self.source_type = SourceTypes(stream=True)
        self.sources = [ops.clean_str(str(source.visible)).replace("/", "_")]  # as the host names its files
        names = str(source.visible), None if infrared is None else str(infrared)
        self.stacker = FrameStacker(reader, source.layout, *names)
        self.count = -1
        self.began = time.monotonic()
        LivePair.__init__(self, addresses, source.sync, vid_stride, in_order)

    def __iter__(self) -> LoadStreamPair:
        """Continue with the newest frames."""
        return self

    def __next__(self) -> Batch:
        """Return name, pair (H, W, 4) uint8 and log line of the next frames; the line names a camera used alone."""
        frames = self.wait()
        if frames is None:
            raise StopIteration
        self.count += 1
        moment = next(iter(frames.values())).time - self.began
        alone = f"{next(iter(frames))} only, " if len(frames) < len(self.cameras) else ""
        pair, thermogram = self.stacker.stack(frames)
        self.origins = [Origin(self.stacker.infrared_name, self.count + 1, moment, thermogram)]
        return self.sources, [pair], [alone]

    def close(self) -> None:
        """Stop the cameras and log the counts of their frames; a second call does nothing."""
        running = self.running
        super().close()
        if running and self.count >= 0:
            LOGGER.info(f"Cameras: {self.report}")
