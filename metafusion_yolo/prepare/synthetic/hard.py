"""Hard pairs, as real ones are: light, heat and sensors decide what each camera shows.

The temperature of every material follows the hour, so a person vanishes in the infrared image beside a wall of 34
degrees; at night the visible camera amplifies its noise, and headlights bloom. Clutter looks like the objects, each
kind to one camera: a poster of a person, a heated post, a mirror image on a wet road, a plume of steam. Objects are
small or half hidden. An object in whose place neither image differs from the empty scene is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from metafusion_yolo.prepare.synthetic import scene
from metafusion_yolo.prepare.synthetic.backdrop import background
from metafusion_yolo.prepare.synthetic.climate import SKIN, Climate
from metafusion_yolo.prepare.synthetic.easy import MOST_TURNED
from metafusion_yolo.prepare.synthetic.scene import ASPECT, Blob, Canvas, Colour, Item, Part, apart, ellipse, rectangle

FINE = 2  # the thermal scene is drawn larger, without antialiasing, and averaged
STANDS_OUT = 0.5  # mean difference to the empty scene, in deviations of the image around it
FAINTEST = 6.0  # and in grey levels
JUDGED_AT = 320  # pixels wide, whatever the size of the pair
CLEAR = Climate(hour=12.5, air=12.0, cloud=0.5)


@dataclass(frozen=True)
class HardPlan:
    """A scene to render, independent of the image size.

    Attributes:
        climate: Time and weather.
        horizon, vanishing: Where the road meets the horizon, image heights from the top and from the left.
        objects: Persons and cars, far to near.
        clutter: What looks like them, or is simply there, behind them.
        screens: What stands in front of them.
        plumes: Smoke, which hides the visible scene.
        steam: Whether the smoke is hot, and shows in the infrared image too.
        fog: Share of the visible light that the horizon loses to fog, [0, 1].
        seed: Seed of background, textures and noise.
    """

    climate: Climate
    horizon: float
    vanishing: float
    objects: tuple[Item, ...]
    clutter: tuple[Item, ...]
    screens: tuple[Item, ...]
    plumes: tuple[Blob, ...]
    steam: bool
    fog: float
    seed: int

    def cleared(self) -> "HardPlan":
        """Return the same scene at noon in mild and clear weather, where both cameras see all."""
        return replace(self, climate=CLEAR, plumes=(), fog=0.0)

    def cold(self) -> "HardPlan":
        """Return the same scene on a cold day, where the infrared camera sees all."""
        return replace(self, climate=replace(self.climate, air=0.0, wet=False, cloud=1.0), steam=False)


class RadiantCanvas(Canvas):
    """A canvas of reflected colours, lights of their own, and temperatures.

    Args:
        imgsz: Width in pixels.
        climate: What gives the materials their temperatures.

    Attributes:
        lights: (H, W, 3) uint8, what glows.
        infrared: (2 H, 2 W) float32, degrees Celsius.
        category: Of what is drawn next, as in :class:`~metafusion_yolo.prepare.synthetic.scene.Item`.
    """

    def __init__(self, imgsz: int, climate: Climate) -> None:
        super().__init__(imgsz)
        self.climate, self.category = climate, -1
        self.lights = np.zeros_like(self.visible)
        self.infrared = np.zeros(np.multiply(self.size[::-1], FINE), np.float32)

    def fill(self, points: np.ndarray, colour: Colour | None, temperature: float | None, glows: bool = False) -> None:
        """Fill an outline in each image for which there is a value."""
        pixels = points * (16 * self.size[1])
        if colour is not None:
            layers = ((self.visible, (0, 0, 0)), (self.lights, colour)) if glows else ((self.visible, colour),)
            for layer, shade in layers:
                cv2.fillPoly(layer, [(pixels - 8).astype(np.int32)], [float(v) for v in shade], cv2.LINE_AA, 4)
            if not glows:
                cv2.fillPoly(self.lights, [(pixels - 8).astype(np.int32)], (0, 0, 0), cv2.LINE_AA, 4)
        if temperature is not None:
            celsius = self.climate.celsius(temperature, self.category)
            cv2.fillPoly(self.infrared, [(FINE * pixels - 8).astype(np.int32)], celsius, cv2.LINE_8, 4)

    def draw(self, item: Item) -> None:
        """Draw an item, on a wet road after its warm mirror image."""
        self.category = item.category
        if self.climate.wet:
            for part in item.parts:
                if part.temperature is not None and part.temperature > 150:
                    self.fill(item.place(part.points * [1, -0.6]), None, 120 + 0.4 * (part.temperature - 120))
        super().draw(item)
        self.category = -1


def plan_hard_scene(seed: int, condition: str, turned: bool = False) -> HardPlan:
    """Choose weather, objects, which may be turned, and clutter; a third of them is small, a third half hidden."""
    rng, turns = np.random.default_rng([seed, 10]), np.random.default_rng([seed, 14])
    horizon, vanishing, camera = rng.uniform(0.28, 0.42), rng.uniform(0.3, 0.95), rng.uniform(2.0, 2.6)

    def stand(parts: tuple[Part, ...], low: float, high: float, category: int = -1) -> Item:
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        return Item(parts, rng.uniform(0.02, ASPECT - 0.02), horizon + camera * scale, scale, category)

    objects: list[Item] = []
    for _ in range(40):
        category = int(rng.random() < 0.45)
        parts = (scene.person, scene.car)[category](rng)
        item = stand(parts, *((0.03, 0.17), (0.035, 0.24))[1 - category], category)
        item = replace(item, turn=turns.uniform(-MOST_TURNED, MOST_TURNED)) if turned else item
        if apart(item, objects):
            objects.append(item)
        if len(objects) == 7:
            break
    clutter = [stand(parts, 0.04, 0.2) for parts in look_alikes(rng, int(rng.integers(5, 11)))]
    clutter += [stand(scene.distractor(rng), 0.05, 0.16) for _ in range(rng.integers(4, 9))]
    screens = []
    for item in objects:
        if rng.random() < 0.35:
            shift = rng.uniform(-0.3, 0.3) * (item.box_xyxy[2] - item.box_xyxy[0])
            place = {"x": item.x + shift, "foot": item.foot + 0.01}
            screens.append(replace(item, parts=screen(rng), category=-1, turn=0.0, **place))
    clutter = [item for item in clutter if apart(item, objects)]
    plumes = []
    if condition == "smoke" or rng.random() < 0.2:
        for item in [*objects, *objects][: int(rng.integers(2, 6))]:
            rx, ry = rng.uniform(0.1, 0.28, 2)
            plumes.append(Blob(item.x + rng.normal(0, 0.06), item.foot - 0.1, rx, ry, 1.6))
    return HardPlan(
        climate=Climate.draw(rng, condition),
        horizon=horizon,
        vanishing=vanishing,
        objects=tuple(sorted(objects, key=lambda item: item.foot)),
        clutter=tuple(sorted(clutter, key=lambda item: item.foot)),
        screens=tuple(screens),
        plumes=tuple(plumes),
        steam=bool(rng.random() < 0.5),
        fog=float(rng.uniform() ** 2 * 0.8),
        seed=seed,
    )


def look_alikes(rng: np.random.Generator, count: int) -> Iterator[tuple[Part, ...]]:
    """Yield things that one camera takes for a person or a car."""
    for _ in range(count):
        kind, heat = rng.integers(4), rng.uniform(160, 200)
        if kind == 0:  # a poster: the person is colour, the board has one temperature
            board = Part(rectangle(-0.5, 0.1, 0.5, 1.95), scene.tinted(rng, scene.WALLS), rng.uniform(86, 98))
            yield (board, *(part._replace(temperature=None) for part in scene.person(rng)))
        elif kind == 1:  # a heated post or a plant in the sun: the heat of a person
            leaf = scene.tinted(rng, ((60, 85, 50), (110, 110, 108)))
            yield (
                Part(rectangle(-0.22, 0, 0.22, 1.4), leaf, heat - 8),
                Part(ellipse(0, 1.6, 0.13, 0.17), leaf * 0.9, heat),
            )
        elif kind == 2:  # a warm patch as large as a car
            yield (Part(ellipse(0, 0.5, 1.9, 0.55), None, heat - 20), Part(ellipse(0.8, 0.6, 0.5, 0.25), None, heat))
        else:  # a painted crate as large as a car, as warm as the ground
            paint = scene.tinted(rng, scene.PAINTS)
            yield (
                Part(rectangle(-1.8, 0, 1.8, 1.1), paint, rng.uniform(96, 116)),
                Part(rectangle(-1.1, 1.1, 1.0, 1.5), paint * 0.8, None),
                Part(rectangle(-1.5, 0.1, -0.9, 0.5), (25, 25, 28), None),
            )


def screen(rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw a pole or a hedge that hides a part of what stands behind."""
    if rng.random() < 0.5:
        return (Part(rectangle(-0.09, -0.1, 0.09, 3.2), (95, 98, 102), 88),)
    leaf = scene.tinted(rng, ((60, 95, 50), (85, 100, 55)))
    return tuple(Part(ellipse(x, 0.25, 0.4, rng.uniform(0.35, 0.6)), leaf, 72) for x in (-0.7, -0.2, 0.35))


# Rendering -----------------------------------------------------------------------------------------------------------
def draw_hard_scene(plan: HardPlan, imgsz: int, noise: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Render a plan, `imgsz` pixels wide, as a visible (H, W, 3) and an infrared (H, W) uint8 image."""
    return photographed(plan, *light_and_heat(plan, imgsz), noise)


def photographed(
    plan: HardPlan, radiance: np.ndarray, celsius: np.ndarray, noise: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images that both cameras take of what :func:`light_and_heat` gives."""
    sensor = np.random.default_rng([plan.seed, 13])
    return visible_camera(radiance, sensor, noise), thermal_camera(celsius, sensor, noise)


def light_and_heat(plan: HardPlan, imgsz: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the radiance (H, W, 3) and the temperatures (H, W), degrees Celsius, that reach the cameras."""
    layout, texture = (np.random.default_rng([plan.seed, stream]) for stream in (11, 12))
    canvas = RadiantCanvas(imgsz, plan.climate)
    background(layout, canvas, plan.horizon, plan.vanishing)
    for item in plan.clutter:
        canvas.draw(item)
    grain, sunny, wisps, fine = (scene.clouds(texture, canvas.size, cells) for cells in (20, 5, 4, 24))
    shade = np.clip(0.5 + sunny, 0, 1) if plan.climate.sun() else np.ones_like(sunny)
    warmth = plan.climate.sun() * (12 * shade + 5 * fine) + 0.7 * fine
    canvas.infrared += cv2.resize(warmth, canvas.infrared.shape[::-1])
    for item in sorted((*plan.objects, *plan.screens), key=lambda item: item.foot):
        canvas.draw(item)
    light = lighting(plan, canvas, shade, layout)
    visible = (canvas.visible / 255) * (1 + 0.05 * grain[..., None]) * light[..., None]
    visible += canvas.lights / 255 * max(0.6, 2.5 * (1 - plan.climate.daylight)) * 0.6
    rows = (np.arange(canvas.size[1]) + 0.5)[:, None] / canvas.size[1]
    haze = plan.fog * np.exp(-np.abs(rows - plan.horizon) / 0.2)[..., None]
    visible = visible * (1 - haze) + haze * 0.6 * plan.climate.daylight
    plume = (canvas.blobs(plan.plumes) * (1 + 0.5 * wisps)).clip(0, 1)[..., None]
    visible = visible * (1 - plume) + plume * (0.55 + 0.16 * wisps[..., None]) * max(plan.climate.daylight, 0.03)
    celsius = cv2.resize(canvas.infrared, canvas.size, interpolation=cv2.INTER_AREA)
    if plan.steam:
        celsius = celsius + 0.7 * plume[..., 0] * (0.6 * SKIN + 5 * wisps - celsius)
    celsius = plan.climate.air + plan.climate.transmission * (celsius - plan.climate.air)
    return visible, celsius


def lighting(plan: HardPlan, canvas: Canvas, shade: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the light on each place, (H, W), 1 in the sun of noon: sun and shadows by day, a few lamps at night."""
    daylight = plan.climate.daylight
    lamps = [
        Blob(rng.uniform(0, ASPECT), plan.horizon + rng.uniform(0.05, 0.5), rx, ry, 0.07)
        for rx, ry in rng.uniform((0.1, 0.06), (0.3, 0.16), (rng.integers(1, 4), 2))
    ]
    return daylight * (0.4 + 0.6 * shade) + (canvas.blobs(lamps) if daylight < 0.1 else 0)


def visible_camera(radiance: np.ndarray, rng: np.random.Generator, noise: bool) -> np.ndarray:
    """Expose, bloom and add the noise of photons and of the amplifier; (H, W, 3) radiance to uint8."""
    width = radiance.shape[1]
    gain = min(0.42 / float(radiance.mean()), 25.0)
    radiance = cv2.GaussianBlur(radiance.astype(np.float32), (0, 0), 0.35 + width / 1600)
    signal = radiance * gain
    excess = (signal - 1).clip(0, 4)
    for share, spread in ((0.5, 0.012), (0.35, 0.05)):
        signal = signal + share * cv2.GaussianBlur(excess, (0, 0), spread * width)
    grain = rng.standard_normal(signal.shape, np.float32) * np.sqrt(6e-4 * signal.clip(0) * gain + (2e-3 * gain) ** 2)
    return np.asarray((255 * (signal + noise * grain).clip(0, 1) ** 0.7).astype(np.uint8))


def thermal_camera(celsius: np.ndarray, rng: np.random.Generator, noise: bool) -> np.ndarray:
    """Blur, add the noise of the sensor and spread the range that is there; (H, W) degrees Celsius to uint8."""
    height, width = celsius.shape
    celsius = cv2.GaussianBlur(celsius.astype(np.float32), (0, 0), 0.45 + width / 700)
    low, high = np.percentile(celsius, (8, 99.7))
    span = max(high - low, 14.0)
    grain = rng.uniform(0.1, 0.9) * rng.standard_normal((height, width), np.float32)
    columns = rng.uniform(0.05, 0.3) * rng.standard_normal(width, np.float32)
    levels = (celsius + noise * (grain + columns) - (low + high - span) / 2) / span
    return np.asarray((255 * levels.clip(0, 1)).astype(np.uint8))


# What shows where ----------------------------------------------------------------------------------------------------
def cameras_of(plan: HardPlan) -> list[str]:
    """Return for each object in which camera it stands out: "both", "visible", "infrared", or "" for neither."""
    full = draw_hard_scene(plan, JUDGED_AT, noise=False)
    nobody = light_and_heat(replace(plan, objects=()), JUDGED_AT)
    empty, noisy = (photographed(plan, *nobody, noise) for noise in (False, True))
    names = {(True, True): "both", (True, False): "visible", (False, True): "infrared", (False, False): ""}
    seen = []
    for item in plan.objects:
        x0, y0, x1, y1 = (item.box_xyxy * full[1].shape[0]).round().astype(int)
        inside = np.s_[max(y0, 0) : max(y1, y0 + 2), max(x0, 0) : max(x1, x0 + 2)]
        x, y = (x1 - x0) // 2 + 1, (y1 - y0) // 4 + 1
        around = np.s_[max(y0 - y, 0) : y1 + y, max(x0 - x, 0) : x1 + x]
        both = []
        for a, b, c in zip(full, empty, noisy, strict=True):
            difference = np.abs(a[inside].astype(float) - b[inside]).mean()
            both.append(difference > max(FAINTEST, STANDS_OUT * c[around].astype(float).std(axis=(0, 1)).mean()))
        seen.append(names[both[0], both[1]])
    return seen
