"""Images that occur more than once: as copies of a file, or as nearly the same picture in two splits."""

from collections.abc import Iterator
from itertools import accumulate, groupby, pairwise
from typing import Literal

import numpy as np

from metafusion_yolo.prepare.check.files import PairFiles
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.prepare.check.images import BLANK, Measurements
from metafusion_yolo.prepare.check.measured import Measured
from metafusion_yolo.prepare.similarity import DUPLICATE, nearest

Camera = Literal["visible", "infrared"]


def find_copies(pairs: Measured) -> Iterator[Case]:
    """Yield a case for each image whose file has the same bytes as an earlier one, in the same split or another."""
    visible, infrared = _first(pairs.views("visible")), _first(pairs.views("infrared"))
    itself = np.arange(len(pairs))
    copied = visible != itself
    both: tuple[tuple[Camera, np.ndarray, np.ndarray], ...] = (
        ("visible", visible, copied),
        ("infrared", infrared, (infrared != itself) & ~copied),
    )
    for camera, first, copies in both:
        for i, k in zip(np.flatnonzero(copies), first[copies], strict=True):
            yield _copy_case(pairs.files[int(i)], pairs.files[int(k)], camera)


def _first(views: np.ndarray) -> np.ndarray:
    """Return the index of the first pair with the same image (N,), that of a pair itself if there is none before.

    Blank images do not count.
    """
    first, shown = np.arange(len(views)), np.flatnonzero(views["contrast"] >= BLANK)
    _, once, which = np.unique(views["digest"][shown], return_index=True, return_inverse=True)
    first[shown] = shown[once[which]]
    return first


def _copy_case(files: PairFiles, twin: PairFiles, camera: Camera) -> Case:
    kind = {"visible": "exact-duplicate", "infrared": "repeated-infrared"}[camera]
    kind = kind if files.split == twin.split else "split-leak"
    return Case(kind, getattr(files, camera), f"a copy of '{getattr(twin, camera)}'", files.both, twin.both)


def find_near_duplicates(pairs: Measured) -> Iterator[Case]:
    """Yield a case for each pair that shows the same scene as a pair of an earlier split; pairs come split by split.

    The limit is that of `metafusion data convert`, which keeps such pairs in one split.
    """
    sizes = [sum(1 for _ in files) for _, files in groupby(pairs.files, lambda files: files.split)]
    looks = pairs.looks
    for start, end in pairwise(accumulate(sizes, initial=0)):
        for i, (k, score) in enumerate(nearest(looks[start:end], looks[:start]), start):
            if score >= DUPLICATE and not _is_copy(pair := pairs[i], twin := pairs[k]):
                detail = f"correlation {score:.3f} with '{twin.files.visible}'"
                yield Case("near-duplicate", pair.files.visible, detail, pair.files.both, twin.files.both, weight=score)


def _is_copy(pair: Measurements, twin: Measurements) -> bool:
    """Return whether two pairs share a file, which :func:`find_copies` reports."""
    return pair.visible.digest == twin.visible.digest or pair.infrared.digest == twin.infrared.digest
