"""Embedded synthetic pairs: road scenes whose objects show in one camera, in the other, or in both, by construction.

They make every experiment and test reproducible without a download. A third of the objects shows in the infrared image
only (the visible camera is blinded by night, smoke or glare), a third in the visible image only (thermal crossover: the
object is as warm as its background), a third in both. A hidden object leaves no trace in the image that hides it, so a
detector of one camera can find at most about two thirds of them.

Source: this project.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import yaml

from metafusion_yolo.options import Synth
from metafusion_yolo.prepare.synthetic import scene
from metafusion_yolo.prepare.synthetic.scene import BLINDING, Blob, Canvas, Item
from metafusion_yolo.support.errors import UserValueError

NAMES = {0: "person", 1: "car"}
# Cameras that show successive objects; over the four conditions, each group has a third of the objects.
GROUPS = {
    "day": ("visible", "both"),
    "night": ("infrared", "visible", "infrared", "both"),
    "smoke": ("infrared", "visible", "infrared", "both"),
    "glare": ("infrared", "visible", "both"),
}
CONDITIONS = tuple(GROUPS)
INDEX = "shown_in.csv"
SPLITS = ("train", "val")
QUICK = 12_000_000  # pixels that render in about 2 s
ASPECT = 1.25  # width over height
MAX_COVERED = 0.15  # largest share of a box that another may cover, hence IoU <= 0.15 / 1.85 < 0.1


@dataclass(frozen=True)
class SyntheticPair:
    """A rendered pair with its ground truth; K boxes.

    Attributes:
        visible: (H, W, 3) uint8, RGB.
        infrared: (H, W) uint8, white-hot.
        boxes_xyxy: (K, 4) float32, pixels.
        classes: (K,) int64, keys of :data:`NAMES`.
        shown_in: For each box "both", "visible" or "infrared".
        condition: "day", "night", "smoke" or "glare".
    """

    visible: np.ndarray
    infrared: np.ndarray
    boxes_xyxy: np.ndarray
    classes: np.ndarray
    shown_in: tuple[str, ...]
    condition: str


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


def render_pair(
    seed: int, imgsz: int = 640, everything_visible: bool = False, everything_infrared: bool = False
) -> SyntheticPair:
    """Render the pair of a seed.

    Args:
        seed: Non-negative; the same seed gives the same pair. The condition rotates with it: day, night, smoke, glare.
        imgsz: Width in pixels, at least 32; the height is 4/5 of it.
        everything_visible: Show every object in both images; scene and boxes stay the same. The accuracy of a detector
            on such pairs is the upper limit of what fusion can reach.
        everything_infrared: Show every object in the infrared image, so that one camera is enough.

    Returns:
        The pair with 2 to 5 objects.

    Raises:
        ValueError: If imgsz is below 32 or the seed negative.

    Example:
        >>> pair = render_pair(1, imgsz=160)
        >>> pair.visible.shape, pair.infrared.shape, pair.condition
        ((128, 160, 3), (128, 160), 'night')
    """
    if imgsz < 32:
        raise UserValueError(f"imgsz must be at least 32 pixels, got {imgsz}")
    plan = plan_scene(seed)
    if everything_visible:
        plan = replace(plan, objects=tuple(replace(item, shown_in="both") for item in plan.objects))
    elif everything_infrared:
        seen = {"visible": "both", "both": "both", "infrared": "infrared"}
        plan = replace(plan, objects=tuple(replace(item, shown_in=seen[item.shown_in]) for item in plan.objects))
    visible, infrared = draw_scene(plan, imgsz)
    height, width = infrared.shape
    boxes = np.array([item.box_xyxy for item in plan.objects]) * height
    return SyntheticPair(
        visible=visible,
        infrared=infrared,
        boxes_xyxy=boxes.clip(0, [width, height, width, height]).astype(np.float32),
        classes=np.array([item.category for item in plan.objects], np.int64),
        shown_in=tuple(item.shown_in for item in plan.objects),
        condition=plan.condition,
    )


def plan_scene(seed: int) -> Plan:
    """Choose position, size (nearer objects are larger and lower) and cameras of all items."""
    rng = np.random.default_rng([seed, 0])
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
        tries = (Item(parts, x, horizon + camera * scale, scale, category) for x in rng.uniform(0, ASPECT, 8))
        objects += [*islice((item for item in tries if fits(item, objects)), 1)]
        if len(objects) == count:
            break
    groups, start = GROUPS[condition], int(rng.integers(12))
    objects = [replace(item, shown_in=groups[(start + i) % len(groups)]) for i, item in enumerate(objects)]
    distractors: list[Item] = []
    for _ in range(rng.integers(5, 13)):
        scale = rng.uniform(0.06, 0.16)
        item = Item(scene.distractor(rng), rng.uniform(0, ASPECT), horizon + camera * scale, scale)
        distractors += [item] if fits(item, [*objects, *distractors]) else []
    objects.sort(key=lambda item: item.foot)
    blinding = tuple(blinding_spots(rng, condition, objects, horizon))
    return Plan(condition, horizon, vanishing, tuple(objects), tuple(distractors), blinding, seed)


def fits(item: Item, others: list[Item]) -> bool:
    """Return whether an item is inside the image and hardly overlaps the others."""
    box = item.box_xyxy
    if box.min() < 0.005 or box[2] > ASPECT - 0.005 or box[3] > 0.99:
        return False
    boxes = np.array([other.box_xyxy for other in others]).reshape(-1, 4)
    overlap = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(1)
    smaller = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(1), (box[2:] - box[:2]).prod())
    return bool(np.all(overlap <= MAX_COVERED * smaller))


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
    scene.background(layout, canvas, plan.horizon, plan.vanishing)
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
    return scene.expose(noise, canvas)


def illumination(plan: Plan) -> list[Blob]:
    """Return dark and bright spots of the visible image: shadows by day, light at night, none of hidden objects."""
    seen = [item.box_xyxy for item in plan.objects if item.shown_in != "infrared"]
    if plan.condition != "night":
        return [Blob((x0 + x1) / 2, y1, 0.55 * (x1 - x0), 0.02 + 0.05 * (y1 - y0), -0.5) for x0, y0, x1, y1 in seen]
    lamps = (item.box_xyxy for item in plan.distractors if any(part.glows for part in item.parts))
    spots = [Blob((x0 + x1) / 2, y1, x1 - x0 + 0.1, 0.4 * (y1 - y0), 2.5) for x0, y0, x1, y1 in seen]
    return spots + [Blob(x1, y1, 0.25, 0.08, 2.5) for _, _, x1, y1 in lamps]


def write_dataset(
    root: str | Path,
    train: int = Synth.train,
    val: int = Synth.val,
    imgsz: int = Synth.imgsz,
    seed: int = Synth.seed,
    everything_visible: bool = Synth.everything_visible,
    everything_infrared: bool = Synth.everything_infrared,
) -> Path:
    """Write a data set of pairs in the layout of :class:`~metafusion_yolo.data.dataset.PairedYOLODataset`.

    ```
    root/images/{train,val}/000000.png    visible
    root/infrared/{train,val}/000000.png  infrared
    root/labels/{train,val}/000000.txt    class cx cy w h, normalised
    root/synthetic.yaml                   to train with
    root/shown_in.csv                     split, file, box (line of the label file), class, shown_in, condition
    ```

    Args:
        root: New or empty folder, or an earlier data set of this function, which is replaced.
        train: Number of training pairs. Pair i depends on seed, split and i only; the splits share no pair.
        val: Number of validation pairs.
        imgsz: Width in pixels; the height is 4/5 of it.
        seed: Non-negative; another seed gives another data set.
        everything_visible: Show every object in both images, see :func:`render_pair`.
        everything_infrared: Show every object in the infrared image, see :func:`render_pair`.

    Returns:
        Path of synthetic.yaml.

    Raises:
        ValueError: If train or val is below 1, imgsz below 32 or the seed negative, or if root holds other files.
    """
    Synth(str(root), train, val, imgsz, seed, everything_visible, everything_infrared)  # checks them
    root = Path(root).resolve()
    clear(root)
    from ultralytics.utils.tqdm import TQDM

    jobs = [(split, i) for split, count in zip(SPLITS, (train, val), strict=True) for i in range(count)]
    quick = len(jobs) * imgsz**2 < QUICK
    with (root / INDEX).open("w", newline="") as file:
        index = csv.writer(file)
        index.writerow(("split", "file", "box", "class", "shown_in", "condition"))
        for split, i in TQDM(jobs, desc=f"Rendering {root.name}", disable=True if quick else None):
            pair = render_pair(pair_seed(seed, split, i), imgsz, everything_visible, everything_infrared)
            write_pair(root, f"{split}/{i:06d}", pair)
            rows = zip(pair.classes.tolist(), pair.shown_in, strict=True)
            index.writerows((split, f"{i:06d}", box, *row, pair.condition) for box, row in enumerate(rows))
    data = {"path": str(root), "train": "images/train", "val": "images/val", "names": NAMES, "infrared": "infrared"}
    path = root / "synthetic.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def pair_seed(seed: int, split: str, i: int) -> int:
    """Return the seed of pair i of a split; its last two bits are the condition, the bit above is the split."""
    number = SPLITS.index(split)
    state = int(np.random.SeedSequence([seed, number, i]).generate_state(1, np.uint64)[0])
    return (state << 3) + (number << 2) + i % len(CONDITIONS)


def clear(root: Path) -> None:
    """Create the folders of a data set and delete an earlier one and its caches; other files raise UserValueError."""
    if root.is_file() or (root.is_dir() and any(root.iterdir()) and not (root / INDEX).is_file()):
        raise UserValueError(f"{root} holds other files than a synthetic data set; name a new or an empty folder")
    (root / "synthetic.yaml").unlink(missing_ok=True)  # written last: only a complete data set has it
    for folder in (root / kind / split for kind in ("images", "infrared", "labels") for split in SPLITS):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*folder.glob("[0-9]" * 6 + ".*"), *folder.parent.glob("*.cache")):
            path.unlink()


def write_pair(root: Path, stem: str, pair: SyntheticPair) -> None:
    """Write the two images and the label file of a pair; `stem` is split/number."""
    from metafusion_yolo.data.labels import label_rows  # needs the host, which rendering does not

    images = {"images": cv2.cvtColor(pair.visible, cv2.COLOR_RGB2BGR), "infrared": pair.infrared}
    for folder, image in images.items():
        path = root / folder / f"{stem}.png"
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
            raise OSError(f"cannot write {path}")
    boxes_xyxyn = pair.boxes_xyxy / np.array(pair.infrared.shape[::-1] * 2)
    (root / "labels" / f"{stem}.txt").write_text(label_rows(pair.classes, boxes_xyxyn))
