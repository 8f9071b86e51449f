"""The scene of a pair, and the common part of its rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from metafusion_yolo.options.watch import Rule

if TYPE_CHECKING:
    import supervision as sv

    from metafusion_yolo.data.temperatures import Thermogram

FULL = [[0, 0], [1, 0], [1, 1], [0, 1]]

Told = tuple[str, dict[str, Any]]  # what has happened, and more about it


@dataclass
class Scene:
    """What a pair shows.

    Attributes:
        time: Seconds since 1970.
        size: Width and height of the visible image, pixels.
        objects: Tracked objects, boxes in its pixels; where the camera measures, `data` has the "outline" of masks and
            oriented boxes.
        names: Names of the classes.
        images: Images of the cameras that are there, (H, W) or (H, W, 3) uint8.
        thermogram: What the infrared camera measures; None without a unit.
        drift: Remaining shift between the cameras, share of the width; None while it is unknown.
    """

    time: float
    size: tuple[int, int]
    objects: sv.Detections
    names: Mapping[int, str]
    images: dict[str, np.ndarray]
    thermogram: Thermogram | None
    drift: float | None = None

    def of(self, rule: Rule) -> sv.Detections:
        """Return the objects of the classes of a rule."""
        if rule.classes is None:
            return self.objects
        numbers = [number for number, name in self.names.items() if name in rule.classes]
        chosen = np.isin(np.asarray(self.objects.class_id), numbers)
        return self.objects[chosen]  # type: ignore[return-value]

    def describe(self, objects: sv.Detections, i: int) -> dict[str, Any]:
        """Return an object as an event describes it, with temperatures where the infrared camera measures."""
        told: dict[str, Any] = {
            "class": self.names[int(objects.class_id[i])],  # type: ignore[index]
            "confidence": round(float(objects.confidence[i]), 3),  # type: ignore[index]
            "track": int(objects.tracker_id[i]),  # type: ignore[index]
            "box": [round(float(x), 1) for x in objects.xyxy[i]],
        }
        if self.thermogram is not None:
            corners = objects.xyxy[i][[[0, 1], [2, 1], [2, 3], [0, 3]]]
            outline = objects.data["outline"][i] if "outline" in objects.data else corners
            reading = self.thermogram.under(outline)
            told["temperature"] = reading and reading.record(self.thermogram.unit)
        return told


class Watcher(Protocol):
    """The state of a rule, updated with every scene."""

    def see(self, scene: Scene) -> Iterator[Told]:
        """Update with a scene; yield events."""

    @property
    def state(self) -> Any:
        """State to keep over a restart, as JSON values."""

    @state.setter
    def state(self, state: Any) -> None: ...


class Lasting:
    """A condition that begins once it has held for some seconds, and ends once it has not held for as long."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.on = seconds, False
        self._since: float | None = None

    def changes(self, holds: bool, now: float) -> bool:
        """Return whether it begins or ends now."""
        if holds == self.on:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < self.seconds:
            return False
        self.on, self._since = holds, None
        return True


def corners(points: list[Any], size: tuple[int, int]) -> np.ndarray:
    """Return points (P, 2), given as shares of an image, in pixels."""
    return np.rint(np.array(points) * size).astype(int)


def zone_of(rule: Rule, size: tuple[int, int]) -> sv.PolygonZone:
    """Return the zone of a rule, the whole image without one; an object is where its box touches the ground."""
    import supervision as sv

    return sv.PolygonZone(corners(rule.zone or FULL, size), triggering_anchors=(sv.Position.BOTTOM_CENTER,))


def overlap(first: Any, second: Any) -> float:
    """Return the overlap (IoU) of two boxes x1, y1, x2, y2."""
    from supervision import box_iou_batch

    return float(box_iou_batch(np.array([first], np.float32), np.array([second], np.float32))[0, 0])
