"""Easy scenes: each object is drawn for one camera or for both, and leaves no trace in the other's image."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np

from metafusion_yolo.prepare.synthetic import scene
from metafusion_yolo.prepare.synthetic.backdrop import background
from metafusion_yolo.prepare.synthetic.scene import ASPECT, Blob, Canvas, Item, apart

# Cameras that show successive objects; over the four conditions, each group has a third of the objects.
GROUPS = {
    "day": ("visible", "both"),
    "night": ("infrared", "visible", "infrared", "both"),
    "smoke": ("infrared", "visible", "infrared", "both"),
    "glare": ("infrared", "visible", "both"),
}
CONDITIONS = tuple(GROUPS)
MOST_TURNED = np.pi / 4
BLINDING = {"smoke": (186, 184, 182), "glare": (255, 252, 240)}


@dataclass(frozen=True)
class Plan:
    """A scene to render, independent of the image size.

    Attributes:
        condition: "day", "night", "smoke" or "glare".
        horizon: Image heights from the top.
        vanishing: Where the road meets the horizon, image heights from the left.
        objects: Persons and cars, far to near.
        distractors: Items that are not labelled.
        blinding: Spots of smoke or glare over the visible image.
        seed: Seed of background, textures and noise.
    """

    condition: str
    horizon: float
    vanishing: float
    objects: tuple[Item, ...]
    distractors: tuple[Item, ...]
    blinding: tuple[Blob, ...]
    seed: int


def plan_scene(seed: int, turned: bool = False) -> Plan:
    """Choose position, size (nearer objects are larger and lower), cameras and, if wanted, turns of all items."""
    rng, turns = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 4])
    condition = CONDITIONS[seed % len(CONDITIONS)]
    horizon, vanishing = rng.uniform(0.3, 0.42), rng.uniform(0.4, 0.85)
    camera = rng.uniform(2.0, 2.5)  # metres above ground; an item of a scale stands camera * scale below the horizon
    objects: list[Item] = []
    count = rng.integers(2, 6)
    for _ in range(30):  # fewer objects in a crowded scene
        category = int(rng.random() < 0.52)
        smallest, largest = (0.085, 0.2) if category else (0.075, 0.27)
        scale = np.exp(rng.uniform(np.log(smallest), np.log(largest)))
        parts = (scene.person, scene.car)[category](rng)
        turn = turns.uniform(-MOST_TURNED, MOST_TURNED) if turned else 0.0
        places = rng.uniform(0, ASPECT, 8)
        tries = (Item(parts, x, horizon + camera * scale, scale, category, turn=turn) for x in places)
        objects += [*islice((item for item in tries if apart(item, objects)), 1)]
        if len(objects) == count:
            break
    groups, start = GROUPS[condition], int(rng.integers(12))
    objects = [replace(item, shown_in=groups[(start + i) % len(groups)]) for i, item in enumerate(objects)]
    distractors: list[Item] = []
    for _ in range(rng.integers(5, 13)):
        scale = rng.uniform(0.06, 0.16)
        item = Item(scene.distractor(rng), rng.uniform(0, ASPECT), horizon + camera * scale, scale)
        distractors += [item] if apart(item, [*objects, *distractors]) else []
    objects.sort(key=lambda item: item.foot)
    blinding = tuple(blinding_spots(rng, condition, objects, horizon))
    return Plan(condition, horizon, vanishing, tuple(objects), tuple(distractors), blinding, seed)


def blinding_spots(rng: np.random.Generator, condition: str, objects: list[Item], horizon: float) -> Iterator[Blob]:
    """Yield spots of smoke or glare: over the objects to hide from the visible camera, and by chance elsewhere."""
    if condition not in BLINDING:
        return
    hidden = [item.box_xyxy for item in objects if item.shown_in == "infrared"]
    for x0, y0, x1, y1 in hidden:
        (dx, dy), (rx, ry) = rng.normal(0, 0.02, 2), rng.uniform(1.0, 1.4, 2)
        yield Blob((x0 + x1) / 2 + dx, (y0 + y1) / 2 + dy, rx * (x1 - x0) + 0.06, ry * (y1 - y0) + 0.04, 2.0)
    if condition == "smoke" or not hidden:
        rx, ry = rng.uniform(0.15, 0.3, 2)
        yield Blob(rng.uniform(0, ASPECT), horizon + rng.uniform(-0.1, 0.3), rx, ry, 1.6)


def draw_scene(plan: Plan, imgsz: int) -> tuple[np.ndarray, np.ndarray]:
    """Render a plan, `imgsz` pixels wide, as a visible (H, W, 3) and an infrared (H, W) uint8 image.

    Random draws do not depend on the objects: without one of them, the images differ by that object only.
    """
    layout, texture, noise = (np.random.default_rng([plan.seed, stream]) for stream in (1, 2, 3))
    canvas = Canvas(imgsz, dark=plan.condition == "night")
    background(layout, canvas, plan.horizon, plan.vanishing)
    for item in plan.distractors:
        canvas.draw(item)
    canvas.shade(illumination(plan), scene.clouds(texture, canvas.size, 20, 4), scene.clouds(texture, canvas.size, 20))
    wisps = scene.clouds(texture, canvas.size, 4)
    if plan.condition in BLINDING:
        canvas.veil(canvas.blobs(plan.blinding) * (1 + 0.15 * wisps), BLINDING[plan.condition], wisps)
    canvas.light = scene.LAMPLIGHT if canvas.dark else scene.DAY
    for item in plan.objects:
        canvas.draw(item)
    if plan.condition in BLINDING:  # thin, and in front of the objects
        canvas.veil(0.12 + 0.06 * wisps, BLINDING[plan.condition], wisps)
    return expose(noise, canvas)


def illumination(plan: Plan) -> list[Blob]:
    """Return dark and bright spots of the visible image: shadows by day, light at night, none of hidden objects."""
    seen = [item.box_xyxy for item in plan.objects if item.shown_in != "infrared"]
    if plan.condition != "night":
        return [Blob((x0 + x1) / 2, y1, 0.55 * (x1 - x0), 0.02 + 0.05 * (y1 - y0), -0.5) for x0, y0, x1, y1 in seen]
    lamps = (item.box_xyxy for item in plan.distractors if any(part.glows for part in item.parts))
    spots = [Blob((x0 + x1) / 2, y1, x1 - x0 + 0.1, 0.4 * (y1 - y0), 2.5) for x0, y0, x1, y1 in seen]
    return spots + [Blob(x1, y1, 0.25, 0.08, 2.5) for _, _, x1, y1 in lamps]


def expose(rng: np.random.Generator, canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Return the two images as their cameras record them: blurred, with noise, the infrared one softer and striped."""
    width, height = canvas.size
    noise, columns = rng.standard_normal((2, height, width), np.float32), rng.standard_normal(width, np.float32)
    visible = cv2.GaussianBlur(canvas.visible, (0, 0), 0.35 + width / 1600)
    visible = cv2.add(visible, cv2.merge([(5.0 if canvas.dark else 3.0) * noise[0]] * 3), dtype=cv2.CV_8U)
    infrared = cv2.GaussianBlur(canvas.infrared, (0, 0), 0.45 + width / 700)
    return visible, cv2.add(infrared, 3.0 * noise[1] + 1.2 * columns, dtype=cv2.CV_8U)
