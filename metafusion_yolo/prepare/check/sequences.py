"""Faults that show over a sequence only: misregistered cameras and a changing polarity.

A single shift or contrast may be wrong; the median over a sequence is reliable, see `docs/data-check.md`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import numpy as np
from scipy.sparse.linalg import eigsh

from metafusion_yolo.data.polarity import black_hot
from metafusion_yolo.prepare.check.findings import Case
from metafusion_yolo.prepare.check.images import THUMBNAIL, Measurements
from metafusion_yolo.support.paged import Chosen

SHORTEST = 5  # pairs, clear shifts or boxes from which a sequence is judged
MISREGISTERED = 0.02  # shift, as a share of the width
SCATTERED = 1 / 3  # share of clear shifts beyond it that is too much, whatever the median
TELLING = 0.25  # contrast from which a box counts as bright or dark, in standard deviations of its image
BOXES = 0.7  # share of boxes with one sign that decides for a sequence
LAYOUT = 0.75  # share of images with one sign that decides for a sequence
LAYOUT_ALONE = 0.9  # the same where the boxes do not decide
PERSONS = {"person", "people", "pedestrian", "human"}
BLACK_HOT = 20  # boxes of persons from which a data set is judged
BLOCK = 512  # thumbnails that are in memory at once
RUNNING_NUMBER = re.compile(r"\d+\D*$")


@dataclass(frozen=True)
class PairSequence:
    """Pairs of one recording, judged by folder and file name.

    Attributes:
        name: Folder of the visible images and the common beginning of their names.
        pairs: The pairs.
    """

    name: str
    pairs: Sequence[Measurements]

    @cached_property
    def shifts(self) -> np.ndarray:
        """Right and down (N, 2), as shares of the width; NaN for pairs whose shift cannot be trusted."""
        shifts = (pair.shift for pair in self.pairs)
        known = ((s.x, s.y) if s and s.clear else (np.nan, np.nan) for s in shifts)
        return np.fromiter(known, np.dtype((np.float64, 2)), len(self.pairs))

    @property
    def clear_shifts(self) -> np.ndarray:
        """Shifts (K, 2) that can be trusted."""
        return self.shifts[~np.isnan(self.shifts[:, 0])]

    @property
    def median_shift(self) -> tuple[float, float] | None:
        """Median x and y of the clear shifts, as shares of the width; None if there are too few."""
        shifts = self.clear_shifts
        if len(shifts) < SHORTEST:
            return None
        x, y = np.median(shifts, 0).tolist()
        return x, y

    @cached_property
    def contrasts(self) -> np.ndarray:
        """Class and contrast (K, 2) of the boxes that are bright or dark."""
        boxes = (zip(pair.classes.tolist(), pair.box_contrasts.tolist(), strict=True) for pair in self.pairs)
        told = (box for box in chain.from_iterable(boxes) if abs(box[1]) >= TELLING)  # NaN is no contrast
        return np.fromiter(told, np.dtype((np.float64, 2)))


def split_sequences(pairs: Sequence[Measurements]) -> list[PairSequence]:
    """Group pairs by folder and name without its last number; small groups are merged with their folder."""
    numbers: dict[str, int] = {}  # of the groups by name
    folders: list[str] = []
    group_of = np.zeros(len(pairs), np.int64)
    for i, pair in enumerate(pairs):
        group_of[i] = numbers.setdefault(_name(pair), len(numbers))
        if group_of[i] == len(folders):
            folders.append(str(Path(pair.files.visible).parent))
    groups = zip(numbers, folders, np.bincount(group_of, minlength=len(numbers)), strict=True)
    merged: dict[str, int] = {}
    sequences = [merged.setdefault(n if count >= SHORTEST else folder, len(merged)) for n, folder, count in groups]
    sequence_of = np.array(sequences, np.int64)[group_of]
    order = np.argsort(sequence_of, kind="stable")
    ends = np.cumsum(np.bincount(sequence_of, minlength=len(merged)))
    members = np.split(order, ends[:-1])
    return [PairSequence(name, Chosen(pairs, places)) for name, places in zip(merged, members, strict=bool(merged))]


def _name(pair: Measurements) -> str:
    file = Path(pair.files.visible)
    return str(file.parent / RUNNING_NUMBER.sub("", file.stem)) if RUNNING_NUMBER.search(file.stem) else str(file)


def find_misregistration(sequences: Sequence[PairSequence]) -> Iterator[Case]:
    """Yield a case for each sequence whose cameras are shifted by more than 2 % of the width."""
    for sequence in sequences:
        median = sequence.median_shift
        if median is None:
            continue
        lengths = np.hypot(*sequence.shifts.T)
        usual, clear = float(np.nanmedian(lengths)), len(sequence.clear_shifts)
        beyond = int((lengths > MISREGISTERED).sum())
        if np.hypot(*median) > MISREGISTERED:
            detail = f"infrared lies {describe_shift(*median)} (median of {clear} pairs)"
        elif beyond >= SCATTERED * clear:
            detail = f"{beyond} of {clear} pairs are off by more than {MISREGISTERED:.0%}, each by another shift"
        else:
            continue
        typical = sequence.pairs[int(np.nanargmin(np.abs(lengths - usual)))]
        yield Case("misregistered", sequence.name, detail, typical.files.both, weight=usual)


def describe_shift(x: float, y: float) -> str:
    """Return a shift in words.

    Examples:
        >>> describe_shift(0.031, -0.002)
        '3.1 % right, 0.2 % up'
    """
    return f"{abs(x):.1%} {'right' if x > 0 else 'left'}, {abs(y):.1%} {'down' if y > 0 else 'up'}".replace("%", " %")


def find_polarity_flips(sequences: Sequence[PairSequence]) -> Iterator[Case]:
    """Yield a case for each sequence whose polarity, white-hot or black-hot, differs from that of most pairs.

    Two signs are used: whether labelled objects are brighter or darker than their surroundings, and whether the layout
    of the images (a cold sky above a warm road) or its negative is like the others. If they disagree, there is no case.
    """
    boxes, layout = polarity_signs(sequences)
    verdicts = {}
    for i in range(len(sequences)):
        by_boxes, by_layout = _vote(boxes.get(i), BOXES), _vote(layout.get(i), LAYOUT)
        if by_boxes:
            verdicts[i] = 0 if by_layout == -by_boxes else by_boxes
        else:
            verdicts[i] = _vote(layout.get(i), LAYOUT_ALONE)
    majority = sum(verdict * len(sequences[i].pairs) for i, verdict in verdicts.items())
    usual = [i for i, verdict in verdicts.items() if verdict * majority > 0]
    for i, verdict in verdicts.items():
        if usual and verdict * majority < 0:
            witness = "labelled objects" if _vote(boxes.get(i), BOXES) else "layout of the images"
            detail = f"unlike '{sequences[usual[0]].name}', by the {witness}"
            pair, other = sequences[i].pairs[0], sequences[usual[0]].pairs[0]
            yield Case("polarity-flip", sequences[i].name, detail, pair.files.both, other.files.both)


def polarity_signs(sequences: Sequence[PairSequence]) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Return :func:`box_signs` and :func:`layout_signs`, with True for the usual polarity."""
    layout = layout_signs(sequences)
    layout = _mostly_true(layout, [1.0] * len(layout))
    boxes = box_signs(sequences)
    return _mostly_true(boxes, [_balance(layout[i]) if i in layout else 1.0 for i in boxes]), layout


def box_signs(sequences: Sequence[PairSequence]) -> dict[int, np.ndarray]:
    """Return whether each box is brighter than its surroundings, (K,) bool by index of a sequence.

    Only boxes of the class with the most consistent sign count, and only sequences with enough of them.
    """
    best: dict[int, np.ndarray] = {}
    most = 0.0
    for cls in sorted({cls for sequence in sequences for cls in np.unique(sequence.contrasts[:, 0]).tolist()}):
        signs = {i: _signs_of_class(sequence, cls) for i, sequence in enumerate(sequences)}
        signs = {i: s for i, s in signs.items() if len(s) >= SHORTEST}
        telling = sum(abs(s.mean() - 0.5) * len(s) for s in signs.values())
        if telling > most:
            best, most = signs, telling
    return best


def _signs_of_class(sequence: PairSequence, cls: float) -> np.ndarray:
    classes, contrasts = sequence.contrasts.T
    return contrasts[classes == cls] > 0


def layout_signs(sequences: Sequence[PairSequence]) -> dict[int, np.ndarray]:
    """Return whether each infrared image has the usual layout or its negative, (N,) bool by index of a sequence.

    The usual layout is the first principal component of all images without subtracting their mean, which does not
    change if images are inverted. Sequences that are too short are left out.
    """
    together = np.zeros((THUMBNAIL**2, THUMBNAIL**2), np.float32)
    for vectors in chain.from_iterable(map(_unit_vectors, sequences)):
        together += vectors.T @ vectors
    if not together.any():
        return {}
    direction = eigsh(together, k=1, v0=together[:, together.diagonal().argmax()])[1][:, 0]
    signs = {i: [vectors @ direction > 0 for vectors in _unit_vectors(s)] for i, s in enumerate(sequences)}
    return {i: np.concatenate(blocks) for i, blocks in signs.items() if blocks}


def _unit_vectors(sequence: PairSequence) -> Iterator[np.ndarray]:
    """Yield the infrared images that show something, if there are enough of them, in blocks (n, 1024) float32.

    Each is a thumbnail with mean 0 and norm 1, so that dot products are correlations.
    """
    shown: Iterator[np.ndarray] = (pair.thumbnail.ravel() for pair in sequence.pairs if not pair.infrared.blank)
    first = [*islice(shown, SHORTEST)]
    shown = chain(first, shown) if len(first) == SHORTEST else iter(())
    while block := [*islice(shown, BLOCK)]:
        vectors = np.stack(block).astype(np.float32)
        vectors -= vectors.mean(1, keepdims=True)
        yield vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _mostly_true(signs: dict[int, np.ndarray], weights: Iterable[float]) -> dict[int, np.ndarray]:
    """Return the signs, all inverted if most are False by the weight of their sequences."""
    total = sum(len(s) * _balance(s) * weight for s, weight in zip(signs.values(), weights, strict=True))
    return signs if total >= 0 else {i: ~s for i, s in signs.items()}


def _balance(signs: np.ndarray) -> float:
    """Return the share of True minus the share of False."""
    return 2 * float(signs.mean()) - 1


def _vote(signs: np.ndarray | None, share: float) -> int:
    """Return 1 or -1 if at least this share of the signs is True or False, else 0."""
    if signs is None:
        return 0
    return 1 if signs.mean() >= share else -1 if signs.mean() <= 1 - share else 0


def find_black_hot(sequences: Sequence[PairSequence], names: Mapping[int, str]) -> Iterator[Case]:
    """Yield a case if persons are mostly darker than their surroundings; with few of them, images decide.

    The images are judged as those of a video are by :func:`~metafusion_yolo.data.polarity.black_hot`.
    """
    judged = False
    for cls, name in names.items():
        if name.lower() not in PERSONS:
            continue
        signs = np.concatenate([np.zeros(0, bool), *(_signs_of_class(sequence, cls) for sequence in sequences)])
        if len(signs) >= BLACK_HOT:
            judged = True
            if signs.mean() <= 1 - BOXES:
                yield Case("black-hot", name, f"{np.mean(~signs):.0%} of {len(signs)} boxes")
    told = [pair.polarity for sequence in sequences for pair in sequence.pairs]
    if not judged and len(told) >= SHORTEST and black_hot(told):
        yield Case("black-hot", "infrared", f"by sky and warm spots in {told.count(-1)} of {len(told)} images")
