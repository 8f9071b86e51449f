"""Rules for tracked objects (zones, lines, counts, by supervision) and for the cameras themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metafusion_yolo.data.alignment import FAR
from metafusion_yolo.options.watch import Rule
from metafusion_yolo.serve.watch.same import REMEMBERED, SAME
from metafusion_yolo.serve.watch.scene import FULL, Lasting, Scene, Told, Watcher, corners, overlap, zone_of
from metafusion_yolo.serve.watch.tampering import Familiar

if TYPE_CHECKING:
    import supervision as sv

AWAY = 1.0  # seconds outside a zone after which a visit is over, so that one at its edge is told once


@dataclass
class Visit:
    """An object in a zone.

    Attributes:
        since: When it came.
        seen: When it was last seen.
        inside: When it was last inside.
        kind: Number of its class.
        box: Its last box, x1, y1, x2, y2.
        told: Whether an event was sent.
        track: Its number, as long as the tracker knows it.
    """

    since: float
    seen: float
    inside: float
    kind: int
    box: list[float]
    told: bool = False
    track: int | None = None


class Visits:
    """`enters` and `stays`: an object is in a zone, for some seconds; one event per visit.

    A visit continues when the tracker gives the object a new number, and after a restart.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._zone: sv.PolygonZone | None = None
        self._visits: dict[int, Visit] = {}  # by track
        self._lost: list[Visit] = []  # of tracks that are gone

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`."""
        self._zone = self._zone or zone_of(self._rule, scene.size)
        objects, now = scene.of(self._rule), scene.time
        tracks = [int(track) for track in objects.tracker_id]  # type: ignore[union-attr]
        for track in self._visits.keys() - {*tracks}:
            if now - self._visits[track].seen > AWAY:
                self._lost.append(self._visits.pop(track))
        self._lost = [visit for visit in self._lost if now - visit.seen < REMEMBERED]
        for i, (track, inside) in enumerate(zip(tracks, self._zone.trigger(objects), strict=True)):
            box, kind = objects.xyxy[i], int(objects.class_id[i])  # type: ignore[index]
            visit = self._visits.get(track)
            if inside and visit is None:
                visit = self._visits[track] = self._known(track, box, kind, tracks) or Visit(now, now, now, kind, [])
            if visit is None:
                continue
            visit.track = track
            visit.seen, visit.inside = now, now if inside else visit.inside
            visit.box = [round(float(x), 1) for x in box]
            if now - visit.inside > AWAY:
                del self._visits[track]
            elif inside and not visit.told and now - visit.since >= self._rule.holds:
                visit.told = True
                word = "entered" if self._rule.when == "enters" else "stayed"
                yield word, {**scene.describe(objects, i), "seconds": round(now - visit.since, 1)}

    def _known(self, track: int, box: np.ndarray, kind: int, tracks: Sequence[int]) -> Visit | None:
        """Return the visit that an object continues: its own, or that of one that vanished there; None if new."""
        gone = {number: visit for number, visit in self._visits.items() if number not in tracks}
        lost = [visit for visit in (*self._lost, *gone.values()) if visit.kind == kind and visit.box]
        best = max(lost, key=lambda visit: (visit.track == track, overlap(visit.box, box)), default=None)
        if best is None or (best.track != track and overlap(best.box, box) < SAME):
            return None
        self._lost = [visit for visit in self._lost if visit is not best]
        self._visits = {number: visit for number, visit in self._visits.items() if visit is not best}
        return best

    @property
    def state(self) -> list[dict[str, Any]]:
        """The objects in the zone, or there when last seen."""
        return [asdict(visit) for visit in (*self._lost, *self._visits.values())]

    @state.setter
    def state(self, state: list[dict[str, Any]]) -> None:
        self._visits, self._lost = {}, [Visit(**{**visit, "track": None}) for visit in state]  # numbers begin anew


class Crossings:
    """`crosses`: an object moves across a line."""

    state: Any = None

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._line: sv.LineZone | None = None

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`."""
        import supervision as sv

        if self._line is None:
            start, end = (sv.Point(*map(int, point)) for point in corners(self._rule.line or [], scene.size))
            self._line = sv.LineZone(start, end, triggering_anchors=(sv.Position.BOTTOM_CENTER,))
        objects = scene.of(self._rule)
        for way, crossed in zip(("in", "out"), self._line.trigger(objects), strict=True):
            for i in np.flatnonzero(crossed):
                yield "crossed", {**scene.describe(objects, int(i)), "direction": way}


class _Condition:
    """A lasting condition as a rule."""

    def __init__(self, rule: Rule) -> None:
        self._rule, self._lasting = rule, Lasting(rule.holds)

    @property
    def state(self) -> bool:
        """Whether the event was sent."""
        return self._lasting.on

    @state.setter
    def state(self, state: bool) -> None:
        self._lasting.on = state


class Counts(_Condition):
    """`counts`: there are more objects than allowed."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._zone: sv.PolygonZone | None = None

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`."""
        self._zone = self._zone or zone_of(self._rule, scene.size)
        count = int(self._zone.trigger(scene.of(self._rule)).sum())
        if self._lasting.changes(count > (self._rule.more_than or 0), scene.time):
            yield "crowded" if self._lasting.on else "cleared", {"count": count}


class Hot(_Condition):
    """`hot`: the hottest spot is above a temperature."""

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`; a scene without the infrared camera says nothing."""
        if scene.thermogram is None:
            return
        reading = scene.thermogram.under(corners(self._rule.zone or FULL, scene.size))
        if reading and self._lasting.changes(reading.maximum > (self._rule.above or 0), scene.time):
            spot = [round(x, 1) for x in reading.hot]
            more = {"temperature": round(reading.maximum, 2), "unit": scene.thermogram.unit, "spot": spot}
            yield "hot" if self._lasting.on else "cooled", more


class Drifted(_Condition):
    """`drifted`: the cameras no longer line up."""

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`; edges that do not tell it say nothing."""
        if scene.drift is not None and self._lasting.changes(scene.drift > FAR, scene.time):
            pixels = round(scene.drift * scene.size[0], 1)
            yield "drifted" if self._lasting.on else "aligned", {"pixels": pixels}


class Tampered:
    """`tampered`: a camera no longer shows its usual view."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._cameras: dict[str, tuple[Familiar, Lasting]] = {}

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`."""
        for camera, image in scene.images.items():
            familiar, lasting = self._cameras.setdefault(camera, (Familiar(), Lasting(self._rule.holds)))
            if lasting.changes(familiar.strange(image, scene.time), scene.time):
                familiar.hold(lasting.on, scene.time)
                yield "tampered" if lasting.on else "restored", {"camera": camera}

    @property
    def state(self) -> list[str]:
        """The cameras that are tampered with."""
        return [camera for camera, (_, lasting) in self._cameras.items() if lasting.on]

    @state.setter
    def state(self, state: list[str]) -> None:
        """Their usual view is not stored: it is learned anew after a restart."""


class Lost:
    """`lost`: a camera sends nothing, which the stream reports."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._cameras: dict[str, Lasting] = {}

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`."""
        return iter(())

    def check(self, missing: Mapping[str, bool], now: float) -> Iterator[Told]:
        """Update the missing cameras; yield events."""
        for camera, gone in missing.items():
            lasting = self._cameras.setdefault(camera, Lasting(self._rule.holds))
            if lasting.changes(gone, now):
                yield "lost" if lasting.on else "back", {"camera": camera}

    @property
    def state(self) -> list[str]:
        """The cameras that are lost."""
        return [camera for camera, lasting in self._cameras.items() if lasting.on]

    @state.setter
    def state(self, state: list[str]) -> None:
        for camera in state:
            self._cameras[camera] = Lasting(self._rule.holds)
            self._cameras[camera].on = True


KINDS: dict[str, type[Any]] = {
    "enters": Visits,
    "stays": Visits,
    "crosses": Crossings,
    "counts": Counts,
    "hot": Hot,
    "lost": Lost,
    "tampered": Tampered,
    "drifted": Drifted,
}


def watcher_of(rule: Rule) -> Watcher:
    """Return the watcher of a rule."""
    made: Watcher = KINDS[rule.when](rule)
    return made
