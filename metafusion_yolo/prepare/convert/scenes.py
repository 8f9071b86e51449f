"""A split by scene for data sets without a published one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np
from ultralytics.utils import NUM_THREADS
from ultralytics.utils.tqdm import TQDM

from metafusion_yolo.data.pairs import PairError
from metafusion_yolo.data.reading import read_counts, read_visible
from metafusion_yolo.prepare.convert.formats import Pair
from metafusion_yolo.prepare.similarity import SIDE, groups, pair_thumbnail
from metafusion_yolo.support.errors import UserValueError
from metafusion_yolo.support.paged import PagedRows

SHARE = 0.2  # of the pairs for validation
SLACK = 1.25  # factor by which a scene may exceed that share
LONG = 200  # pairs from which a progress bar is shown


def split_by_scene(pairs: list[Pair]) -> tuple[list[Pair], str]:
    """Assign each pair to "train" or "val", about 80 to 20, with near duplicates on one side.

    Scenes are the :func:`~metafusion_yolo.prepare.similarity.groups` of the pairs in the order of their names, so the
    same pairs are always split the same way.

    Args:
        pairs: Pairs without a split, whose files exist.

    Returns:
        The pairs with a split, and a note on how they were split.

    Raises:
        ValueError: If there are fewer than two scenes.
    """
    pairs = sorted(pairs, key=lambda pair: pair.name)
    scenes = scenes_of(pairs, lambda pair: (read_visible(pair.visible), read_counts(pair.infrared)))
    splits = share_out([len(scene) for scene in scenes])
    if "val" not in splits:
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


def scenes_of(pairs: Sequence[Any], read: Callable[[Any], tuple[np.ndarray, np.ndarray]]) -> list[list[int]]:
    """Return the :func:`~metafusion_yolo.prepare.similarity.groups` of pairs, whose looks lie in a file meanwhile.

    Args:
        pairs: In the order of their names.
        read: Returns the visible and the infrared image of one; who cannot be read resembles nothing.
    """

    def look(pair: Any) -> np.ndarray:
        try:
            return pair_thumbnail(*read(pair))
        except PairError:
            return np.zeros(2 * SIDE**2, np.float32)

    looks = PagedRows(np.float32, (2 * SIDE**2,))
    with ThreadPool(NUM_THREADS) as pool:
        for one in TQDM(
            pool.imap(look, pairs), total=len(pairs), desc="Looking for scenes", disable=len(pairs) < LONG or None
        ):
            looks.extend(one[None])
    return groups(looks.mapped())


def share_out(sizes: list[int]) -> list[str]:
    """Return "train" or "val" for scenes of these sizes; the largest come first, each goes to the emptier side.

    Examples:
        >>> share_out([1, 5, 2, 2])
        ['train', 'train', 'val', 'train']
    """
    total = sum(sizes)
    wanted = {"train": (1 - SHARE) * total, "val": SHARE * total}
    have = dict.fromkeys(wanted, 0)
    sides = [""] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        lack = {side: 1 - have[side] / max(wanted[side], 1e-9) for side in have}
        fits = have["val"] + sizes[i] <= max(1, SLACK * wanted["val"])
        sides[i] = "val" if lack["val"] > lack["train"] and fits else "train"
        have[sides[i]] += sizes[i]
    return sides
