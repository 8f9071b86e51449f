"""Temperatures under the boxes of a pair, in the pixels of the thermal camera; with NumPy and OpenCV only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np

from metafusion_yolo.data.registration import Size
from metafusion_yolo.data.thermal import SIGNS, Limits, Thermal, percentiles
from metafusion_yolo.support.drawing import colored

AROUND = 2.0  # size of the outline whose rest, outside the object, is its surroundings
COLORS = cv2.COLORMAP_INFERNO  # as thermal cameras show heat
NO_DATA = 128, 128, 128  # grey, which is none of them
FAR_OFF = 0.25  # of the span of all but a thousandth of the pixels, from which the rest is left out of a colour bar


class Reading(NamedTuple):
    """Temperatures of one object, in the unit of the data set.

    Attributes:
        minimum: Over the thermal pixels whose centres lie inside the outline, like the next two.
        mean: See above.
        maximum: See above.
        contrast: Mean minus the median of what is around the object; None if nothing is.
        hot: (x, y) of the hottest pixel, in pixels of the visible image, as boxes are.
        hot_infrared: (column, row) of the same pixel in the thermal image.
    """

    minimum: float
    mean: float
    maximum: float
    contrast: float | None
    hot: tuple[float, float]
    hot_infrared: tuple[int, int]

    def record(self, unit: str, size: Size = (1, 1), decimals: int = 2) -> dict[str, Any]:
        """Return plain values; with the size of the visible image, the place of the hottest pixel is relative to it."""
        place = {axis: round(at / over, 5) for axis, at, over in zip("xy", self.hot, size, strict=True)}
        values = {"min": self.minimum, "mean": self.mean, "max": self.maximum, "contrast": self.contrast}
        told = {key: None if value is None else round(value, decimals) for key, value in values.items()}
        return {**told, "hot": place, "unit": unit}


@dataclass(frozen=True)
class Thermogram:
    """The measurement of a pair.

    Attributes:
        counts: (h, w), as the thermal camera gave them.
        thermal: What they mean; it has a unit.
        homography: (3, 3), from pixels of the thermal to those of the visible image; centres are whole numbers.
    """

    counts: np.ndarray
    thermal: Thermal
    homography: np.ndarray

    @property
    def unit(self) -> str:
        """The unit of all temperatures, "celsius" or "kelvin"."""
        return str(self.thermal.unit)

    @property
    def sign(self) -> str:
        """The sign of the unit."""
        return SIGNS[self.unit]

    @cached_property
    def extremes(self) -> Limits | None:
        """Lowest and highest temperature; None if the image has no data."""
        finite = self.counts[np.isfinite(self.counts)]
        if not finite.size:
            return None
        return float(self.thermal.temperatures(finite.min())), float(self.thermal.temperatures(finite.max()))

    @cached_property
    def limits(self) -> Limits:
        """The temperatures that a colour bar shows: the fixed range, else the extremes without a few far-off pixels."""
        low, high = self.thermal.range or self.extremes or (0.0, 0.0)
        if not self.thermal.range and high > low:
            most = map(self.thermal.temperatures, percentiles(self.counts[np.isfinite(self.counts)]))
            cold, hot = map(float, most)
            near = FAR_OFF * (hot - cold)
            low, high = cold if low < cold - near else low, hot if high > hot + near else high
        return low, max(high, low + 0.1)

    def under(self, outline: np.ndarray) -> Reading | None:
        """Return the temperatures within an outline.

        Where it is smaller than a pixel of the thermal camera, that pixel is taken.

        Args:
            outline: (P, 2), corners of a box, an oriented box or a mask, in pixels of the visible image as boxes are:
                the first pixel reaches from 0 to 1.

        Returns:
            None if the thermal camera does not see it, or has no data there.
        """
        outline = np.asarray(outline, np.float64).reshape(-1, 2)
        centre = (outline.min(0) + outline.max(0)) / 2
        inner, outer = (self._to_infrared(points) for points in (outline, centre + AROUND * (outline - centre)))
        size = np.array(self.counts.shape[::-1])
        low = np.floor(np.minimum(inner.min(0), outer.min(0))).clip(0, size).astype(int)
        high = (np.ceil(np.maximum(inner.max(0), outer.max(0))) + 1).clip(0, size).astype(int)
        if (high <= low).any():
            return None
        window = self.thermal.temperatures(self.counts[low[1] : high[1], low[0] : high[0]].astype(np.float64))
        inside = _inside(inner - low, window.shape)
        around = _inside(outer - low, window.shape) & ~inside & np.isfinite(window)
        if not inside.any():
            column, row = np.round(self._to_infrared(centre[None])[0] - low).astype(int)
            if not (0 <= column < window.shape[1] and 0 <= row < window.shape[0]):
                return None
            inside[row, column] = True
            around[row, column] = False
        inside &= np.isfinite(window)
        if not inside.any():
            return None
        values = window[inside]
        row, column = np.unravel_index(np.where(inside, window, -np.inf).argmax(), window.shape)
        spot = int(low[0] + column), int(low[1] + row)
        hot = cv2.perspectiveTransform(np.array([[spot]], np.float64), self.homography)[0, 0] + 0.5
        contrast = float(values.mean() - np.median(window[around])) if around.any() else None
        return Reading(
            float(values.min()),
            float(values.mean()),
            float(values.max()),
            contrast,
            (float(hot[0]), float(hot[1])),
            spot,
        )

    def _to_infrared(self, points: np.ndarray) -> np.ndarray:
        """Return points (P, 2) of the visible image, as boxes have them, in pixels of the thermal one."""
        back = np.linalg.inv(self.homography)
        return np.asarray(cv2.perspectiveTransform((points - 0.5)[None], back)[0])

    def colours(self, temperatures: np.ndarray) -> np.ndarray:
        """Return temperatures (h, w) as colours (h, w, 3) uint8, B, G, R, over :attr:`limits`; no data is grey."""
        low, high = self.limits
        relative = np.nan_to_num((temperatures - low) / (high - low), nan=0.0)
        coloured = colored(relative, COLORS)
        coloured[~np.isfinite(temperatures)] = NO_DATA
        return coloured

    def picture(self, size: Size) -> np.ndarray:
        """Return the measurement in colours, registered to a visible image of this (width, height)."""
        coloured = self.colours(self.thermal.temperatures(self.counts.astype(np.float64)))
        return np.asarray(
            cv2.warpPerspective(coloured, self.homography, size, flags=cv2.INTER_LINEAR, borderValue=NO_DATA)
        )


def _inside(outline: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return which pixel centres of an image (h, w) an outline (P, 2) holds, by the parity of its edges to the left."""
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None]
    within = np.zeros(shape, bool)
    for (x, y), (to_x, to_y) in zip(outline, np.roll(outline, -1, 0), strict=True):
        if y != to_y:
            crossed = (rows >= min(y, to_y)) & (rows < max(y, to_y))
            within ^= crossed & (columns >= x + (rows - y) * (to_x - x) / (to_y - y))
    return within
