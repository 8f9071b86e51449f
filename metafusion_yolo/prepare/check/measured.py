"""Measurements of many pairs in a few columns, which lie in files: as objects a million pairs would take 18 GB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from metafusion_yolo.prepare.check.files import PairFiles
from metafusion_yolo.prepare.check.images import DIGEST, THUMBNAIL, Measurements, View
from metafusion_yolo.prepare.check.shift import Shift
from metafusion_yolo.prepare.similarity import SIDE
from metafusion_yolo.support.paged import PagedItems, PagedRows

VIEW = [
    ("width", "i4"),
    ("height", "i4"),
    ("depth", "S8"),
    ("levels", "i8"),
    ("step", "i8"),
    ("brightness", "f8"),
    ("contrast", "f8"),
    ("colour", "f8"),
    ("digest", f"S{DIGEST}"),
]
PAIR = [
    ("visible", VIEW),
    ("infrared", VIEW),
    ("correlation", "f8"),
    ("x", "f8"),  # of the shift; NaN for none
    ("y", "f8"),
    ("clear", "?"),
    ("polarity", "i1"),
    ("outlined", "?"),
    ("first", "i8"),  # object
    ("end", "i8"),
]
BLOCK = 64  # pairs that are read at once
OBJECT = [("cls", "i8"), ("box", "f8", (4,)), ("contrast", "f8")]


class Measured(Sequence[Measurements]):
    """Measurements of pairs, read again on access; their arrays are read-only.

    Args:
        pairs: The measurements, none of which is kept.

    Raises:
        OSError: If the disk is full.
    """

    def __init__(self, pairs: Iterable[Measurements]) -> None:
        self._files: PagedItems[PairFiles] = PagedItems(lambda values: PairFiles(*values))
        self._rows, self._objects = PagedRows(PAIR), PagedRows(OBJECT)
        self._thumbnails = PagedRows(np.uint8, (THUMBNAIL, THUMBNAIL))
        self._looks = PagedRows(np.float32, (2 * SIDE**2,))
        for pair in pairs:
            self._files.append((pair.files.split, *pair.files.both, pair.files.label))
            self._rows.extend(np.array([_row(pair, len(self._objects))], PAIR))
            self._objects.extend(_objects(pair))
            self._thumbnails.extend(pair.thumbnail[None])
            self._looks.extend(pair.look[None])

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._files)

    def __getitem__(self, i: Any) -> Any:
        """Return the measurements of a pair, or a list of those of a slice."""
        places = range(len(self))[i]
        return [self[k] for k in places] if isinstance(places, range) else next(self._block(places, places + 1))

    def __iter__(self) -> Iterator[Measurements]:
        """Yield the measurements of each pair."""
        starts = range(0, len(self), BLOCK)
        return chain.from_iterable(self._block(start, min(start + BLOCK, len(self))) for start in starts)

    def _block(self, start: int, end: int) -> Iterator[Measurements]:
        block = slice(start, end)
        rows, looks, thumbnails = self._rows[block], self._looks[block], self._thumbnails[block]
        before = int(rows["first"][0])
        objects = self._objects[before : int(rows["end"][-1])]
        for i, row in enumerate(rows.tolist()):
            visible, infrared, correlation, x, y, clear, polarity, outlined, first, last = row
            own = objects[first - before : last - before]
            yield Measurements(
                self._files[start + i],
                own["cls"],
                own["box"],
                outlined,
                _view(*visible),
                _view(*infrared),
                correlation,
                None if np.isnan(x) else Shift(x, y, clear),
                looks[i],
                thumbnails[i],
                polarity,
                own["contrast"],
            )

    @property
    def files(self) -> Sequence[PairFiles]:
        """The files of each pair."""
        return self._files

    @property
    def looks(self) -> np.ndarray:
        """The looks of all pairs (N, 512) float32, mapped from their file for as long as this array is kept."""
        return self._looks.mapped()

    def views(self, camera: str) -> np.ndarray:
        """Return the images of a camera (N,), as rows of :data:`VIEW`, mapped from their file."""
        views: np.ndarray = self._rows.mapped()[camera]
        return views


def _row(pair: Measurements, first: int) -> tuple[Any, ...]:
    """Return a pair as a row; `first` is the place of its first object."""
    views = ((*v.size, v.depth, v.levels, v.step, v.brightness, v.contrast, v.colour, v.digest) for v in pair.views)
    shift = pair.shift or Shift(np.nan, np.nan, False)
    end = first + len(pair.classes)
    return *views, pair.correlation, shift.x, shift.y, shift.clear, pair.polarity, pair.outlined, first, end


def _objects(pair: Measurements) -> np.ndarray:
    rows = np.zeros(len(pair.classes), OBJECT)
    rows["cls"], rows["box"], rows["contrast"] = pair.classes, pair.boxes_xywhn, pair.box_contrasts
    return rows


def _view(width: int, height: int, depth: bytes, *rest: Any) -> View:
    view = View((width, height), depth.decode(), *rest)
    return view if len(view.digest) == DIGEST else replace(view, digest=view.digest.ljust(DIGEST, b"\0"))
