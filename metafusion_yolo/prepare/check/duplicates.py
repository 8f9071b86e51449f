"""Images that occur more than once: as copies of a file, or as nearly the same picture in two splits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.prepare.check.images import Measurements
from metafusion_yolo.prepare.similarity import DUPLICATE, nearest

Pairs = Sequence[Measurements]
Camera = Literal["visible", "infrared"]


def find_copies(pairs: Pairs) -> Iterator[Case]:
    """Yield a case for each image whose file has the same bytes as an earlier one, in the same split or another."""
    visible = _copies(pairs, "visible")
    yield from (_copy_case(pairs[i], pairs[first], "visible") for i, first in visible.items())
    infrared = _copies(pairs, "infrared")
    yield from (_copy_case(pairs[i], pairs[k], "infrared") for i, k in infrared.items() if i not in visible)


def _copies(pairs: Pairs, camera: Camera) -> dict[int, int]:
    """Return the index of the first occurrence by the index of each copy; blank images do not count."""
    first: dict[bytes, int] = {}
    copies = {}
    for i, pair in enumerate(pairs):
        view = getattr(pair, camera)
        if not view.blank and first.setdefault(view.digest, i) != i:
            copies[i] = first[view.digest]
    return copies


def _copy_case(pair: Measurements, twin: Measurements, camera: Camera) -> Case:
    kind = {"visible": "exact-duplicate", "infrared": "repeated-infrared"}[camera]
    kind = kind if pair.files.split == twin.files.split else "split-leak"
    file, original = getattr(pair.files, camera), getattr(twin.files, camera)
    return Case(kind, file, f"a copy of '{original}'", pair.files.both, twin.files.both)


def find_near_duplicates(pairs: Pairs) -> Iterator[Case]:
    """Yield a case for each pair that shows the same scene as a pair of an earlier split.

    The limit is that of `metafusion data convert`, which keeps such pairs in one split.
    """
    by_split: dict[str, list[Measurements]] = defaultdict(list)
    for pair in pairs:
        by_split[pair.files.split].append(pair)
    earlier: list[Measurements] = []
    for members in by_split.values():
        twins = nearest(np.stack([pair.look for pair in members]), [pair.look for pair in earlier])
        for pair, (k, score) in zip(members, twins, strict=False):
            twin = earlier[k]
            if score >= DUPLICATE and not _is_copy(pair, twin):
                detail = f"correlation {score:.3f} with '{twin.files.visible}'"
                yield Case("near-duplicate", pair.files.visible, detail, pair.files.both, twin.files.both, weight=score)
        earlier += members


def _is_copy(pair: Measurements, twin: Measurements) -> bool:
    """Return whether two pairs share a file, which :func:`find_copies` reports."""
    return pair.visible.digest == twin.visible.digest or pair.infrared.digest == twin.infrared.digest
