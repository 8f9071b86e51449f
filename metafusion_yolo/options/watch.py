"""What the YAML of `metafusion serve config.yaml` says: pairs of cameras, rules, and where events go."""

from dataclasses import dataclass
from typing import Any

from metafusion_yolo.options import LAYOUTS
from metafusion_yolo.options.fields import REQUIRED, Checked, option
from metafusion_yolo.support.errors import UserTypeError, UserValueError

NEEDS = {  # what a kind of rule must be given ...
    "enters": ("zone",),
    "stays": ("zone", "seconds"),
    "crosses": ("line",),
    "counts": ("more_than",),
    "hot": ("above",),
    "lost": (),
    "tampered": (),
    "drifted": (),
}
MAY = {  # ... and what it may be given as well
    "enters": ("classes", "seconds"),
    "stays": ("classes",),
    "crosses": ("classes",),
    "counts": ("classes", "zone", "seconds"),
    "hot": ("zone", "seconds"),
    "lost": ("seconds",),
    "tampered": ("seconds",),
    "drifted": ("seconds",),
}
SECONDS = {
    "enters": 0.0,
    "counts": 1.0,
    "hot": 1.0,
    "lost": 2.0,
    "tampered": 3.0,
    "drifted": 10.0,
}  # where none are given


@dataclass(frozen=True)
class Rule(Checked):
    """When an event is sent. Points are shares of the width and height of the visible image, 0 to 1."""

    when: str = option(REQUIRED, "what the rule reports", choices=tuple(NEEDS))
    zone: list[Any] | None = option(None, "corners [x, y] of a zone, three or more")
    line: list[Any] | None = option(
        None, "two points [x, y]; towards the left of someone walking from the first to the second is 'in'"
    )
    classes: list[Any] | None = option(None, "names of the classes it is about", shown="all")
    seconds: float | None = option(None, "for how many seconds it must hold", least=0)
    more_than: int | None = option(None, "largest number of objects that is allowed", least=0)
    above: float | None = option(None, "highest temperature that is allowed, in the unit of the data-set YAML")

    def __post_init__(self) -> None:
        """Check what the kind needs, and the points."""
        super().__post_init__()
        given = {key for key, value in vars(self).items() if value is not None and key != "when"}
        if missing := [key for key in NEEDS[self.when] if key not in given]:
            raise UserValueError(f"'when: {self.when}' needs '{missing[0]}:'")
        if more := sorted(given - {*NEEDS[self.when], *MAY[self.when]}):
            raise UserValueError(f"'when: {self.when}' does not use '{more[0]}:'; leave it out")
        if self.zone is not None:
            _check_points(self.zone, "zone")
            if len(self.zone) < 3:
                raise UserValueError(f"a zone has three corners or more, this one has {len(self.zone)}")
        if self.line is not None:
            _check_points(self.line, "line")
            if len(self.line) != 2 or self.line[0] == self.line[1]:
                raise UserValueError(f"a line has two different points, [[x, y], [x, y]], not {self.line}")
        for name in self.classes or ():
            if not isinstance(name, str):
                raise UserTypeError(f"'classes:' is a list of names, not of {name!r}")

    @property
    def holds(self) -> float:
        """Seconds for which the condition must hold."""
        return SECONDS.get(self.when, 0.0) if self.seconds is None else self.seconds


def _check_points(points: list[Any], name: str) -> None:
    """Check that all points are pairs of shares."""
    for point in points:
        pair = isinstance(point, list) and len(point) == 2
        if not pair or not all(type(x) in (int, float) and 0 <= x <= 1 for x in point):
            raise UserValueError(f"a point of a {name} is [x, y], shares of the image from 0 to 1, not {point}")


@dataclass(frozen=True)
class CameraPair(Checked):
    """Two cameras of one scene, or a stream that holds both, and their rules."""

    visible: int | str = option(REQUIRED, "address (rtsp://, http://) or number of the visible camera")
    infrared: int | str | None = option(None, "the same for the infrared camera; leave it out with layout:")
    layout: str | None = option(None, "where both are in one stream", choices=LAYOUTS)
    data: str | None = option(None, "data-set YAML of these two cameras", shown="that of the server")
    on_missing: str = option(
        "single", "while a camera is lost: continue with the other one, or skip", choices=("single", "skip")
    )
    sync_tolerance: float = option(50.0, "largest time difference within a pair, milliseconds", least=0)
    sync_offset: float = option(0.0, "milliseconds by which the infrared camera lags")
    tracker: str = option("bytetrack.yaml", "tracker of Ultralytics")
    conf: float = option(0.25, "lowest score of an object", least=0, most=1)
    watchdog: float = option(
        60.0, "seconds without a result, though cameras send, after which it is restarted", least=1
    )
    rules: dict[Any, Any] | None = option(None, "rules by name")

    def __post_init__(self) -> None:
        """Check that there are two cameras, or a layout."""
        super().__post_init__()
        for side in ("visible", "infrared"):
            address = getattr(self, side)
            if isinstance(address, str) and not address.isdigit() and "://" not in address:
                raise UserValueError(
                    f"'{side}: {address}' is not a camera, expected an address such as rtsp://host/path, or a number"
                )
        if (self.infrared is None) == (self.layout is None):
            raise UserValueError("give 'infrared:', or 'layout:' if 'visible:' holds both cameras")


@dataclass(frozen=True)
class Events(Checked):
    """Where events go, and the clips beside them. Files are relative to the folder of the YAML."""

    outbox: str = option("events.db", "SQLite file that keeps events until they have been delivered")
    stdout: bool = option(False, "write one line of JSON per event to stdout")
    file: str | None = option(None, "file that lines of JSON are added to")
    webhook: str | None = option(None, "address that each event is posted to, signed")
    secret: str | None = option(None, "secret of the signature, base64 as by `openssl rand -base64 32`")
    mqtt: str | None = option(None, "broker, mqtt://[user:password@]host[:port], or mqtts:// for TLS")
    topic: str = option("metafusion/{pair}/{event}", "topic of an event")
    keep: int = option(1000, "how many events and clips are kept", least=1)
    clips: str | None = option("clips", "folder of the clips; none: no clips")
    before: float = option(5.0, "seconds of a clip before its event", least=0, most=60)
    after: float = option(5.0, "seconds of a clip after its last event", least=0, most=60)
