"""Images that occur more than once: as copies of a file, or as nearly the same picture in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.prepare.check.images import Measurements, View

NEAR = 0.87  # correlation of the thumbnails of either camera above which two pairs show one scene
BLOCK = 1024  # pairs compared with all others in one matrix product

Pairs = Sequence[Measurements]


def find_copies(pairs: Pairs) -> Iterator[Case]:
    """Yield a case for each image whose very bytes occurred before, in another split or the same."""
    visible, infrared = (_copies(pairs, camera) for camera in CAMERAS)
    for copy, first in visible.items():
        kind = "exact-duplicate" if pairs[copy].files.split == pairs[first].files.split else "split-leak"
        yield _case(kind, pairs[copy], pairs[first], f"a copy of '{pairs[first].files.visible}'")
    for copy, first in infrared.items():
        if copy in visible:
            continue
        kind = "repeated-infrared" if pairs[copy].files.split == pairs[first].files.split else "split-leak"
        yield _case(kind, pairs[copy], pairs[first], f"a copy of '{pairs[first].files.infrared}'", infrared=True)


def find_near_duplicates(pairs: Pairs) -> Iterator[Case]:
    """Yield a case for each pair of a later split that nearly equals one of an earlier split, in both cameras.

    All are compared with all, as matrix products in single precision: 10,000 pairs take seconds.
    """
    by_split: dict[str, list[Measurements]] = defaultdict(list)
    for pair in pairs:
        if not (pair.visible.blank or pair.infrared.blank):
            by_split[pair.files.split].append(pair)
    earlier: list[Measurements] = []
    for members in by_split.values():
        nearest, scores = _nearest(members, earlier)
        for pair, k, score in zip(members, nearest, scores, strict=True):
            if score > NEAR and not _copied(pair, earlier[k]):
                detail = f"correlation {score:.3f} with '{earlier[k].files.visible}'"
                yield _case("near-duplicate", pair, earlier[k], detail, float(score))
        earlier += members


def _nearest(pairs: Pairs, others: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return for each pair the index of the most similar other, and the correlation of the less similar camera."""
    nearest, scores = np.zeros(len(pairs), np.int64), np.zeros(len(pairs))
    mine = [unit_vectors([camera(pair) for pair in pairs]) for camera in CAMERAS]
    for start in range(0, len(others), BLOCK):
        block = [unit_vectors([camera(pair) for pair in others[start : start + BLOCK]]) for camera in CAMERAS]
        alike = np.minimum(mine[0] @ block[0].T, mine[1] @ block[1].T)
        best = alike.argmax(1)
        value = alike[np.arange(len(alike)), best]
        better = value > scores
        nearest[better], scores[better] = best[better] + start, value[better]
    return nearest, scores


def _copied(pair: Measurements, other: Measurements) -> bool:
    """Tell whether a pair has a file of another: then it has been found as a copy."""
    return any(camera(pair).digest == camera(other).digest for camera in CAMERAS)


def unit_vectors(views: Sequence[View]) -> np.ndarray:
    """Return thumbnails as (N, 1024) float32 of mean 0 and length 1, whose products are correlations."""
    vectors = np.stack([view.thumbnail.ravel() for view in views]).astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _visible(pair: Measurements) -> View:
    return pair.visible


def _infrared(pair: Measurements) -> View:
    return pair.infrared


CAMERAS: tuple[Callable[[Measurements], View], ...] = (_visible, _infrared)


def _copies(pairs: Pairs, camera: Callable[[Measurements], View]) -> dict[int, int]:
    """Return the index of the first occurrence by that of each later copy; blank images do not count."""
    first: dict[bytes, int] = {}
    copies = {}
    for i, pair in enumerate(pairs):
        view = camera(pair)
        if not view.blank and first.setdefault(view.digest, i) != i:
            copies[i] = first[view.digest]
    return copies


def _case(
    kind: str, pair: Measurements, twin: Measurements, detail: str, weight: float = 0.0, infrared: bool = False
) -> Case:
    file = pair.files.infrared if infrared else pair.files.visible
    return Case(kind, file, detail, pair.files.both, twin.files.both, weight=weight)
