"""Live cameras, tracks and MP4 files, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from metafusion_yolo.data.live import LivePair
from metafusion_yolo.data.steady import Steady
from metafusion_yolo.options import Sync
from metafusion_yolo.runtime import Detections, Detector
from metafusion_yolo.runtime.reading import grey
from metafusion_yolo.support.errors import MissingPackageError, UserValueError


def is_live(source: str) -> bool:
    """Return whether a source is a live camera: its address or its number."""
    return "://" in source or (source.isdigit() and not Path(source).exists())


def live(detector: Detector, visible: str, infrared: str, sync: Sync | None = None) -> Iterator[Detections]:
    """Detect on the newest frames of two cameras, paired by their time of arrival, until they end.

    Args:
        detector: The detector.
        visible: Address or number of the visible camera.
        infrared: The same of the infrared camera.
        sync: How they are kept in step; by default the run continues with one camera while the other is lost.

    Raises:
        ConnectionError: If a camera cannot be reached.
    """
    size, steady = None, Steady(detector.thermal, infrared)
    with closing(LivePair({"visible": visible, "infrared": infrared}, sync or Sync(on_missing="single"))) as pair:
        while (frames := pair.wait()) is not None:
            seen = {camera: frame.image for camera, frame in frames.items() if frame.image is not None}
            size = seen["visible"].shape if "visible" in seen else size
            if size is None or not seen:
                continue  # what an infrared image alone lies on is not known yet
            colour = seen.get("visible", np.zeros(size, np.uint8))
            heat = steady.see(grey(seen["infrared"])) if "infrared" in seen else None
            yield detector(colour, heat, limits=steady.limits)


def tracked(results: Iterable[Detections], rate: float = 30.0) -> Iterator[Detections]:
    """Give each object the number of its track, by ByteTrack; `rate` is that of the frames, Hz.

    Raises:
        MissingPackageError: If the package `trackers` is not installed.
    """
    try:
        import supervision as sv
        from trackers import ByteTrackTracker
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "tracking without PyTorch needs 'trackers', which is not installed: pip install trackers", name=error.name
        ) from error
    tracker = ByteTrackTracker(frame_rate=rate, track_activation_threshold=0.25, high_conf_det_threshold=0.25)
    for found in results:
        count = len(found.scores)
        given = sv.Detections(
            found.boxes_xyxy, confidence=found.scores, class_id=found.classes, data={"place": np.arange(count)}
        )
        moved = tracker.update(given)
        tracks = np.full(count, -1)
        if len(moved):
            tracks[moved.data["place"]] = moved.tracker_id
        yield replace(found, tracks=tracks)


class Film:
    """An MP4 file of drawn results, of the size of the first one.

    Args:
        file: The file.
        rate: Frames a second.
    """

    def __init__(self, file: Path, rate: float) -> None:
        self._file, self._rate = file, rate
        self._writer: cv2.VideoWriter | None = None

    def add(self, image: np.ndarray) -> None:
        """Add an image (H, W, 3) uint8, B, G, R.

        Raises:
            UserValueError: If the file cannot be written.
        """
        if self._writer is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            size = image.shape[1::-1]
            self._writer = cv2.VideoWriter(str(self._file), cv2.VideoWriter.fourcc(*"mp4v"), self._rate, size)
            if not self._writer.isOpened():
                raise UserValueError(f"'{self._file}' cannot be written; give the path of an .mp4 file")
        self._writer.write(image)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.release()
