"""Samples that stand for many items."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """Return at most `most` items, evenly spread from the first to the last.

    Args:
        items: Any number of them.
        most: At least 1.

    Examples:
        >>> evenly(range(100), 4), evenly("ab", 4), evenly(range(9), 1)
        ([0, 33, 66, 99], 'ab', [0])
    """
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / max(most - 1, 1))] for i in range(most)]
