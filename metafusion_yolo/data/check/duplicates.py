"""Images that occur more than once: as copies of a file, or as nearly the same picture in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from metafusion_yolo.data.check.findings import Case
from metafusion_yolo.data.check.images import Measurements, View

NEAR = 0.87  # correlation of the thumbnails of either camera above which two pairs show one scene
BLOCK = 1024  # pairs compared with all others in one matrix product

Pairs = Sequence[Measurements]


def find_copies(pairs: Pairs) -> Iterator[Case]:
    """Yield a case for each image whose very bytes occurred before, in another split or the same."""
    visible, infrared = _copies(pairs, lambda pair: pair.visible), _copies(pairs, lambda pair: pair.infrared)
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
    shown = [pair for pair in pairs if not (pair.visible.blank or pair.infrared.blank)]
    by_split: dict[str, list[Measurements]] = defaultdict(list)
    for pair in shown:
        by_split[pair.files.split].append(pair)
    splits = [*by_split]
    vectors = {
        split: tuple(unit_vectors([camera(pair) for pair in members]) for camera in CAMERAS)
        for split, members in by_split.items()
    }
    for j, later in enumerate(splits):
        best, score = np.full(len(by_split[later]), -1), np.full(len(by_split[later]), NEAR)
        others = [pair for earlier in splits[:j] for pair in by_split[earlier]]
        offset = 0
        for earlier in splits[:j]:
            for start in range(0, len(by_split[earlier]), BLOCK):
                products = [
                    vectors[later][c] @ vectors[earlier][c][start : start + BLOCK].T for c in range(len(CAMERAS))
                ]
                alike = np.minimum(*products)
                nearest = alike.argmax(1)
                value = alike[np.arange(len(alike)), nearest]
                better = value > score
                best[better], score[better] = nearest[better] + start + offset, value[better]
            offset += len(by_split[earlier])
        for i in np.flatnonzero(best >= 0):
            pair, twin = by_split[later][i], others[best[i]]
            if pair.visible.digest != twin.visible.digest and pair.infrared.digest != twin.infrared.digest:
                yield _case(
                    "near-duplicate", pair, twin, f"correlation {score[i]:.3f} with '{twin.files.visible}'", score[i]
                )


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
    return Case(kind, file, detail, pair.files.both, twin.files.both, weight=float(weight))
