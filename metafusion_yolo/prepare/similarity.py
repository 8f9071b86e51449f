"""Images that look alike: thumbnails, their correlation, and groups of near duplicates.

Neighbouring frames of a video show the same scene. If one is used for training and the other for testing, the test
measures memory. Brightness and large gradients (bright sky, dark road), which all road scenes share, are removed first.

Source: this project. Measured on the 16,836 pairs of 184 visible RoadScene images: the four most alike, 0.60 to 0.83,
are neighbouring frames of a drive; 99.9 % stay below 0.46. See `docs/data-check.md` for pairs.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 16
DUPLICATE = 0.75  # correlation from which two images count as the same scene
NEIGHBOUR = 0.6  # the same for two successive images, which are more likely to show one scene
BLOCK = 512  # rows of the correlation matrix that are in memory at once


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return the coarse structure of an image.

    Args:
        image: (H, W) or (H, W, 3), R, G, B, any depth.

    Returns:
        (16, 16) float32 with mean 0 and norm 1; zeros for a uniform image.
    """
    image = image if image.dtype in (np.uint8, np.uint16) else image.astype(np.float32)
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(image, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= cv2.GaussianBlur(small, (0, 0), SIDE / 4)
    small = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    small -= small.mean()
    norm = float(np.linalg.norm(small))
    return small / norm if norm > 1e-3 * SIDE else np.zeros_like(small)


def pair_thumbnail(visible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the thumbnails of both cameras as one vector (512,) float32 of norm 1."""
    both = np.stack([thumbnail(visible), thumbnail(counts)])
    return both.ravel() / np.float32(np.sqrt(2))


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two thumbnails, -1 to 1.

    Examples:
        >>> image = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
        >>> round(similarity(thumbnail(image), thumbnail(image // 2)), 2)
        1.0
    """
    return float(np.vdot(a, b))


def nearest(thumbnails: np.ndarray, others: Sequence[np.ndarray]) -> Iterator[tuple[int, float]]:
    """Yield for each thumbnail (N, ...) the index of the most similar other and their correlation, if there are any."""
    flat, rows = thumbnails.reshape(len(thumbnails), -1), np.array(others).reshape(len(others), thumbnails[0].size)
    for start in range(0, len(flat) if len(rows) else 0, BLOCK):
        product = flat[start : start + BLOCK] @ rows.T
        yield from zip(product.argmax(1).tolist(), product.max(1).tolist(), strict=True)


def groups(thumbnails: np.ndarray, duplicate: float = DUPLICATE, neighbour: float = NEIGHBOUR) -> list[list[int]]:
    """Group images that show the same scene, directly or through others.

    Args:
        thumbnails: (N, ...) float32, in the order of the names, so that frames of a video are neighbours.
        duplicate: Least correlation of any two images of one scene.
        neighbour: Least correlation of two successive images of one scene.

    Returns:
        Ascending indices of each group, in the order of their first; each image is in one group.

    Examples:
        >>> a, b = np.eye(2, 4, dtype=np.float32)
        >>> groups(np.stack([a, b, a]))
        [[0, 2], [1]]
    """
    if not len(thumbnails):
        return []
    flat = thumbnails.reshape(len(thumbnails), -1)
    following = np.nonzero((flat[:-1] * flat[1:]).sum(1) >= neighbour)[0]
    scenes = joined(np.arange(len(flat)), following, following + 1)
    for start in range(0, len(flat), BLOCK):
        rows, others = slice(start, start + BLOCK), slice(start, None)
        apart = scenes[rows, None] != scenes[None, others]  # frames of a fixed camera are one scene by now
        i, j = np.nonzero(apart & (flat[rows] @ flat[others].T >= duplicate))
        scenes = joined(scenes, start + i, start + j)
    order = np.argsort(scenes, kind="stable")
    found = np.split(order, np.nonzero(np.diff(scenes[order]))[0] + 1)
    return sorted(scene.tolist() for scene in found)


def joined(scenes: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the scene of each image (N,), once those of the images i and j (K,) are one."""
    links = np.unique(np.stack([scenes[i], scenes[j]]), axis=1)
    graph = coo_array((np.ones(links.shape[1]), (links[0], links[1])), shape=(len(scenes), len(scenes)))
    return np.asarray(connected_components(graph, directed=False)[1][scenes])
