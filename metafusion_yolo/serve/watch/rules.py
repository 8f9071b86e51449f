"""Rules for tracked objects (zones, lines, counts, by supervision) and for the cameras themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metafusion_yolo.data.alignment import FAR
from metafusion_yolo.options.watch import Rule
from metafusion_yolo.serve.watch.same import REMEMBERED
from metafusion_yolo.serve.watch.scene import FULL, Lasting, Scene, Told, Watcher, corners, zone_of
from metafusion_yolo.serve.watch.tampering import Familiar

if TYPE_CHECKING:
    import supervision as sv

AWAY = 1.0  # seconds outside a zone after which a visit is over, so that one at its edge is reported once


@dataclass
class Visit:
    """An object in a zone: when it came, when it was last inside, and whether an event was sent."""

    since: float
    inside: float
    told: bool = False


class Visits:
    """`enters` and `stays`: an object is in a zone, for some seconds; one event per visit.

    Who is the same over a gap or a restart, :class:`Identities` has decided.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._zone: sv.PolygonZone | None = None
        self._visits: dict[int, Visit] = {}  # by number of the object

    def see(self, scene: Scene) -> Iterator[Told]:
        """See :class:`Watcher`."""
        self._zone = self._zone or zone_of(self._rule, scene.size)
        objects, now = scene.of(self._rule), scene.time
        self._visits = {number: visit for number, visit in self._visits.items() if now - visit.inside < REMEMBERED}
        numbers = objects.tracker_id.tolist()  # type: ignore[union-attr]
        for i, (number, inside) in enumerate(zip(numbers, self._zone.trigger(objects), strict=True)):
            visit = self._visits.get(number)
            if inside:
                visit = self._visits.setdefault(number, Visit(now, now))
                visit.inside = now
                if not visit.told and now - visit.since >= self._rule.holds:
                    visit.told = True
                    word = "entered" if self._rule.when == "enters" else "stayed"
                    yield word, {**scene.describe(objects, i), "seconds": round(now - visit.since, 1)}
            elif visit and now - visit.inside > AWAY:
                del self._visits[number]

    @property
    def state(self) -> dict[str, Any]:
        """The visits by number."""
        return {str(number): asdict(visit) for number, visit in self._visits.items()}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._visits = {int(number): Visit(**visit) for number, visit in state.items()}


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
        """Their usual view is not stored: it is learned again after a restart."""


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
