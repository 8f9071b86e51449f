"""Who is the same as before, where a tracker gives an object another number."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from metafusion_yolo.serve.watch.scene import overlap

if TYPE_CHECKING:
    import supervision as sv

REMEMBERED = 30.0  # seconds for which an object that has vanished is known again ...
SAME = 0.3  # ... where a box overlaps (IoU) with its last one


@dataclass
class Seen:
    """An object as it was last seen: its number here and in the tracker, when, its class and its box."""

    number: int
    track: int | None
    time: float
    kind: int
    box: np.ndarray


class Identities:
    """Numbers of objects that outlast those of a tracker.

    A tracker loses an object that moves far between two results, and takes one that comes for one who stood there
    before. So a track that was not in the last result goes on with whoever has vanished most recently where it is.
    """

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._last = 0.0

    def begin_anew(self) -> None:
        """Forget the numbers of the tracker, which begins anew; who stood where is still known."""
        for one in self._seen:
            one.track = None

    def see(self, objects: sv.Detections, now: float) -> sv.Detections:
        """Return the objects of a result with their lasting numbers as `tracker_id`.

        Args:
            objects: The objects, with the numbers of the tracker.
            now: The time of the result, seconds; not before the last one.
        """
        self._seen = [one for one in self._seen if now - one.time < REMEMBERED]
        tracks = [int(track) for track in objects.tracker_id]  # type: ignore[union-attr]
        going_on = {one.track: one for one in self._seen if one.track in tracks and one.time == self._last}
        free = [one for one in self._seen if one not in going_on.values()]
        for track, box, kind in zip(tracks, objects.xyxy, objects.class_id, strict=True):  # type: ignore[arg-type]
            one = going_on.get(track) or self._known(free, track, int(kind), box) or self._new(track)
            free = [other for other in free if other is not one]
            going_on[track] = one
            one.track, one.time, one.kind, one.box = track, now, int(kind), box
        for other in free:
            other.track = None if other.track in tracks else other.track
        self._last = now
        told = objects[np.arange(len(tracks))]  # a copy
        told.tracker_id = np.array([going_on[track].number for track in tracks], int)  # type: ignore[union-attr]
        return told  # type: ignore[return-value]

    def _known(self, free: list[Seen], track: int, kind: int, box: np.ndarray) -> Seen | None:
        """Return whoever vanished most recently where an object is, else whom its track was; None if it is new."""
        here = [one for one in free if one.kind == kind and overlap(one.box, box) >= SAME]
        own = [one for one in free if one.track == track]
        return max(here, key=lambda one: (one.time, overlap(one.box, box)), default=None) or next(iter(own), None)

    def _new(self, track: int) -> Seen:
        """Return an object with the number of its track, or the next free one."""
        taken = {one.number for one in self._seen}
        number = next(number for number in count(track) if number not in taken)
        one = Seen(number, track, 0.0, 0, np.zeros(4))
        self._seen.append(one)
        return one
