"""Arrays too large for the memory, in unnamed temporary files, and selections from them without copies."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, TypeVar

import numpy as np

Item = TypeVar("Item")
BUFFER = 1 << 18  # bytes that are written at once


def unnamed_file(owner: object) -> IO[bytes]:
    """Return an unnamed temporary file, which is removed with its owner."""
    file = tempfile.TemporaryFile(buffering=BUFFER)  # noqa: SIM115 - closed with its owner
    weakref.finalize(owner, _close, file)
    return file


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # of a full disk, which was told when it was written to
        file.close()


class PagedRows:
    """Rows of numbers in an unnamed temporary file, which is removed with the object.

    Args:
        dtype: Type of the numbers.
        shape: Shape of a row.

    Examples:
        >>> rows = PagedRows(np.float32, (2,))
        >>> rows.extend(np.eye(2))
        >>> rows.extend(np.ones((1, 2)))
        >>> len(rows), rows.mapped().tolist()
        (3, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    """

    def __init__(self, dtype: Any, shape: tuple[int, ...] = ()) -> None:
        self._dtype, self._shape, self._count = np.dtype(dtype), shape, 0
        self._file = unnamed_file(self)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def extend(self, rows: np.ndarray) -> None:
        """Append rows (n, *shape).

        Raises:
            OSError: If the disk is full.
        """
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._count += len(rows)

    def mapped(self) -> np.ndarray:
        """Return all rows (N, *shape), read only; the system loads what is accessed, and frees it with the array."""
        self._file.flush()
        if not self._count:
            return np.zeros((0, *self._shape), self._dtype)
        return np.asarray(np.memmap(self._file, self._dtype, "r", shape=(self._count, *self._shape)))


class Chosen(Sequence[Item]):
    """Some items of a sequence, looked up on access.

    Args:
        items: The sequence.
        places: Which of its items, (N,) int.

    Examples:
        >>> chosen = Chosen("abcde", np.array([4, 0]))
        >>> len(chosen), chosen[1], [*chosen], chosen[:1]
        (2, 'a', ['e', 'a'], ['e'])
    """

    def __init__(self, items: Sequence[Item], places: np.ndarray) -> None:
        self._items, self._places = items, places

    def __len__(self) -> int:
        """Return the number of chosen items."""
        return len(self._places)

    def __getitem__(self, i: Any) -> Any:
        """Return an item, or a list of those of a slice."""
        if isinstance(i, slice):
            return [self._items[int(place)] for place in self._places[i]]
        return self._items[int(self._places[i])]

    def __iter__(self) -> Iterator[Item]:
        """Yield each item."""
        return (self._items[int(place)] for place in self._places)
