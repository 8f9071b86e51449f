"""Images tracked as a sequence, in the order of their names: one tracker per folder, at a frame rate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metafusion_yolo.engine.predict.results import FusionResults
from metafusion_yolo.support.errors import UserValueError

FRAMES_LOST = ("max_frames_lost", "max_time_lost")  # what the trackers of the host call it


class ImageSequences:
    """Folders of images as sequences; the host would start a new tracker at every image.

    Args:
        rate: Images a second; None if it is not known, for which trackers take 30.
        persist: Whether one sequence goes on in the next folder.
    """

    def __init__(self, rate: float | None, persist: bool) -> None:
        self.rate, self.persist = rate, persist
        self._counts: dict[str, int] = {}
        self._now: str | None = None

    def set_rate(self, trackers: Sequence[Any]) -> None:
        """Scale the memory of trackers, as `track_buffer` is meant for 30 images a second."""
        for tracker in trackers if self.rate else ():
            for name in FRAMES_LOST:
                if hasattr(tracker, name):
                    setattr(tracker, name, max(1, round(tracker.args.track_buffer * self.rate / 30)))

    @contextmanager
    def named(self, results: list[FusionResults]) -> Iterator[None]:
        """Number the results within their sequences, and give the host the name of the sequence as their path.

        Raises:
            ValueError: If the images go back to a folder whose tracker has been given up.
        """
        paths = [result.path for result in results]
        for result in results:
            name = str(Path(result.path).parent)
            if name != self._now and name in self._counts and not self.persist:
                raise UserValueError(
                    f"'{result.path}' goes back to a folder whose tracking has ended; give the images of a folder one "
                    f"after another, or persist=True to track all folders as one sequence"
                )
            self._now = name
            key = "" if self.persist else name
            self._counts[key] = self._counts.get(key, 0) + 1
            self._counts.setdefault(name, 0)
            result.frame = self._counts[key]
            result.time = (result.frame - 1) / self.rate if self.rate else None
            result.path = name
        try:
            yield
        finally:
            for result, path in zip(results, paths, strict=True):  # those that a tracker put in their place
                result.path = path


def in_name_order(file: str) -> tuple[str, list[Any]]:
    """Return the key that sorts the files of a folder by name, numbers in them by their value.

    Examples:
        >>> sorted(["b/1.png", "a/10.png", "a/9.png"], key=in_name_order)
        ['a/9.png', 'a/10.png', 'b/1.png']
    """
    parts = re.split(r"(\d+)", Path(file).name)
    return str(Path(file).parent), [int(part) if i % 2 else part for i, part in enumerate(parts)]
