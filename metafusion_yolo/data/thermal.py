"""Thermal counts: what temperatures they mean, and their conversion to the 8-bit plane of a pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from metafusion_yolo.data.registration import sequence_of
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.words import nearest, refuse_unknown

NORMALIZATIONS = ("percentile", "minmax", "fixed", "clahe")
SCOPES = ("auto", "image", "sequence", "follow")
PERCENTILES = (0.1, 99.9)  # of the counts; dead pixels and sun glints are outside
CLAHE_LIMIT, CLAHE_TILES = 2.0, (8, 8)
SEQUENCE_SAMPLE = 32  # images from which the limits of a sequence are taken
FOLLOW = 32  # frames over which limits follow the scene
UNITS = {"celsius": -273.15, "kelvin": 0.0}  # absolute zero in each
SIGNS = {"celsius": "°C", "kelvin": "K"}
SCENE = (120.0, 3800.0)  # kelvin; the median of a scene is colder than the one or hotter than the other only by mistake
MEASURING = ("scale", "offset", "emissivity", "reflected", "distance", "humidity")
LEVELS = 1 << 16  # of 16-bit counts, and of the input to CLAHE, so that it gets all levels

Limits = tuple[float, float]


@dataclass(frozen=True)
class Thermal:
    """How the counts of an infrared image become 8-bit grey: the `thermal:` section of a data-set YAML.

    Attributes:
        normalize: "percentile" stretches deep images between their percentiles 0.1 and 99.9 and does not change 8-bit
            ones; "minmax" stretches between the extremes; "fixed" between the counts of `range`; "clahe" equalizes the
            histogram locally, after percentiles.
        range: Counts that become black and white, for "fixed" only; temperatures if there is a `unit`.
        invert: Whether the camera shows hot as dark (black-hot), so that grey values are inverted; or the sequences in
            which it does: folders of visible images, by their last parts, such as "train/drive-1"; "auto" finds it out
            for each video, live camera and folder of 8 bits, and leaves images in memory as they are.
        scope: Whether limits are taken from each "image", or from the whole "sequence": a folder or a video; "follow"
            lets those of a sequence follow the scene of a video or a live camera; "auto" is "follow" for these, the
            "sequence" for the pages of a TIFF, and the "image" for other files.
        unit: "celsius" or "kelvin" if the camera measures: a temperature is `scale` times a count plus `offset`; None
            if counts have no meaning of their own.
        scale: Degrees a count; None for 1, which counts of 8 bits cannot be.
        offset: Temperature of the count 0.
        emissivity: Of the objects, 0 to 1; replaces the value in a radiometric JPEG, like the next three.
        reflected: Reflected apparent temperature, in the unit.
        distance: Metres.
        humidity: Relative humidity of the air, 0 to 1.

    Raises:
        ValueError: If a value is wrong.
    """

    normalize: str = "percentile"
    range: Limits | None = None
    invert: bool | str | tuple[str, ...] = False
    scope: str = "auto"
    unit: str | None = None
    scale: float | None = None
    offset: float = 0.0
    emissivity: float | None = None
    reflected: float | None = None
    distance: float | None = None
    humidity: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("normalize", NORMALIZATIONS), ("scope", SCOPES)):
            if getattr(self, name) not in known:
                raise UserValueError(
                    f"thermal: {name}: '{getattr(self, name)}' is unknown, {nearest(getattr(self, name), known)}"
                )
        listed = isinstance(self.invert, tuple) and all(isinstance(name, str) and name for name in self.invert)
        if not (isinstance(self.invert, bool) or self.invert == "auto" or listed):
            raise UserValueError(f"thermal: invert must be true, false, auto or a list of folders, not {self.invert!r}")
        if self.invert == "auto" and (self.range or self.unit):
            raise UserValueError("thermal: invert: auto is for counts without a meaning; leave out range and unit")
        if (self.normalize == "fixed") != (self.range is not None):
            raise UserValueError("thermal: range: [low, high] goes with normalize: fixed, and with nothing else")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise UserValueError(f"thermal: range must be [low, high] with low < high, not {list(self.range)}")
        self._check_measuring()

    def _check_measuring(self) -> None:
        """Check the keys that turn counts into temperatures."""
        if self.unit is not None and self.unit not in [*UNITS]:
            raise UserValueError(f"thermal: unit: '{self.unit}' is unknown, {nearest(str(self.unit), UNITS)}")
        values = {name: getattr(self, name) for name in MEASURING}
        given = [name for name, value in values.items() if value is not None and not (name == "offset" and value == 0)]
        for name in given:
            value, most = values[name], 1.0 if name in ("emissivity", "humidity") else math.inf
            number = type(value) in (int, float) and math.isfinite(value)
            if not number or (name not in ("offset", "reflected") and not 0 < value <= most):
                expected = "a number" + ("" if name in ("offset", "reflected") else " above 0")
                expected += " and at most 1" * (most == 1)
                raise UserValueError(f"thermal: {name} must be {expected}, not {value!r}")
        if given and not self.unit:
            raise UserValueError(f"thermal: {given[0]} needs the unit of the temperatures too: unit: celsius or kelvin")
        for name, lowest in (("range", self.range and self.range[0]), ("reflected", self.reflected)):
            if self.unit and lowest is not None and lowest < UNITS[self.unit]:
                told = f"[{self.range[0]:g}, {self.range[1]:g}]" if name == "range" and self.range else f"{lowest:g}"
                raise UserValueError(
                    f"thermal: {name}: {told} goes below absolute zero, "
                    f"{UNITS[self.unit]:g} {self.unit}; give it in the unit of 'unit:'"
                )

    @classmethod
    def from_yaml(cls, section: Any, where: str = "the data-set YAML") -> Thermal:
        """Read the `thermal:` section, None for the defaults.

        Raises:
            ValueError: If a key is unknown or a value wrong.

        Examples:
            >>> Thermal.from_yaml({"normalize": "fixed", "range": [7000, 9000]}).range
            (7000.0, 9000.0)
        """
        if section is None:
            return cls()
        known = [f.name for f in fields(cls)]
        if not isinstance(section, Mapping):
            raise UserValueError(f"'thermal: {section!r}' in {where} must be a mapping; keys: {', '.join(known)}")
        refuse_unknown(section, known, f"under 'thermal:' in {where}")
        values = dict(section)
        if isinstance(values.get("invert"), list):
            values["invert"] = tuple(values["invert"])
        if values.get("range") is not None:
            values["range"] = _limits(values["range"], where)
        try:
            return cls(**values)
        except ValueError as error:
            raise UserValueError(f"{error} (in {where})") from None

    def to_yaml(self) -> dict[str, Any]:
        """Return the section that :meth:`from_yaml` reads."""
        listed = {key: list(value) for key, value in asdict(self).items() if isinstance(value, tuple)}
        section = {**asdict(self), **listed}
        return {key: value for key, value in section.items() if self.unit or key not in ("unit", *MEASURING)}

    @property
    def corrects(self) -> bool:
        """Whether values in radiometric files are replaced."""
        return any(getattr(self, name) is not None for name in MEASURING[2:])

    @property
    def per_image(self) -> bool:
        """Whether each image of a folder has limits of its own."""
        return self.scope in ("image", "auto")

    def over(self, scope: str) -> Thermal:
        """Return a copy with this scope in place of "auto"."""
        return replace(self, scope=scope) if self.scope == "auto" else self

    def temperatures(self, counts: Any) -> Any:
        """Return counts as temperatures in the unit.

        Examples:
            >>> round(float(Thermal(unit="celsius", scale=0.01, offset=-273.15).temperatures(30315)), 6)
            30.0
        """
        return counts * (self.scale or 1.0) + self.offset

    def counts(self, temperatures: Any) -> Any:
        """Return the counts that mean these temperatures."""
        return (temperatures - self.offset) / (self.scale or 1.0)

    @property
    def _fixed(self) -> Limits | None:
        """The counts of `range`."""
        if self.range is None or not self.unit:
            return self.range
        return self.counts(self.range[0]), self.counts(self.range[1])

    def problem(self, counts: np.ndarray) -> str:
        """Return why an image cannot hold such counts as are described; empty if it can."""
        if self.unit and counts.dtype == np.uint8 and self.scale is None:
            return (
                f"the infrared image has 8 bits, which cannot be temperatures; give the image in its full depth, or "
                f"'scale:' and 'offset:' beside 'thermal: unit: {self.unit}'"
            )
        if self.unit and counts.size:
            some = self.temperatures(counts[::8, ::8].astype(np.float64))
            middle = float(np.median(some[np.isfinite(some)])) if np.isfinite(some).any() else 300 + UNITS[self.unit]
            if not SCENE[0] <= middle - UNITS[self.unit] <= SCENE[1]:
                return f"its temperatures would be about {middle:.6g} {self.unit}; {self._remedy(middle)}"
        if self._fixed is None or counts.dtype != np.uint8 or self._fixed[1] <= 255:
            return ""
        low, high = self._fixed
        return (
            f"the infrared image has 8 bits, but 'thermal: range: [{low:g}, {high:g}]' is of counts; give the image in "
            f"its full depth, or another range"
        )

    def _remedy(self, middle: float) -> str:
        """Return what to write instead, if the median of an image would be this temperature."""
        if SCENE[0] <= 0.01 * self.counts(middle) <= SCENE[1]:
            offset = f", offset: {UNITS[self.unit]}" * (self.unit == "celsius")  # type: ignore[index]
            return f"if it counts hundredths of a kelvin, write 'thermal: {{unit: {self.unit}, scale: 0.01{offset}}}'"
        return "write unit, scale and offset of its counts under 'thermal:'"

    def limits(self, counts: np.ndarray) -> Limits:
        """Return the counts that become black and white.

        Args:
            counts: Counts of any shape and number type; values that are not finite are ignored.

        Returns:
            Low and high; equal if all counts are the same, or none is finite.
        """
        if self._fixed is not None:
            return self._fixed
        if counts.dtype == np.uint8 and self.normalize == "percentile":
            return 0.0, 255.0
        finite = counts[np.isfinite(counts)] if counts.dtype.kind == "f" else counts.ravel()
        if not finite.size:
            return 0.0, 0.0
        low, high = (finite.min(), finite.max()) if self.normalize == "minmax" else percentiles(finite)
        if high <= low:  # such as one small hot target on an even background
            low, high = finite.min(), finite.max()
        return float(low), float(high)

    def limits_of(self, images: Iterable[np.ndarray]) -> Limits | None:
        """Return the limits of a sequence from some of its images; None if every image has its own."""
        if self.per_image:
            return None
        samples = [image[::3, ::3] for image in images]  # a ninth of the pixels gives the same percentiles
        if any(sample.dtype != np.uint8 for sample in samples):  # those of 8 bits have a range of their own
            samples = [sample for sample in samples if sample.dtype != np.uint8]
        same = len({sample.dtype for sample in samples}) == 1
        pooled = [sample.ravel() if same else sample.ravel().astype(np.float64) for sample in samples]
        return self.limits(np.concatenate(pooled)) if pooled else None

    def follow(self, before: Limits | None, counts: np.ndarray) -> Limits | None:
        """Return the limits for the next frame of a sequence, given those before it; they change slowly."""
        if self.scope != "follow":
            return before
        if before is None or before[0] >= before[1]:  # the first frame, or one that shows something at last
            return self.limits(counts)
        now, span = self.limits(counts), before[1] - before[0]
        if now[0] >= before[1] or now[1] <= before[0]:  # another scene, or another gain of the camera
            return now
        low, high = (old + min(max(new - old, -span), span) / FOLLOW for old, new in zip(before, now, strict=True))
        return low, high

    def to_uint8(self, counts: np.ndarray, limits: Limits | None = None, file: str | Path | None = None) -> np.ndarray:
        """Stretch an infrared image over the 8-bit range, so that a narrow 14-bit signal keeps its levels.

        Args:
            counts: (H, W), any integer or floating-point type.
            limits: Counts that become black and white; None to take them from the image.
            file: The visible file, whose folder tells whether the sequence is black-hot.

        Returns:
            (H, W) uint8, 0 to 255, hot is bright. A constant deep image becomes 0, like that of a blank camera; values
            that are not finite count as the lowest.

        Examples:
            >>> Thermal().to_uint8(np.array([[7000, 7100], [7200, 7244]], dtype=np.uint16)).tolist()
            [[0, 104], [209, 255]]
        """
        low, high = limits or self.limits(counts)
        if counts.dtype == np.uint8 and (low, high) == (0, 255) and self.normalize != "clahe":
            return self.invert_if_black_hot(counts, file)
        if high <= low:
            return np.zeros(counts.shape, np.uint8)
        depth: type[np.unsignedinteger] = np.uint16 if self.normalize == "clahe" else np.uint8
        if counts.dtype == np.uint16:  # a table is ten times faster
            grey = _stretch(np.arange(LEVELS), low, high, depth)[counts]
        else:
            grey = _stretch(counts, low, high, depth)
        if self.normalize == "clahe":
            grey = (cv2.createCLAHE(CLAHE_LIMIT, CLAHE_TILES).apply(grey) >> 8).astype(np.uint8)
        return self.invert_if_black_hot(grey, file)

    def invert_if_black_hot(self, grey: np.ndarray, file: str | Path | None = None) -> np.ndarray:
        """Return the image with hot as bright; with `invert`, a constant image becomes 0."""
        listed = isinstance(self.invert, tuple) and sequence_of(file, self.invert) is not None
        return turned(grey) if self.invert is True or listed else grey


def turned(grey: np.ndarray) -> np.ndarray:
    """Return the negative of an image (H, W) uint8; a constant one, as of a blank camera, becomes 0."""
    return np.zeros_like(grey) if grey.size and grey.min() == grey.max() else 255 - grey


def _stretch(counts: np.ndarray, low: float, high: float, depth: type[np.unsignedinteger]) -> np.ndarray:
    """Return counts stretched over the range of an integer type; values that are not finite count as `low`."""
    top = float(np.iinfo(depth).max)
    values = np.nan_to_num(counts.astype(np.float64), copy=False, nan=low, posinf=low, neginf=low)
    return np.clip((values - low) * (top / (high - low)) + 0.5, 0, top).astype(depth)


def percentiles(counts: np.ndarray) -> np.ndarray:
    """Return the `PERCENTILES` of counts (N,), as NumPy does; for 16-bit counts by a histogram, which is faster."""
    if counts.dtype != np.uint16:
        return np.percentile(counts, PERCENTILES)
    position = np.array(PERCENTILES) / 100 * (counts.size - 1)
    up_to = np.bincount(counts).cumsum()
    below, above = (np.searchsorted(up_to, rank, side="right") for rank in (np.floor(position), np.ceil(position)))
    return below + (above - below) * (position % 1)


def _limits(value: Any, where: str) -> Limits:
    """Return a `range:` as two floats."""
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(v) in (int, float) for v in value):
        low, high = map(float, value)
        if math.isfinite(low) and math.isfinite(high):
            return low, high
    raise UserValueError(f"thermal: range must be [low, high], two numbers, not {value!r} (in {where})")
