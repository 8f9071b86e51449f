"""Folds of whole blocks of neighbouring frames: these look alike, and must not be in both training and test."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from metafusion_yolo.data.labels import LabelError, label_file, read_labels


def blocks_of(images: Sequence[Path], gap: int = 60) -> list[list[Path]]:
    """Group images with close frame numbers (the last digits of their names).

    Args:
        images: Paths of the visible images.
        gap: Largest distance of frame numbers within a block.
    """
    numbered = sorted((int((re.findall(r"\d+", image.stem) or ["0"])[-1]), image) for image in images)
    blocks: list[list[Path]] = []
    last = None
    for number, image in numbered:
        if last is None or number - last > gap:
            blocks.append([])
        blocks[-1].append(image)
        last = number
    return blocks


def counts(
    image: Path,
    classes: Sequence[int],
    label_of: Callable[[Path], Path] = label_file,
    kpt_shape: Sequence[int] | None = None,
) -> np.ndarray:
    """Return 1 and the number of boxes of each class in an image, (1 + classes,).

    Raises:
        ValueError: If its label file cannot be read.
    """
    try:
        found = read_labels(label := label_of(image), kpt_shape=kpt_shape).classes.tolist()
    except LabelError as error:
        raise LabelError(f"'{label}' holds no labels ({error}); metafusion data check lists all such files") from error
    return np.array([1, *(found.count(c) for c in classes)])


def folds_of(
    images: Sequence[Path],
    number: int,
    classes: Sequence[int],
    label_of: Callable[[Path], Path] = label_file,
    gap: int = 60,
    kpt_shape: Sequence[int] | None = None,
) -> list[list[Path]]:
    """Assign blocks to folds so that images and boxes of each class are spread as evenly as the blocks allow.

    Blocks with the most boxes come first; each goes to the fold whose sum of squared shares it raises least.

    Args:
        images: Paths of the visible images.
        number: Number of folds.
        classes: Classes to spread.
        label_of: Returns the label file of an image.
        gap: See :func:`blocks_of`.
        kpt_shape: Keypoints of the labels, see :func:`~metafusion_yolo.data.labels.read_labels`.

    Returns:
        The images of each fold, sorted.
    """
    total = np.maximum(np.sum([counts(image, classes, label_of, kpt_shape) for image in images], 0), 1)
    load = np.zeros((number, len(total)))
    folds: list[list[Path]] = [[] for _ in range(number)]
    sized = [
        (np.sum([counts(image, classes, label_of, kpt_shape) for image in b], 0), b) for b in blocks_of(images, gap)
    ]
    for count, block in sorted(sized, key=lambda item: (-item[0][1:].sum(), item[1])):
        rise = (((load + count) / total) ** 2 - (load / total) ** 2).sum(1)
        best = int(rise.argmin())
        load[best] += count
        folds[best] += block
    return [sorted(fold) for fold in folds]
