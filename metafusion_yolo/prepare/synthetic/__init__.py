"""Embedded synthetic pairs: road scenes whose objects show in one camera, in the other, or in both, by construction.

They make every experiment and test reproducible without a download. Of the objects of easy scenes (:mod:`.easy`), a
third shows in the infrared image only (the visible camera is blinded by night, smoke or glare), a third in the visible
image only (thermal crossover: the object is as warm as its background), a third in both. A hidden object leaves no
trace in the image that hides it, so a detector of one camera can find at most about two thirds of them. In hard scenes
(:mod:`.hard`) hour, weather, materials and sensors decide what shows where, and clutter looks like the objects.

Source: this project.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import yaml

from metafusion_yolo.data.shown_in import COLUMNS as SHOWN_IN
from metafusion_yolo.data.shown_in import INDEX
from metafusion_yolo.options import Synth
from metafusion_yolo.prepare.synthetic import climate
from metafusion_yolo.prepare.synthetic.easy import CONDITIONS, draw_scene, plan_scene
from metafusion_yolo.prepare.synthetic.hard import cameras_of, draw_hard_scene, plan_hard_scene
from metafusion_yolo.prepare.synthetic.scene import Item
from metafusion_yolo.prepare.synthetic.truth import KEYPOINTS, crop, label_text
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import write_image

NAMES = {0: "person", 1: "car"}
COLUMNS = (*SHOWN_IN, "condition")
SPLITS = ("train", "val")
QUICK = 12_000_000  # pixels that render in about 2 s


@dataclass(frozen=True)
class SyntheticPair:
    """A rendered pair with its ground truth; K boxes.

    Attributes:
        visible: (H, W, 3) uint8, RGB.
        infrared: (H, W) uint8, white-hot.
        boxes_xyxy: (K, 4) float32, pixels.
        classes: (K,) int64, keys of :data:`NAMES`.
        shown_in: For each box "both", "visible" or "infrared".
        condition: "day", "night", "smoke" or "glare"; of a hard scene "day", "dusk", "night" or "smoke".
        objects: What was drawn, K; :mod:`.truth` tells outlines and keypoints, `corners` oriented boxes.
    """

    visible: np.ndarray
    infrared: np.ndarray
    boxes_xyxy: np.ndarray
    classes: np.ndarray
    shown_in: tuple[str, ...]
    condition: str
    objects: tuple[Item, ...]


def render_pair(
    seed: int,
    imgsz: int = 640,
    everything_visible: bool = False,
    everything_infrared: bool = False,
    hard: bool = False,
    turned: bool = False,
) -> SyntheticPair:
    """Render the pair of a seed.

    Args:
        seed: Non-negative; the same seed gives the same pair. The condition rotates with it: day, night, smoke, glare.
        imgsz: Width in pixels, at least 32; the height is 4/5 of it.
        everything_visible: Show every object in both images; scene and boxes stay the same. The accuracy of a detector
            on such pairs is the upper limit of what fusion can reach.
        everything_infrared: Show every object in the infrared image, so that one camera is enough.
        hard: Render a hard scene. `everything_visible` then gives it noon and clear air, `everything_infrared` a cold
            day; scene and boxes stay the same too.
        turned: Turn each object by up to 45 degrees to either side, for oriented boxes; this is another scene.

    Returns:
        The pair with 2 to 5 objects, a hard one with up to 7.

    Raises:
        ValueError: If imgsz is below 32 or the seed negative.

    Examples:
        >>> pair = render_pair(1, imgsz=160)
        >>> pair.visible.shape, pair.infrared.shape, pair.condition
        ((128, 160, 3), (128, 160), 'night')
    """
    if imgsz < 32:
        raise UserValueError(f"imgsz must be at least 32 pixels, got {imgsz}")
    if hard:
        return render_hard_pair(seed, imgsz, everything_visible, everything_infrared, turned)
    plan = plan_scene(seed, turned)
    if everything_visible:
        plan = replace(plan, objects=tuple(replace(item, shown_in="both") for item in plan.objects))
    elif everything_infrared:
        seen = {"visible": "both", "both": "both", "infrared": "infrared"}
        plan = replace(plan, objects=tuple(replace(item, shown_in=seen[item.shown_in]) for item in plan.objects))
    cameras = tuple(item.shown_in for item in plan.objects)
    return as_pair(*draw_scene(plan, imgsz), plan.objects, cameras, plan.condition)


def render_hard_pair(
    seed: int, imgsz: int, everything_visible: bool, everything_infrared: bool, turned: bool = False
) -> SyntheticPair:
    """Render the hard pair of a seed, see :func:`render_pair`."""
    condition = climate.CONDITIONS[seed % len(climate.CONDITIONS)]
    plan = plan_hard_scene(seed, condition, turned)
    kept = [(item, cameras) for item, cameras in zip(plan.objects, cameras_of(plan), strict=True) if cameras]
    plan = replace(plan, objects=tuple(item for item, _ in kept))
    shown_in = tuple(cameras for _, cameras in kept)
    if everything_visible:
        plan, shown_in = plan.cleared(), ("both",) * len(kept)
    elif everything_infrared:
        plan, shown_in = plan.cold(), tuple({"visible": "both"}.get(cameras, cameras) for cameras in shown_in)
    return as_pair(*draw_hard_scene(plan, imgsz), plan.objects, shown_in, condition)


def as_pair(
    visible: np.ndarray, infrared: np.ndarray, objects: Sequence[Item], shown_in: tuple[str, ...], condition: str
) -> SyntheticPair:
    """Return two images with the truth of the objects in them."""
    height, width = infrared.shape
    boxes = np.array([item.box_xyxy for item in objects]).reshape(-1, 4) * height
    return SyntheticPair(
        visible=visible,
        infrared=infrared,
        boxes_xyxy=boxes.clip(0, [width, height, width, height]).astype(np.float32),
        classes=np.array([item.category for item in objects], np.int64),
        shown_in=shown_in,
        condition=condition,
        objects=tuple(objects),
    )


def write_dataset(
    root: str | Path,
    train: int = Synth.train,
    val: int = Synth.val,
    imgsz: int = Synth.imgsz,
    seed: int = Synth.seed,
    everything_visible: bool = Synth.everything_visible,
    everything_infrared: bool = Synth.everything_infrared,
    hard: bool = Synth.hard,
    task: str = Synth.task,
) -> Path:
    """Write a data set of pairs in the layout of :class:`~metafusion_yolo.data.dataset.PairedYOLODataset`.

    ```
    root/images/{train,val}/000000.png    visible
    root/infrared/{train,val}/000000.png  infrared
    root/labels/{train,val}/000000.txt    class cx cy w h, normalised, or what the task has in its place
    root/synthetic.yaml                   to train with
    root/shown_in.csv                     the camera that shows each object, and the condition of its scene
    ```

    For the task classify each object is a pair of its own, `{images,infrared}/{train,val}/person/000000-0.png`, the
    number behind the dash its box, and there are no labels: shown_in.csv names the label file that there would be.

    Args:
        root: New or empty folder, or an earlier data set of this function, which is replaced.
        train: Number of training pairs. Pair i depends on seed, split and i only; the splits share no pair.
        val: Number of validation pairs.
        imgsz: Width in pixels; the height is 4/5 of it.
        seed: Non-negative; another seed gives another data set.
        everything_visible: Show every object in both images, see :func:`render_pair`.
        everything_infrared: Show every object in the infrared image, see :func:`render_pair`.
        hard: Render hard scenes, see :func:`render_pair`.
        task: "detect"; "segment": outlines of whole objects; "pose": five keypoints; "obb": objects are turned, see
            :func:`render_pair`; or "classify": one object per image.

    Returns:
        Path of synthetic.yaml.

    Raises:
        ValueError: If train or val is below 1, imgsz below 32 or the seed negative, or if root holds other files.
    """
    Synth(str(root), train, val, imgsz, seed, everything_visible, everything_infrared, hard, task)  # checks them
    root = Path(root).resolve()
    clear(root)
    from ultralytics.utils.tqdm import TQDM

    jobs = [(split, i) for split, count in zip(SPLITS, (train, val), strict=True) for i in range(count)]
    quick = len(jobs) * imgsz**2 < QUICK
    with (root / INDEX).open("w", newline="") as file:
        index = csv.writer(file)
        index.writerow(COLUMNS)
        file.flush()  # an earlier data set is known by it
        for split, i in TQDM(jobs, desc=f"Rendering {root.name}", disable=True if quick else None):
            how = everything_visible, everything_infrared, hard, task == "obb"
            pair = render_pair(pair_seed(seed, split, i), imgsz, *how)
            write_pair(root, split, f"{i:06d}", pair, task)
            rows = zip(pair.classes.tolist(), pair.shown_in, strict=True)
            label = f"labels/{split}/{i:06d}.txt"
            index.writerows((label, box, *row, pair.condition) for box, row in enumerate(rows))
    data = {"path": str(root), "train": "images/train", "val": "images/val", "names": NAMES, "infrared": "infrared"}
    data |= KEYPOINTS if task == "pose" else {}
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
    made = (root / INDEX).is_file() and (root / INDEX).read_bytes().startswith(",".join(COLUMNS).encode())
    if root.is_file() or (root.is_dir() and any(root.iterdir()) and not made):
        raise UserValueError(f"{root} holds other files than a synthetic data set; name a new or an empty folder")
    (root / "synthetic.yaml").unlink(missing_ok=True)  # written last: only a complete data set has it
    for folder in (root / kind / split for kind in ("images", "infrared", "labels") for split in SPLITS):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*folder.rglob("[0-9]" * 6 + "*.*"), *folder.parent.glob("*.cache")):
            path.unlink()


def write_pair(root: Path, split: str, stem: str, pair: SyntheticPair, task: str) -> None:
    """Write the two images and the label file of a pair, or the two crops of each of its objects."""
    size = np.array(pair.infrared.shape[::-1] * 2)
    for folder, image in (("images", cv2.cvtColor(pair.visible, cv2.COLOR_RGB2BGR)), ("infrared", pair.infrared)):
        if task != "classify":
            _write(root / folder / split / f"{stem}.png", image)
            continue
        for i, (number, box) in enumerate(zip(pair.classes.tolist(), pair.boxes_xyxy, strict=True)):
            _write(root / folder / split / NAMES[number] / f"{stem}-{i}.png", crop(image, box))
    if task != "classify":
        text = label_text(task, pair.objects, pair.boxes_xyxy / size, size[0] / size[1])
        (root / "labels" / split / f"{stem}.txt").write_text(text)


def _write(path: Path, image: np.ndarray) -> None:
    """Write a PNG file in a folder that need not exist."""
    path.parent.mkdir(exist_ok=True)
    write_image(path, image, cv2.IMWRITE_PNG_COMPRESSION, 1)
