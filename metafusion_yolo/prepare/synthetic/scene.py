"""Drawing of road scenes as a visible and an infrared camera see them; what stands where is not decided here.

Positions are in image heights from the top left corner, shapes in metres from the point where they touch the ground
(x to the right, y up). Visible colours are R, G, B in [0, 255]; temperatures are white-hot grey levels in [0, 255].
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

Colour = Sequence[float] | np.ndarray

ASPECT = 1.25  # width over height
MAX_COVERED = 0.15  # largest share of a box that another may cover, hence IoU <= 0.15 / 1.85 < 0.1
CIRCLE = np.stack([np.cos(np.arange(24) * np.pi / 12), np.sin(np.arange(24) * np.pi / 12)], 1)
DAY = np.ones(3)
NIGHT = np.array([0.13, 0.14, 0.19])  # light of the night sky, per channel, as a share of daylight
LAMPLIGHT = np.array([0.78, 0.73, 0.62])  # light on an object that the visible camera sees at night
SHIRTS = ((200, 45, 40), (40, 80, 190), (235, 235, 230), (235, 190, 50), (50, 150, 80), (225, 110, 40), (150, 70, 160))
SKINS = ((225, 180, 150), (150, 105, 80), (95, 65, 50))
TROUSERS = ((35, 40, 70), (25, 25, 28), (150, 125, 85), (65, 85, 125), (200, 195, 185))
PAINTS = ((225, 225, 222), (180, 25, 30), (30, 70, 165), (235, 180, 30), (190, 196, 202), (35, 110, 75), (28, 28, 34))
GLASS = ((60, 75, 90),)
WALLS = ((150, 120, 100), (170, 160, 145), (125, 128, 135), (160, 95, 75), (190, 180, 155), (105, 110, 115))
VERGES = ((95, 120, 70), (150, 140, 115), (135, 135, 132))


class Part(NamedTuple):
    """One filled outline of a shape; None leaves that camera's image as it is.

    Attributes:
        points: (N, 2) outline, metres.
        colour: R, G, B in [0, 255].
        temperature: Grey level in [0, 255], white-hot.
        glows: Whether the visible colour is a light of its own, which the night does not dim.
        mark: "top", "side" or "ground" if the part is a keypoint, see :mod:`.truth`.
    """

    points: np.ndarray
    colour: Colour | None
    temperature: float | None
    glows: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Item:
    """A shape that stands somewhere: an object to detect, or a distractor.

    Attributes:
        parts: Its outlines, back to front.
        x, foot: Where it stands, image heights from the left and from the top.
        scale: Image heights per metre.
        category: 0 person, 1 car, -1 distractor.
        shown_in: "both", "visible" or "infrared".
        turn: Angle by which it is turned around its middle, radians.
    """

    parts: tuple[Part, ...]
    x: float
    foot: float
    scale: float
    category: int = -1
    shown_in: str = "both"
    turn: float = 0.0

    def place(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 2) metres as image heights."""
        if self.turn:
            every = np.concatenate([part.points for part in self.parts])
            middle, (cos, sin) = (every.min(0) + every.max(0)) / 2, (np.cos(self.turn), np.sin(self.turn))
            points = middle + (points - middle) @ [[cos, sin], [-sin, cos]]
        return np.asarray([self.x, self.foot] + points * [self.scale, -self.scale])

    @cached_property
    def box_xyxy(self) -> np.ndarray:
        """(4,) float64 extents of all parts, image heights."""
        points = self.place(np.concatenate([part.points for part in self.parts]))
        return np.concatenate([points.min(0), points.max(0)])

    @cached_property
    def corners(self) -> np.ndarray:
        """(4, 2) float64 corners of the box around all parts that is turned as they are, image heights."""
        points = np.concatenate([part.points for part in self.parts])
        return self.place(rectangle(*points.min(0), *points.max(0)))


class Blob(NamedTuple):
    """A soft spot: centre and radii in image heights, and its strength in the middle."""

    x: float
    y: float
    rx: float
    ry: float
    strength: float


class Canvas:
    """The two images of a pair while they are drawn.

    Args:
        imgsz: Width in pixels; the height, which is the unit of all positions, is 4/5 of it.
        dark: Whether it is night.

    Attributes:
        size: Width and height, pixels.
        visible, infrared: (H, W, 3) uint8, RGB, and (H, W) uint8, white-hot.
        light: Light on what is drawn next in the visible image, as a share of daylight.
    """

    def __init__(self, imgsz: int, dark: bool = False) -> None:
        self.size, self.dark = (imgsz, imgsz * 4 // 5), dark
        self.visible = np.zeros((*self.size[::-1], 3), np.uint8)
        self.infrared = np.zeros(self.size[::-1], np.uint8)
        self.light = NIGHT if dark else DAY

    def fill(self, points: np.ndarray, colour: Colour | None, temperature: float | None, glows: bool = False) -> None:
        """Fill an outline of (N, 2) image heights in each image for which there is a value."""
        pixels = (points * (16 * self.size[1]) - 8).astype(np.int32)  # 4 fractional bits, from centre to centre
        if colour is not None:
            cv2.fillPoly(self.visible, [pixels], (colour * (DAY if glows else self.light)).tolist(), cv2.LINE_AA, 4)
        if temperature is not None:
            cv2.fillPoly(self.infrared, [pixels], float(temperature), cv2.LINE_AA, 4)

    def draw(self, item: Item) -> None:
        """Draw an item into the images that show it."""
        for points, colour, temperature, glows, _ in item.parts:
            visible, infrared = item.shown_in != "infrared", item.shown_in != "visible"
            self.fill(item.place(points), colour if visible else None, temperature if infrared else None, glows)

    def blobs(self, blobs: Iterable[Blob]) -> np.ndarray:
        """Return the sum of soft spots, (H, W) float32, computed on a coarse grid."""
        y, x = (np.mgrid[0.5:96, 0.5:120] / 96).astype(np.float32)
        total = np.zeros_like(x)
        for blob in blobs:
            total += blob.strength * np.exp(-(((x - blob.x) / blob.rx) ** 2) - ((y - blob.y) / blob.ry) ** 2)
        return np.asarray(cv2.resize(total, self.size, interpolation=cv2.INTER_LINEAR))

    def shade(self, spots: Iterable[Blob], visible_texture: np.ndarray, infrared_texture: np.ndarray) -> None:
        """Brighten the visible image by soft spots, and give both images a texture, (H, W) of unit deviation."""
        gain = (1 + self.blobs(spots)) * (1 + 0.05 * visible_texture)
        self.visible = cv2.multiply(self.visible, cv2.merge([gain] * 3), dtype=cv2.CV_8U)
        self.infrared = cv2.add(self.infrared, 3 * infrared_texture, dtype=cv2.CV_8U)

    def veil(self, opacity: np.ndarray, colour: Sequence[float], texture: np.ndarray) -> None:
        """Cover the visible image by a textured colour with an opacity of (H, W), clipped to [0, 1]."""
        opacity = opacity.clip(0, 1)
        cover = cv2.add(cv2.merge([7 * texture] * 3), (*colour, 0), dtype=cv2.CV_8U)
        self.visible = cv2.blendLinear(self.visible, cover, 1 - opacity, opacity)


def apart(item: Item, others: Sequence[Item]) -> bool:
    """Return whether an item is inside the image and hardly overlaps the others."""
    box, right_low = item.box_xyxy, item.corners.max(0)
    if item.corners.min() < 0.005 or right_low[0] > ASPECT - 0.005 or right_low[1] > 0.99:
        return False
    boxes = np.array([other.box_xyxy for other in others]).reshape(-1, 4)
    overlap = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(1)
    smaller = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(1), (box[2:] - box[:2]).prod())
    return bool(np.all(overlap <= MAX_COVERED * smaller))


def clouds(rng: np.random.Generator, size: tuple[int, int], cells: int, octaves: int = 3) -> np.ndarray:
    """Return fractal noise, (H, W) float32 of zero mean and about unit deviation, for a size of (W, H) pixels."""
    total = np.zeros((1, 1), np.float32)
    for octave in range(octaves):
        grid = rng.standard_normal((cells << octave, (cells << octave) * 5 // 4), dtype=np.float32)
        total = cv2.resize(total, grid.shape[::-1], interpolation=cv2.INTER_CUBIC) + grid / 2**octave
    return np.asarray(cv2.resize(total, size, interpolation=cv2.INTER_CUBIC))


def ellipse(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """Return the (24, 2) points of an ellipse, the upper half first."""
    return np.array([x, y]) + CIRCLE * [rx, ry]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Return the (4, 2) corners of an upright rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def limb(x0: float, y0: float, x1: float, y1: float, width: float) -> np.ndarray:
    """Return a bar between two points that gets a third thinner towards its end, (4, 2)."""
    a, b = width / 2, width / 3
    return np.array([[x0 - a, y0], [x0 + a, y0], [x1 + b, y1], [x1 - b, y1]])


def tinted(rng: np.random.Generator, palette: Sequence[Colour]) -> np.ndarray:
    """Draw a colour of a palette and vary it a little, (3,)."""
    colour = np.asarray(palette[int(rng.integers(len(palette)))])
    return np.asarray(colour * rng.uniform(0.85, 1.1) + rng.normal(0, 4, 3)).clip(0, 255)


def person(rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw an upright person: clothes of any colour; head and hands hot, torso warm, legs a little cooler."""
    shirt, trousers = tinted(rng, SHIRTS), tinted(rng, TROUSERS)
    skin, hair = tinted(rng, SKINS), tinted(rng, ((40, 30, 25), (120, 90, 55)))
    torso, stride, swing = rng.uniform(188, 208), rng.uniform(0.02, 0.26), rng.uniform(0.0, 0.14)
    parts = []
    for side in (-1, 1):
        foot, hand = side * (0.08 + stride), side * (0.27 + swing)
        parts += [
            Part(limb(side * 0.09, 0.9, foot, 0.05, 0.19), trousers * (0.95 + 0.1 * side), torso - 22),
            Part(rectangle(foot - 0.08, 0, foot + 0.08, 0.08), (30, 28, 28), torso - 45, mark="ground"),
            Part(limb(side * 0.22, 1.44, hand, 0.84, 0.14), shirt * 0.8, torso - 8),
            Part(ellipse(hand, 0.8, 0.05, 0.06), skin, 236, mark="side"),
        ]
    hem = rng.choice([0.84, 0.84, 0.55])  # a jacket, or a coat
    chest = np.array([[-0.2, hem], [-0.26, 1.42], [-0.1, 1.5], [0.1, 1.5], [0.26, 1.42], [0.2, hem]])
    parts += [
        Part(chest, shirt, torso),
        Part(chest[:3], shirt * 0.85, None),
        Part(rectangle(-0.06, 1.45, 0.06, 1.56), skin * 0.9, 232),
        Part(ellipse(0, 1.63, 0.11, 0.14), skin, 244, mark="top"),
        Part(ellipse(0, 1.66, 0.115, 0.12)[: 13 if rng.random() < 0.6 else None], hair, 214),
    ]
    return shaped(parts, rng.uniform(0.85, 1.1), rng.uniform(0.92, 1.06))


def car(rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw a car from the front, from the rear or from one side: hot wheels and engine, cold windows."""
    return car_from_side(rng) if rng.random() < 0.5 else car_from_end(rng)


def car_from_side(rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw a car that crosses the view, about 4.2 m long."""
    paint, body, glass = tinted(rng, PAINTS), rng.uniform(140, 160), tinted(rng, GLASS)
    roof = np.array([[-1.35, 0.8], [-0.85, 1.42], [0.55, 1.45], [1.15, 0.85]])
    hull = np.array([[-2.1, 0.3], [-2.1, 0.75], [-1.9, 0.88], [1.2, 0.9], [1.95, 0.75], [2.1, 0.55], [2.1, 0.3]])
    parts = [
        Part(rectangle(-1.9, 0.15, 1.9, 0.4), (18, 18, 20), body + 10),
        Part(roof, paint * 0.95, body - 10, mark="top"),
        Part(hull, paint, body),
        Part(np.array([[1.05, 0.42], [1.05, 0.86], [1.85, 0.74], [1.95, 0.42]]), None, 214),
        Part(np.array([[-1.15, 0.86], [-0.76, 1.34], [-0.2, 1.36], [-0.2, 0.88]]), glass, 62),
        Part(np.array([[-0.1, 0.88], [-0.1, 1.36], [0.5, 1.37], [0.95, 0.9]]), glass * 1.15, 62),
        Part(rectangle(1.88, 0.58, 2.09, 0.7), (255, 245, 200), None, True, "side"),
        Part(rectangle(-2.1, 0.6, -1.95, 0.74), (230, 30, 25), None, True, "side"),
    ]
    wheel = ((0.34, 22, 205, ""), (0.17, 150, 240, "ground"))  # tyre, rim
    for x, (r, grey, heat, mark) in product((-1.3, 1.3), wheel):
        parts.append(Part(ellipse(x, 0.34, r, r), (grey,) * 3, heat, mark=mark))
    return shaped(parts, rng.uniform(0.92, 1.06) * rng.choice([-1, 1]), rng.uniform(0.95, 1.15))


def car_from_end(rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw a car that drives along the view, about 1.8 m wide."""
    paint, body, glass = tinted(rng, PAINTS), rng.uniform(140, 160), tinted(rng, GLASS)
    roof = np.array([[-0.8, 0.85], [-0.62, 1.42], [-0.5, 1.48], [0.5, 1.48], [0.62, 1.42], [0.8, 0.85]])
    hull = np.array([[-0.9, 0.3], [-0.9, 0.8], [-0.8, 0.92], [0.8, 0.92], [0.9, 0.8], [0.9, 0.3]])
    parts = [Part(rectangle(x - 0.13, 0, x + 0.13, 0.5), (20, 20, 22), 220, mark="ground") for x in (-0.72, 0.72)]
    parts += [
        Part(rectangle(-0.6, 0.16, 0.6, 0.4), (15, 15, 16), 190),
        Part(roof, paint * 0.92, body - 10, mark="top"),
        Part(hull, paint, body),
        Part(np.array([[-0.68, 0.9], [-0.53, 1.37], [0.53, 1.37], [0.68, 0.9]]), glass, 62),
        Part(rectangle(-0.88, 0.3, 0.88, 0.44), paint * 0.55, body + 8),
        Part(rectangle(-0.26, 0.46, 0.26, 0.57), (235, 232, 215), None),
    ]
    hot, lamp = rectangle(-0.48, 0.58, 0.48, 0.8), (255, 248, 215)  # grille and headlights
    if rng.random() < 0.5:
        hot, lamp = ellipse(0.5, 0.25, 0.09, 0.07), (225, 30, 25)  # exhaust and tail lights
    parts.append(Part(hot, (40,) * 3, 240))
    parts += [Part(ellipse(x, 0.69, 0.15, 0.09), lamp, None, True, "side") for x in (-0.7, 0.7)]
    return shaped(parts, rng.uniform(0.94, 1.06), rng.uniform(0.95, 1.12))


def shaped(parts: Iterable[Part], width: float, height: float) -> tuple[Part, ...]:
    """Return the parts stretched; a negative width mirrors them."""
    return tuple(part._replace(points=part.points * [width, height]) for part in parts)


def distractor(rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw something that is not to be detected: street furniture, or a spot that only the infrared camera finds."""
    warm, paint, metal = rng.uniform(150, 235), tinted(rng, SHIRTS), (120, 124, 128)
    kinds: tuple[tuple[Part, ...], ...] = (
        (  # street lamp
            Part(limb(0, 0, 0, 4.6, 0.16), metal, 82),
            Part(rectangle(0, 4.5, 0.9, 4.6), metal, 84),
            Part(rectangle(0.55, 4.38, 1.1, 4.56), (255, 240, 200), warm, True),
        ),
        (Part(rectangle(-0.04, 0, 0.04, 2.3), metal, 88), Part(ellipse(0, 2.3, 0.38, 0.38), paint, 80)),  # round sign
        (Part(rectangle(-0.3, 0, 0.3, 0.95), paint * 0.6, 96), Part(ellipse(0, 0.95, 0.35, 0.1), metal, 92)),  # bin
        (Part(np.array([[-0.3, 0], [0, 0.85], [0.3, 0]]), (230, 100, 25), 100),),  # traffic cone
        (Part(ellipse(0, 0, 0.55, 0.13), (72, 72, 74), warm),),  # manhole cover
        (Part(rectangle(-0.4, 0, 0.4, 1.2), (128, 130, 128), warm),),  # switch box
        (Part(ellipse(0, 0.2, 0.9, 0.22), None, warm - 30),),  # warm patch of ground
    )
    return kinds[int(rng.integers(len(kinds)))]
