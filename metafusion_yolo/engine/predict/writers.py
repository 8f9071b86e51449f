"""Files that grow during a run and are valid whenever it ends: pictures, videos, JSON and CSV."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Container
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO, cast

import cv2
import numpy as np

from metafusion_yolo.support.files import replacing, write_image


def written_rate(loader: Any, vid_stride: int) -> float | None:
    """Return the frames per second of the video written for a loader, as the host does; None for images."""
    if loader.mode == "image":
        return None
    return max(1.0, (loader.fps if loader.mode == "video" else 30) / vid_stride)


class Names:
    """Names for output files: the stem of the source, with `-2`, `-3` where stems repeat, as the host counts."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self._videos: dict[str, str] = {}

    def of_image(self, path: str) -> str:
        """Return a name that no other image has, and reserve it."""
        stem = name = Path(path).stem
        number = 1
        while name in self.taken:
            number += 1
            name = f"{stem}-{number}"
        self.taken.add(name)
        return name

    def of_video(self, path: str) -> str:
        """Return the name of a video or stream, the same for all of its frames."""
        if path not in self._videos:
            self._videos[path] = self.of_image(path)
        return self._videos[path]


class BackgroundWriter:
    """Write in a thread while the network runs; after a failure, skip all further tasks.

    Args:
        behind: Largest number of waiting tasks.
    """

    def __init__(self, behind: int = 8) -> None:
        self.behind = behind
        self._failed = False
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[Future[None]] = deque()

    def add(self, write: Callable[..., None], *args: Any) -> None:
        """Call a function in the thread, after those added before.

        Raises:
            OSError: If an earlier task could not write.
        """
        self._waiting.append(self._pool.submit(self._run, write, *args))
        while len(self._waiting) > self.behind or self._waiting[0].done():
            self._waiting.popleft().result()
            if not self._waiting:
                break

    def _run(self, write: Callable[..., None], *args: Any) -> None:
        if self._failed:
            return
        try:
            write(*args)
        except BaseException:
            self._failed = True
            raise

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: If a task could not write.
        """
        self._pool.shutdown()
        while self._waiting:
            self._waiting.popleft().result()


class PictureFolder:
    """A folder with one PNG file per picture and one MP4 file per video.

    Args:
        folder: The folder; it is created if missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._videos: dict[str, VideoWriter] = {}

    def add(self, name: str, picture: np.ndarray, fps: float | None = None) -> Path:
        """Write a picture (H, W, 3) uint8, B, G, R, or append it to a video.

        Args:
            name: Name of the file, without suffix.
            picture: See above.
            fps: Frames per second of the video; None for a picture.

        Returns:
            The file.

        Raises:
            OSError: If it cannot be written.
        """
        if fps is None:
            file = self.folder / f"{name}.png"
            write_image(file, picture)
            return file
        if name not in self._videos:
            self._videos[name] = VideoWriter(self.folder / f"{name}.mp4", fps)
        self._videos[name].add(picture)
        return self._videos[name].file

    def close(self) -> None:
        """Finish the videos."""
        for video in self._videos.values():
            video.close()


class VideoWriter:
    """An MP4 file (MPEG-4) in the size of its first frame; it can be played once it is closed.

    Args:
        file: The video file.
        fps: Frames per second.
    """

    def __init__(self, file: Path, fps: float) -> None:
        self.file = file
        self.fps = fps
        self._size: tuple[int, int] | None = None

    def add(self, frame: np.ndarray) -> None:
        """Append a frame (H, W, 3) uint8, B, G, R.

        Raises:
            OSError: If the video cannot be written.
        """
        height, width = frame.shape[:2]
        if self._size is None:
            self._size = width + width % 2, height + height % 2  # the codec needs even sizes
            self._writer = cv2.VideoWriter(str(self.file), cv2.VideoWriter.fourcc(*"mp4v"), self.fps, self._size)
            if not self._writer.isOpened():
                raise OSError(f"cannot write '{self.file}'; is the disk full, or the folder write-protected?")
        right, bottom = self._size[0] - width, self._size[1] - height
        if 0 <= right <= 1 and 0 <= bottom <= 1:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        else:  # the camera has changed its size; OpenCV would drop the frame
            frame = cv2.resize(frame, self._size)
        self._writer.write(frame)

    def close(self) -> None:
        """Write the index, which players need."""
        if self._size is not None:
            self._writer.release()


class JsonArray:
    """A JSON file with a list of records, valid after each of them.

    Args:
        file: The file; its previous records are removed.
        keep: Values of `visible` whose records stay.
    """

    END = b"\n]"

    def __init__(self, file: Path, keep: Container[str] = ()) -> None:
        lines = file.read_bytes().splitlines() if keep and file.exists() else []
        kept = [line.removesuffix(b",") for line in lines if _told(line) in keep]
        with replacing(file) as part:
            part.write_bytes(b"[\n" * bool(kept) + b",\n".join(kept) + (b"" if kept else b"[") + self.END)
        self._file = file.open("r+b")
        self._separator = b",\n" if kept else b"\n"

    def add(self, record: dict[str, Any]) -> None:
        """Replace the closing bracket by a record and a new bracket."""
        self._file.seek(-len(self.END), os.SEEK_END)
        self._file.write(self._separator + json.dumps(record).encode() + self.END)
        self._file.flush()
        self._separator = b",\n"

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _told(line: bytes) -> str | None:
    """Return the value of `visible` in a line of a :class:`JsonArray`; None for a bracket or an incomplete line."""
    try:
        return str(json.loads(line.removesuffix(b","))["visible"])
    except (ValueError, TypeError, KeyError):
        return None


def _text(file: Path, mode: str) -> TextIO:
    """Open a table; its paths need not be valid UTF-8."""
    return cast(TextIO, file.open(mode, newline="", encoding="utf-8", errors="surrogateescape"))


class CsvTable:
    """A CSV file with a header, to which rows are appended.

    Args:
        file: The file; its previous rows are removed.
        columns: Header.
        keep: Values of `visible` whose rows stay.
    """

    def __init__(self, file: Path, columns: tuple[str, ...], keep: Container[str] = ()) -> None:
        kept = []
        if keep and file.exists():
            with _text(file, "r") as lines:
                kept = [row for row in csv.DictReader(lines) if row["visible"] in keep]
        with replacing(file) as part, _text(part, "w") as lines:
            writer = csv.DictWriter(lines, columns)
            writer.writeheader()
            writer.writerows(kept)
        self._file = _text(file, "a")
        self._writer = csv.DictWriter(self._file, columns)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Append rows; None becomes an empty cell."""
        self._writer.writerows(rows)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
