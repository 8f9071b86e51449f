"""Labels by a machine: an ensemble of views of each pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ultralytics.utils import LOGGER, TQDM

from metafusion_yolo.engine.predict.ensemble import EnsemblePredictor, SurestViewPredictor
from metafusion_yolo.engine.predict.pictures import outlines
from metafusion_yolo.evaluation.classes import class_order, describe_order
from metafusion_yolo.labelling.found import Found, Pair, Sheet
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.files import write_image
from metafusion_yolo.support.words import nearest

SHOWN = 0.5  # least score of a keypoint, as in the host's pictures
QUALITY = 95  # of the pictures for people, JPEG


def classes_of(model: Mapping[int, str], names: Mapping[int, str], wanted: str | None) -> dict[int, str]:
    """Return the classes of a detector to look for, and their names in the data set.

    Args:
        model: Class names of the detector.
        names: Class names of the data set; empty to take those of the detector.
        wanted: Names of the classes to label, with commas; None for all.

    Raises:
        UserValueError: If the two have no class in common, or a wanted class is not among them.
    """
    names = names or model
    order = class_order(model, names)
    chosen = (
        dict(names)
        if order is None
        else {j: names[i] for i, j in zip(sorted(names), order, strict=True) if j is not None}
    )
    if order is not None:
        LOGGER.info(describe_order(order, model, names))
    if wanted is None:
        return chosen
    asked = [name.strip() for name in wanted.split(",")]
    for name in asked:
        if name not in chosen.values():
            raise UserValueError(f"'classes={wanted}': cannot label '{name}', {nearest(name, chosen.values())}")
    return {number: name for number, name in chosen.items() if name in asked}


def marks_of(keypoints: Any) -> np.ndarray:
    """Return the host's keypoints (K, points, 2 or 3) as labels: normalised, and shown (2) or not (0)."""
    places = keypoints.xyn
    if not keypoints.has_visible:
        return np.asarray(places)
    shown = keypoints.conf[..., None] >= SHOWN
    return np.concatenate([places * shown, 2.0 * shown], 2)


def find(
    model: Any, pairs: Sequence[Pair], classes: Mapping[int, str], pictures: Path | None = None, **arguments: Any
) -> Iterator[tuple[Pair, Sheet]]:
    """Label pairs one by one.

    Args:
        model: A :class:`~metafusion_yolo.MetaFusionYOLO`.
        pairs: The pairs.
        classes: See :func:`classes_of`.
        pictures: Folder for 8-bit pictures of both images; None to write none.
        **arguments: Of prediction: `data`, `conf`, `imgsz`, `batch`, `device`.

    Yields:
        Each pair with what was found, in order of the pairs.
    """
    source = [(pair.visible, pair.infrared) for pair in pairs]
    given = {key: value for key, value in arguments.items() if value is not None}
    judge: type = EnsemblePredictor
    if model.task != "detect":
        judge = type("SurestView", (SurestViewPredictor, model.task_map[model.task]["predictor"]), {})
    results = model.predict(source, predictor=judge, stream=True, verbose=False, classes=sorted(classes), **given)
    for pair, result in zip(pairs, TQDM(results, total=len(pairs), desc="Labelling", unit="pairs"), strict=True):
        boxes, size = result.found.cpu().numpy(), np.array(result.orig_shape[::-1])
        shapes = outlines(result) if model.task in ("segment", "obb") else [None] * len(boxes)
        marks = [None] * len(boxes) if result.keypoints is None else marks_of(result.keypoints.cpu().numpy())
        rows = zip(boxes.cls, boxes.xyxy / np.tile(size, 2), boxes.conf, result.shows_in, shapes, marks, strict=True)
        found = [
            Found(name, tuple(box.tolist()), score, shows, None if shape is None else shape / size, mark)
            for name, box, score, shows, shape, mark in (
                (classes[int(number)], box, round(float(score), 4), shows, shape, mark)
                for number, box, score, shows, shape, mark in rows
            )
        ]
        files = [(pictures or Path()) / camera / f"{pair.key}.jpg" for camera in ("visible", "infrared")]
        for file, image in zip(files, (result.orig_img, result.infrared), strict=True) if pictures else ():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_image(file, image, cv2.IMWRITE_JPEG_QUALITY, QUALITY)
        height, width = result.orig_shape
        yield pair, Sheet(pair.key, files[0], files[1], (width, height), found)
