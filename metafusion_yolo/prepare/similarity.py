"""Images that look alike: thumbnails, their correlation, and groups of near duplicates.

Neighbouring frames of a video show the same scene. If one is used for training and the other for testing, the test
measures memory. Brightness and large gradients (bright sky, dark road), which all road scenes share, are removed first.

Source: this project. Measured on the 16,836 pairs of 184 visible RoadScene images: the four most alike, 0.60 to 0.83,
are neighbouring frames of a drive; 99.9 % stay below 0.46. See `docs/data-check.md` for pairs.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 16
DUPLICATE = 0.75  # correlation from which two images count as the same scene
NEIGHBOUR = 0.6  # the same for two successive images, which are more likely to show one scene
BLOCK, WIDE = 512, 4096  # rows and columns of the correlation matrix that are in memory at once
ALL_WITH_ALL = 30_000  # images from which only those with hashes alike are compared
TABLES, HASHES, DIRECTIONS = 24, 4, 32  # of hashes; hashes in each; directions of a hash
AROUND = 64  # neighbours in the order of the hashes that are compared, to either side

Index = slice | np.ndarray


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


def nearest(thumbnails: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, float]]:
    """Yield for each thumbnail (N, ...) the index of the most similar other (M, ...) and their correlation, if any.

    Of very many, an other that is less than alike may stand in for the most similar; see :func:`_candidates`.
    """
    if not len(others):
        return
    flat, rows = (array.reshape(len(array), -1) for array in (thumbnails, others))
    which, best, places = np.zeros(len(flat), np.int64), np.full(len(flat), -1, np.float32), np.arange(len(rows))
    for some, near in _candidates(flat, rows):
        product = flat[some] @ rows[near].T
        k = product.argmax(1)
        found = product[np.arange(len(k)), k]
        better = found > best[some]
        which[some] = np.where(better, places[near][k], which[some])
        best[some] = np.maximum(best[some], found)
    yield from zip(which.tolist(), best.tolist(), strict=True)


def _candidates(thumbnails: np.ndarray, others: np.ndarray) -> Iterator[tuple[Index, Index]]:
    """Yield which thumbnails (N, D) are to be compared with which others (M, D): all with all, if that is not too many.

    Of very many, those whose hashes are alike in one of several tables; a hash says which of a few random directions
    an image is most like. The work grows with N + M.

    Source: Andoni et al., Practical and Optimal LSH for Angular Distance, 2015: the cross-polytope hash, here of
    Gaussian projections; neighbours in the order of the hashes instead of buckets: this project.
    """
    if len(thumbnails) * len(others) <= ALL_WITH_ALL**2:
        for start in range(0, len(thumbnails), BLOCK):
            for across in range(0, len(others), WIDE):
                yield slice(start, start + BLOCK), slice(across, across + WIDE)
        return
    rng = np.random.default_rng(0)
    for _ in range(TABLES):
        directions = rng.normal(size=(thumbnails.shape[1], HASHES * DIRECTIONS)).astype(np.float32)
        theirs = _codes(others, directions)
        mine = theirs if thumbnails is others else _codes(thumbnails, directions)
        order, places = np.argsort(mine), np.argsort(theirs)
        left = np.searchsorted(theirs[places], mine[order])
        for start in range(0, len(order), BLOCK):
            first, last = left[start], left[min(start + BLOCK, len(order)) - 1]
            near = places[max(0, first - AROUND) : last + AROUND]
            for across in range(0, len(near), WIDE):
                yield order[start : start + BLOCK], near[across : across + WIDE]


def _codes(flat: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the hashes of thumbnails (N, D) as one number each (N,), the first of them in its highest digits."""
    codes = np.zeros(len(flat), np.int64)
    for start in range(0, len(flat), BLOCK):
        rows = slice(start, start + BLOCK)
        along = (flat[rows] @ directions).reshape(-1, HASHES, DIRECTIONS)
        most = np.abs(along).argmax(2)
        digits = 2 * most + (np.take_along_axis(along, most[..., None], 2)[..., 0] > 0)
        codes[rows] = digits @ (2 * DIRECTIONS) ** np.arange(HASHES)[::-1]
    return codes


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
    blocks = (flat[start : start + BLOCK + 1] for start in range(0, len(flat), BLOCK))
    following = np.nonzero(np.concatenate([(rows[:-1] * rows[1:]).sum(1) for rows in blocks]) >= neighbour)[0]
    scenes = joined(np.arange(len(flat)), following, following + 1)
    waiting: list[np.ndarray] = []
    for some, near in _candidates(flat, flat):
        apart = scenes[some, None] != scenes[None, near]  # frames of a fixed camera are one scene by now
        if not apart.any():
            continue
        i, j = np.nonzero(apart & (flat[some] @ flat[near].T >= duplicate))
        waiting.append(np.stack([scenes[some][i], scenes[near][j]]))
        if sum(links.shape[1] for links in waiting) > len(flat) // 8:
            scenes, waiting = joined(scenes, *np.concatenate(waiting, axis=1)), []
    scenes = joined(scenes, *np.concatenate(waiting, axis=1)) if waiting else scenes
    order = np.argsort(scenes, kind="stable")
    found = np.split(order, np.nonzero(np.diff(scenes[order]))[0] + 1)
    return sorted(scene.tolist() for scene in found)


def joined(scenes: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the scene of each image (N,), once the scenes i and j (K,) are one."""
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(scenes), len(scenes)))
    return np.asarray(connected_components(graph, directed=False)[1][scenes])
