"""What stands behind the objects of a road scene: sky, houses, trees and the road."""

import numpy as np

from metafusion_yolo.prepare.synthetic.scene import GLASS, VERGES, WALLS, Canvas, ellipse, limb, rectangle, tinted


def background(rng: np.random.Generator, canvas: Canvas, horizon: float, vanishing: float) -> None:
    """Draw sky, houses, trees and a road that leads to (vanishing, horizon), image heights; the night is cooler."""
    edge, heat = canvas.size[0] / canvas.size[1], rng.uniform(-8, 8) + (84 if canvas.dark else 104)
    sky, haze = tinted(rng, ((95, 145, 210), (150, 165, 180))), tinted(rng, ((205, 215, 225),))
    for row in np.linspace(0, 1, 24, endpoint=False):
        canvas.fill(rectangle(0, row * horizon, edge, (row + 0.06) * horizon), sky + (haze - sky) * row, 22 + 36 * row)
    for _ in range(rng.integers(4, 9)):
        house(rng, canvas, rng.uniform(-0.1, edge), horizon)
    for _ in range(rng.integers(2, 7)):
        tree(rng, canvas, rng.uniform(0, edge), horizon)
    verge, asphalt, half = tinted(rng, VERGES), 97 * rng.uniform(0.85, 1.1), rng.uniform(0.8, 1.25)
    canvas.fill(rectangle(0, horizon, edge, 1.01), verge, heat - 8)
    stripes = [(0.0, half + 0.09, 0.0, (170, 168, 160), heat), (0.0, half, 0.0, (asphalt,) * 3, heat + 12)]
    stripes += [(side * half, 0.015, 0.0, (225, 225, 220), heat + 8) for side in (-0.94, 0.94)]
    stripes += [(0.0, 0.022, 1 / (1.22 + 0.5 * dash), (230, 228, 215), heat + 8) for dash in range(9)]
    for centre, reach, far, colour, temperature in stripes:
        near = 1.05 if far == 0 else 1 / (1 / far - 0.22)
        corners = [(centre + side * reach, depth) for side, depth in ((-1, near), (1, near), (1, far), (-1, far))]
        points = [[vanishing + across * depth, horizon + (1 - horizon) * depth] for across, depth in corners]
        canvas.fill(np.array(points), colour, temperature)


def house(rng: np.random.Generator, canvas: Canvas, x: float, foot: float) -> None:
    """Draw a house with windows, of which some are lit at night and some are warm."""
    columns, rows, step = int(rng.integers(2, 7)), int(rng.integers(2, 6)), rng.uniform(0.04, 0.055)
    wall, glass, heat = tinted(rng, WALLS), tinted(rng, GLASS), rng.uniform(76, 98)
    canvas.fill(rectangle(x, foot + 0.01, x + columns * step, foot - (rows + 0.4) * step), wall, heat)
    for column, row in np.ndindex(columns, rows):
        left, low, lit = x + (column + 0.28) * step, foot - (row + 0.35) * step, canvas.dark and rng.random() < 0.25
        pane, warm = rectangle(left, low, left + 0.45 * step, low - 0.5 * step), 55 if rng.random() < 0.15 else -25
        canvas.fill(pane, (190, 160, 105) if lit else glass, heat + warm, lit)


def tree(rng: np.random.Generator, canvas: Canvas, x: float, foot: float) -> None:
    """Draw a tree: a trunk under a crown of leaves."""
    size, leaves, heat = rng.uniform(0.08, 0.2), tinted(rng, ((60, 95, 50), (85, 100, 55))), rng.uniform(66, 84)
    canvas.fill(limb(x, foot + 0.01, x, foot - 0.6 * size, 0.12 * size), (75, 60, 45), heat + 4)
    for shade in np.linspace(0.7, 1.25, 14):
        dx, dy = rng.normal(0, 0.28 * size, 2)
        leaf = ellipse(x + dx, foot - size + 0.6 * dy, 0.26 * size, 0.2 * size)
        canvas.fill(leaf, leaves * shade, heat + 8 * shade)
