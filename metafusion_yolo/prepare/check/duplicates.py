"""Images that occur more than once: as copies of a file, or as nearly the same picture in two splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.prepare.check.images import Measurements, View
from metafusion_yolo.prepare.similarity import DUPLICATE, nearest

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
    """Yield a case for each pair of a later split that shows the scene of one of an earlier split.

    What counts as one scene is what counts for `metafusion data convert`, which leaves such pairs on one side.
    """
    by_split: dict[str, list[Measurements]] = defaultdict(list)
    for pair in pairs:
        by_split[pair.files.split].append(pair)
    earlier: list[Measurements] = []
    for members in by_split.values():
        twins = nearest(np.stack([pair.look for pair in members]), [pair.look for pair in earlier])
        for pair, (k, score) in zip(members, twins, strict=False):
            if score >= DUPLICATE and not _copied(pair, earlier[k]):
                detail = f"correlation {score:.3f} with '{earlier[k].files.visible}'"
                yield _case("near-duplicate", pair, earlier[k], detail, score)
        earlier += members


def _copied(pair: Measurements, other: Measurements) -> bool:
    """Tell whether a pair has a file of another: then it has been found as a copy."""
    return any(camera(pair).digest == camera(other).digest for camera in CAMERAS)


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
