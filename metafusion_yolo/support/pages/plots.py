"""Plots of the reports: SVG that takes its colours from the style sheet of the page, light or dark."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Protocol

import numpy as np

WIDTH, HEIGHT = 360, 190  # units of the drawing; about pixels on a phone
LEFT, RIGHT, TOP, BOTTOM = 74, 16, 8, 34  # margins for the scales
LINE = 26  # height of an interval
KEY = 14  # height of the names of lines


class Interval(Protocol):
    """A value and how sure it is, as numbers and in words."""

    @property
    def value(self) -> float:
        """The value."""

    @property
    def low(self) -> float:
        """Its lower end."""

    @property
    def high(self) -> float:
        """Its upper end."""

    @property
    def text(self) -> str:
        """The value."""

    @property
    def range(self) -> str:
        """The interval."""


def histogram(series: Mapping[str, Sequence[float] | np.ndarray], edges: Sequence[float], label: str) -> str:
    """Draw how often values fall between edges, the series side by side.

    Args:
        series: Values by name of the series, which is the class of its bars too; values beyond the edges count as the
            outermost.
        edges: Ascending limits of the bins, drawn equally wide, with a number below every limit that has room.
        label: What the values are, with their unit.

    Returns:
        An `<svg>` element.
    """
    counts = {
        name: np.histogram(np.clip(values, edges[0], np.nextafter(edges[-1], edges[0])), edges)[0]
        for name, values in series.items()
    }
    top = max(1, *(int(c.max(initial=0)) for c in counts.values()))
    step = (WIDTH - LEFT - RIGHT) / (len(edges) - 1)
    slot = step * 0.9 / max(1, len(counts))
    parts = []
    for k, (name, count) in enumerate(counts.items()):
        for i, n in enumerate(count.tolist()):
            height = (HEIGHT - TOP - BOTTOM) * n / top
            x, y = LEFT + i * step + step * 0.05 + k * slot, HEIGHT - BOTTOM - height
            tip = f"{edges[i]:g} to {edges[i + 1]:g}: {n} ({name})"
            parts.append(
                f'<rect class="{escape(name)}" x="{x:.1f}" y="{y:.1f}" width="{slot:.1f}" height="{height:.1f}">'
                f"<title>{escape(tip)}</title></rect>"
            )
    every = max(1, round(len(edges) / 9))
    ticks = [(LEFT + i * step, f"{edge:g}") for i, edge in enumerate(edges) if i % every == 0]
    return _frame(parts, ticks, [(HEIGHT - BOTTOM, "0"), (TOP, f"{top}")], label)


def scatter(
    points: Mapping[str, Sequence[tuple[float, float]] | np.ndarray], reach: float, circle: float, label: str
) -> str:
    """Draw points around the middle, in a square of -reach to reach, with a circle.

    Args:
        points: (x, y) by name of the series, which is the class of its points too; y points down, as in images.
        reach: Largest coordinate drawn; points beyond lie on the border.
        circle: Radius of the circle.
        label: What the coordinates are, with their unit.

    Returns:
        An `<svg>` element.
    """
    half = (HEIGHT - TOP - BOTTOM) / 2
    cx, cy = LEFT + (WIDTH - LEFT - RIGHT) / 2, TOP + half
    parts = [
        f'<path class="axis" d="M{cx - half} {cy}h{2 * half}M{cx} {cy - half}v{2 * half}"/>',
        f'<circle class="limit" cx="{cx}" cy="{cy}" r="{half * circle / reach:.1f}"/>',
    ]
    for name, series in points.items():
        for x, y in np.clip(np.reshape(series, (-1, 2)), -reach, reach) * (half / reach):
            parts.append(f'<circle class="{escape(name)}" cx="{cx + x:.1f}" cy="{cy + y:.1f}" r="2.5"/>')
    ticks = [(cx - half, f"{-reach:g}"), (cx, "0"), (cx + half, f"{reach:g}")]
    return _frame(parts, ticks, [(TOP, f"{-reach:g}"), (cy, "0"), (cy + half, f"{reach:g}")], label)


def intervals(estimates: Mapping[str, Interval], label: str, zero: bool = False) -> str:
    """Draw values with their intervals, one per line.

    Args:
        estimates: By name of the line.
        label: What the values are, with their unit.
        zero: Whether 0 is to be on the scale, with a line.

    Returns:
        An `<svg>` element, coloured by the style sheet of the page.
    """
    values = [v for e in estimates.values() for v in (e.low, e.high)] + ([0.0] if zero else [])
    low, high = min(values), max(values)
    margin = max(0.05 * (high - low), 0.5)
    low, high = low - margin, high + margin
    height = TOP + LINE * len(estimates) + BOTTOM

    def place(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    parts = [f'<path class="limit" d="M{place(0):.1f} {TOP}V{height - BOTTOM}"/>'] if zero else []
    for i, (name, e) in enumerate(estimates.items()):
        y = TOP + LINE * (i + 0.5)
        parts.append(
            f'<g class="estimate"><title>{escape(name)}: {e.text} ({e.range})</title>'
            f'<path d="M{place(e.low):.1f} {y}H{place(e.high):.1f}"/>'
            f'<circle cx="{place(e.value):.1f}" cy="{y}" r="4"/></g>'
        )
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100) if (high - low) / s <= 8)
    first, last = int(-(-low // step)), int(high // step)
    across = [(place(tick * step), f"{tick * step:g}") for tick in range(first, last + 1)]
    upward = [(TOP + LINE * (i + 0.5), name) for i, name in enumerate(estimates)]
    return _frame(parts, across, upward, label, height)


def lines(series: Mapping[str, Sequence[tuple[float, float]]], label: str) -> str:
    """Draw lines through points, with their names above.

    Args:
        series: (x, y) by name of the line, x ascending; values that are no numbers are left out.
        label: What x is, and y if its name does not tell it.

    Returns:
        An `<svg>` element, coloured by the style sheet of the page.
    """
    known = {name: [p for p in points if np.isfinite(p).all()] for name, points in series.items()}
    xs, ys = np.array([p for points in known.values() for p in points] or [(0.0, 0.0)]).T
    left, right = xs.min(), max(xs.max(), xs.min() + 1e-9)
    low, high = min(0.0, ys.min()), max(ys.max(), ys.min() + 1e-9)
    top = TOP + KEY
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts, start = [], float(LEFT)
    for i, (name, points) in enumerate((name, points) for name, points in known.items() if points):
        at = [(LEFT + width * (x - left) / (right - left), top + height * (high - y) / (high - low)) for x, y in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        mark = f'<circle cx="{at[0][0]:.1f}" cy="{at[0][1]:.1f}" r="3"/>' if len(at) == 1 else ""
        parts.append(f'<g class="line line{i % 6}"><title>{escape(name)}</title><path d="M{path}"/>{mark}</g>')
        parts.append(f'<text class="line{i % 6}" x="{start:.0f}" y="{TOP + 4}">{escape(name)}</text>')
        start += 6.2 * len(name) + 12
    across = [(LEFT + width * k / 4, f"{left + (right - left) * k / 4:.3g}") for k in range(5)]
    upward = [(top + height * (1 - k / 2), f"{low + (high - low) * k / 2:.3g}") for k in range(3)]
    return _frame(parts, across, upward, label, HEIGHT + KEY)


def _frame(
    parts: list[str], across: list[tuple[float, str]], upward: list[tuple[float, str]], label: str, height: int = HEIGHT
) -> str:
    """Put the scales around a drawing."""
    base = height - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>', *parts]
    parts += [f'<text x="{x:.1f}" y="{base + 13}" text-anchor="middle">{text}</text>' for x, text in across]
    parts += [f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>' for y, text in upward]
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 5}" text-anchor="middle">{escape(label)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
