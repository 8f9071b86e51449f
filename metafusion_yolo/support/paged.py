"""Arrays too large for the memory, in unnamed temporary files, and selections from them without copies."""

from __future__ import annotations

import json
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")
BUFFER = 1 << 18  # bytes that are written at once


class _Unnamed:
    """Bytes in an unnamed temporary file, which is removed with the object."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with its owner
        weakref.finalize(self, self._file.close)
        self._waiting, self._size = bytearray(), 0

    def _append(self, content: bytes) -> None:
        """Append bytes; OSError if the disk is full."""
        self._waiting += content
        self._size += len(content)
        if len(self._waiting) >= BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._file.seek(self._size - len(self._waiting))
        while self._waiting:
            del self._waiting[: self._file.write(self._waiting)]

    def _read(self, start: int, end: int) -> bytes:
        self._flush()
        self._file.seek(start)
        return self._file.read(end - start)


class PagedRows(_Unnamed):
    """Rows of numbers in an unnamed temporary file.

    Args:
        dtype: Type of the numbers.
        shape: Shape of a row.

    Examples:
        >>> rows = PagedRows(np.float32, (2,))
        >>> rows.extend(np.eye(2))
        >>> rows.extend(np.ones((1, 2)))
        >>> len(rows), rows.mapped().tolist(), rows[1:2].tolist()
        (3, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0]])
    """

    def __init__(self, dtype: Any, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self._dtype, self._shape, self._count = np.dtype(dtype), shape, 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return some rows (n, *shape), read only, without a trace in the memory once they are gone."""
        size = self._dtype.itemsize * int(np.prod(self._shape))
        start, stop, _ = rows.indices(len(self))
        content = self._read(start * size, stop * size)
        return np.frombuffer(content, self._dtype).reshape(-1, *self._shape)

    def extend(self, rows: np.ndarray) -> None:
        """Append rows (n, *shape).

        Raises:
            OSError: If the disk is full.
        """
        self._append(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._count += len(rows)

    def mapped(self) -> np.ndarray:
        """Return all rows (N, *shape), read only; the system loads what is looked at, and lets go of it with them."""
        self._flush()
        if not self._count:
            return np.zeros((0, *self._shape), self._dtype)
        return np.asarray(np.memmap(self._file, self._dtype, "r", shape=(self._count, *self._shape)))


class PagedItems(_Unnamed, Sequence[Item]):
    """Items in an unnamed temporary file, each in a line of JSON; in memory they take 8 bytes each.

    Args:
        make: Makes an item of the values that were appended.

    Examples:
        >>> items = PagedItems(tuple)
        >>> items.append(["a", 1])
        >>> items[0], len(items), items[:5]
        (('a', 1), 1, [('a', 1)])
    """

    def __init__(self, make: Callable[[list[Any]], Item]) -> None:
        super().__init__()
        self._make, self._ends = make, array("q", [0])

    def append(self, values: Sequence[Any]) -> None:
        """Append an item by its values.

        Raises:
            OSError: If the disk is full.
        """
        self._append(json.dumps(values).encode())
        self._ends.append(self._size)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._ends) - 1

    def __getitem__(self, i: Any) -> Any:
        """Return an item, or a list of those of a slice."""
        if isinstance(i, slice):
            return [self[k] for k in range(len(self))[i]]
        place = range(len(self))[i]
        return self._make(json.loads(self._read(*self._ends[place : place + 2])))


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
