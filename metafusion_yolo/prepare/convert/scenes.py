"""A split by scene for data sets that publish none."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.pool import ThreadPool

import numpy as np
from ultralytics.utils import NUM_THREADS
from ultralytics.utils.tqdm import TQDM

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import read_counts, read_visible
from metafusion_yolo.prepare.convert.formats import TRAIN, VAL, Pair
from metafusion_yolo.prepare.similarity import SIDE, groups, pair_thumbnail
from metafusion_yolo.support.errors import UserValueError

SHARE = 0.2  # of the pairs, to validate with
SLACK = 1.25  # how much more a scene may make of it
LONG = 200  # pairs from which a progress bar shows


def split_by_scene(pairs: list[Pair]) -> tuple[list[Pair], str]:
    """Give each pair to "train" or "val", about 80 to 20, so that near duplicates are on one side.

    A scene is what :func:`~metafusion_yolo.prepare.similarity.groups` finds in the order of the names, from both
    cameras.
    The same pairs are split the same way every time.

    Args:
        pairs: Pairs without a split, whose files exist.

    Returns:
        The pairs, and a note that says how they were split.

    Raises:
        ValueError: If they are one scene, or fewer than two.
    """
    pairs = sorted(pairs, key=lambda pair: pair.name)
    with ThreadPool(NUM_THREADS) as pool:
        work = pool.imap(_thumbnail, pairs)
        shown = TQDM(work, total=len(pairs), desc="Looking for scenes", disable=len(pairs) < LONG or None)
        scenes = groups(np.stack(list(shown))) if pairs else []
    splits = share_out([len(scene) for scene in scenes])
    if VAL not in splits:
        raise UserValueError(
            f"no split is published, and the {len(pairs)} pairs are {len(scenes)} scene{'s' * (len(scenes) != 1)} by "
            "their looks, which cannot be split; sort them into folders train and val"
        )
    of_pair = {i: split for scene, split in zip(scenes, splits, strict=True) for i in scene}
    note = (
        f"split: none is published; {len(scenes)} scenes of pairs that look alike, the largest of "
        f"{max(map(len, scenes))}, each on one side, {1 - SHARE:.0%} to {SHARE:.0%}"
    )
    return [replace(pair, split=of_pair[i]) for i, pair in enumerate(pairs)], note


def share_out(sizes: list[int]) -> list[str]:
    """Return "train" or "val" for scenes of these sizes: the largest first, each to the side that lacks more.

    Example:
        >>> share_out([1, 5, 2, 2])
        ['train', 'train', 'val', 'train']
    """
    total = sum(sizes)
    wanted = {TRAIN: (1 - SHARE) * total, VAL: SHARE * total}
    have = {TRAIN: 0, VAL: 0}
    sides = [""] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        lack = {side: 1 - have[side] / max(wanted[side], 1e-9) for side in have}
        fits = have[VAL] + sizes[i] <= max(1, SLACK * wanted[VAL])
        sides[i] = VAL if lack[VAL] > lack[TRAIN] and fits else TRAIN
        have[sides[i]] += sizes[i]
    return sides


def _thumbnail(pair: Pair) -> np.ndarray:
    """Return that of a pair; zeros for what cannot be read, which is like nothing else."""
    try:
        return pair_thumbnail(read_visible(pair.visible), read_counts(pair.infrared))
    except PairError:
        return np.zeros(2 * SIDE**2, np.float32)
