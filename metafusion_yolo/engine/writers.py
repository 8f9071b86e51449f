"""Files that grow while a run goes on, and are whole whenever it ends: pictures, videos, JSON and CSV."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def written_rate(loader: Any, vid_stride: int) -> float | None:
    """Return the frames a second at which the pairs of a loader become a video, as the host does; None for images."""
    if loader.mode == "image":
        return None
    return max(1.0, (loader.fps if loader.mode == "video" else 30) / vid_stride)


class Names:
    """Names for what is written of a source: its stem, then `-2`, `-3` where stems repeat, as the host counts."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._videos: dict[str, str] = {}

    def of_image(self, path: str) -> str:
        """Return a name that no other image has."""
        stem = name = Path(path).stem
        number = 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name)
        return name

    def of_video(self, path: str) -> str:
        """Return the name of a video or stream, the same for all of its frames."""
        if path not in self._videos:
            self._videos[path] = self.of_image(path)
        return self._videos[path]


def write_picture(file: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8, B, G, R, whole or not at all.

    Not by `cv2.imwrite`, which brings the process down at a name that is not UTF-8.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        file.write_bytes(cv2.imencode(file.suffix, picture)[1].tobytes())
    except OSError as error:
        with suppress(OSError):
            file.unlink()
        raise OSError(f"cannot write '{file}'; is the disk full, or the folder not yours?") from error


class BackgroundWriter:
    """Writes pictures in a thread, a few behind at most, while the next ones are made.

    Args:
        behind: Pictures that may wait.
    """

    def __init__(self, behind: int = 4) -> None:
        self.behind = behind
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[Future[None]] = deque()

    def add(self, file: Path, picture: np.ndarray) -> None:
        """Write a picture (H, W, 3) uint8, B, G, R, soon.

        Raises:
            OSError: If an earlier one could not be written.
        """
        self._waiting.append(self._pool.submit(write_picture, file, picture))
        while len(self._waiting) > self.behind or self._waiting[0].done():
            self._waiting.popleft().result()
            if not self._waiting:
                break

    def close(self) -> None:
        """Wait until all are written.

        Raises:
            OSError: If one could not be written.
        """
        self._pool.shutdown()
        while self._waiting:
            self._waiting.popleft().result()


class PictureFolder:
    """A folder of PNG files, one a picture, and of MP4 files, one a video.

    Args:
        folder: It is made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._videos: dict[str, VideoFile] = {}

    def add(self, name: str, picture: np.ndarray, fps: float | None = None) -> Path:
        """Write a picture (H, W, 3) uint8, B, G, R, or append it to a video.

        Args:
            name: Name of the file, without suffix.
            picture: See above.
            fps: Frames a second of the video; None for a picture of its own.

        Returns:
            The file.

        Raises:
            OSError: If it cannot be written.
        """
        if fps is None:
            file = self.folder / f"{name}.png"
            write_picture(file, picture)
            return file
        if name not in self._videos:
            self._videos[name] = VideoFile(self.folder / f"{name}.mp4", fps)
        self._videos[name].add(picture)
        return self._videos[name].file

    def close(self) -> None:
        """Finish the videos."""
        for video in self._videos.values():
            video.close()


class VideoFile:
    """An MP4 file (MPEG-4), whose size is that of its first frame; it plays once it is closed.

    Args:
        file: Where to write.
        fps: Frames a second.
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
            self._size = width + width % 2, height + height % 2  # the codec knows even sizes only
            self._writer = cv2.VideoWriter(str(self.file), cv2.VideoWriter.fourcc(*"mp4v"), self.fps, self._size)
            if not self._writer.isOpened():
                raise OSError(f"cannot write '{self.file}'; is the disk full, or the folder not yours?")
        right, bottom = self._size[0] - width, self._size[1] - height
        if 0 <= right <= 1 and 0 <= bottom <= 1:
            frame = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        else:  # a camera that changes its size in mid-stream; OpenCV would drop the frame
            frame = cv2.resize(frame, self._size)
        self._writer.write(frame)

    def close(self) -> None:
        """Write the index without which nothing plays."""
        if self._size is not None:
            self._writer.release()


class JsonArray:
    """A JSON file that holds a list of records, valid after each of them.

    Args:
        file: Where to write; what is there is replaced.
    """

    END = b"\n]"

    def __init__(self, file: Path) -> None:
        self._file = file.open("wb")
        self._file.write(b"[" + self.END)
        self._separator = b"\n"

    def add(self, record: dict[str, Any]) -> None:
        """Append a record in the place of the closing bracket, and close again."""
        self._file.seek(-len(self.END), os.SEEK_END)
        self._file.write(self._separator + json.dumps(record).encode() + self.END)
        self._file.flush()
        self._separator = b",\n"

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class CsvTable:
    """A CSV file with a header, to which rows are appended.

    Args:
        file: Where to write; what is there is replaced.
        columns: Header.
    """

    def __init__(self, file: Path, columns: tuple[str, ...]) -> None:
        self._file = file.open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self._writer = csv.DictWriter(self._file, columns)
        self._writer.writeheader()

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Append rows; None becomes an empty cell."""
        self._writer.writerows(rows)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
