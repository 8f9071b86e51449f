"""Recognises objects to which a tracker gives a new number, even after a restart of the service."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metafusion_yolo.serve.watch.scene import overlap

if TYPE_CHECKING:
    import supervision as sv

REMEMBERED = 30.0  # seconds for which an object that has vanished is known again ...
SAME = 0.3  # ... where a box overlaps (IoU) with its last one
OVERLOOKED = 3.0  # seconds for which a detector may overlook one who is there; longer ago: gone before the restart


@dataclass
class Seen:
    """An object as it was last seen: its number here and in the tracker, when, its class and its box."""

    number: int
    time: float
    kind: int
    box: list[float]
    track: int | None = None


class Identities:
    """Object numbers that outlast those of a tracker and are never given twice.

    A tracker loses an object that moves far between two results, takes one that comes for one who stood there before,
    and begins anew with its process. So a track that was not in the last result goes on with whoever has vanished most
    recently where it is.

    Args:
        state: The `state` of an earlier one, when the tracker starts over.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        state = state or {"numbers": 0, "there": []}
        self._numbers = int(state["numbers"])
        self._seen = [Seen(**one) for one in state["there"]]
        self._last = max((one.time for one in self._seen), default=0.0)

    @property
    def state(self) -> dict[str, Any]:
        """State to keep over a restart, as JSON values: the last number, and who was there at the end.

        Who had gone is left out: nobody sees who comes to that place meanwhile, and would pass for who has gone.
        """
        there = [one for one in self._seen if self._last - one.time < OVERLOOKED]
        return {"numbers": self._numbers, "there": [asdict(one) | {"track": None} for one in there]}

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
        for track, box, kind in zip(tracks, objects.xyxy.tolist(), objects.class_id.tolist(), strict=True):  # type: ignore[union-attr]
            one = going_on.get(track) or self._known(free, track, kind, box) or self._new()
            free = [other for other in free if other is not one]
            going_on[track] = one
            one.track, one.time, one.kind, one.box = track, now, kind, box
        for other in free:
            other.track = None if other.track in tracks else other.track
        self._last = now
        told = objects[np.arange(len(tracks))]  # a copy
        told.tracker_id = np.array([going_on[track].number for track in tracks], int)  # type: ignore[union-attr]
        return told  # type: ignore[return-value]

    def _known(self, free: list[Seen], track: int, kind: int, box: list[float]) -> Seen | None:
        """Return the object that vanished last in this place, else the one of this track; None if it is new."""
        here = [one for one in free if one.kind == kind and overlap(one.box, box) >= SAME]
        own = [one for one in free if one.track == track]
        return max(here, key=lambda one: (one.time, overlap(one.box, box)), default=None) or next(iter(own), None)

    def _new(self) -> Seen:
        """Return an object with the next number."""
        self._numbers += 1
        one = Seen(self._numbers, 0.0, 0, [])
        self._seen.append(one)
        return one
