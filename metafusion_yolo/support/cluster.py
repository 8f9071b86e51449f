"""Work in blocks: by this process, by jobs of a queue, or by Ray, whose actors each keep what is slow to load."""

from __future__ import annotations

import logging
import math
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from metafusion_yolo.support.errors import MissingPackageError, UserError, UserValueError

MOST, FEWEST, BLOCKS = 1000, 4, 64  # items of a block; blocks that few items are cut into
Worker = Callable[[Any], Any]
Item = TypeVar("Item")


def block_size(count: int) -> int:
    """Return how many of so many items one block holds."""
    return min(max(math.ceil(count / BLOCKS), FEWEST), MOST)


def in_blocks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield items in blocks, in their order."""
    size = block_size(len(items))
    return (items[start : start + size] for start in range(0, len(items), size))


def share_of(part: str | None) -> tuple[int, int]:
    """Return the number of a share, from 1, and that of all shares.

    Raises:
        UserValueError: If the text says neither.

    Examples:
        >>> share_of("3/100"), share_of(None)
        ((3, 100), (1, 1))
    """
    if part is None:
        return 1, 1
    found: Any = re.fullmatch(r"(\d+)/(\d+)", str(part).strip())
    number, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise UserValueError(
            f"'part={part}' is invalid, expected the number of a share and of all, from 1/100 to 100/100"
        )
    return number, count


def share(items: Sequence[Item], part: str | None) -> Sequence[Item]:
    """Return the share of items that a job does, neighbours together.

    Examples:
        >>> share("abcde", "2/2"), share("abcde", None)
        ('cde', 'abcde')
    """
    if part is None:
        return items
    number, count = share_of(part)
    return items[len(items) * (number - 1) // count : len(items) * number // count]


def each(
    make: Callable[[str | int | None], Worker],
    blocks: Iterable[Any],
    engine: str = "local",
    workers: int | None = None,
    gpu: bool = False,
) -> Iterator[tuple[int, Any]]:
    """Let workers do blocks, and yield the number of each with its result as it ends.

    Args:
        make: Makes a worker, given the device: None for whatever is there, on a cluster "cpu" or 0, the first GPU.
        blocks: What the workers are called with. On a cluster they and the results travel, and so must `make`; a
            block whose actor dies goes to another.
        engine: "local" or "ray".
        workers: Actors; None or 0 for one per GPU if they want GPUs and there are any, else per core.
        gpu: Whether they want GPUs.

    Raises:
        UserError: As the workers, or if Ray is not installed.
    """
    if engine == "ray":
        yield from _on_ray(make, [*blocks], workers, gpu)
        return
    worker = None
    for number, block in enumerate(blocks):
        worker = worker or make(None)
        yield number, worker(block)


def in_order(done: Iterable[tuple[int, Item]]) -> Iterator[Item]:
    """Yield the results of blocks in the order of their numbers; what ends before its turn waits.

    Examples:
        >>> [*in_order([(1, "b"), (0, "a"), (2, "c")])]
        ['a', 'b', 'c']
    """
    early: dict[int, Item] = {}
    turn = 0
    for number, result in done:
        early[number] = result
        while turn in early:
            yield early.pop(turn)
            turn += 1


class _Actor:
    """A worker on a cluster; mistakes of the user are returned as values, so that they become one line there too."""

    def __init__(self, make: Any, gpu: bool) -> None:
        import cv2
        import ray

        cv2.setNumThreads(1)
        self._work = ray.get(make)(0 if gpu else "cpu")

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        results = []
        for block in rows["block"]:
            try:
                result = self._work(pickle.loads(block))
            except UserError as error:
                result = error
            results.append(pickle.dumps(result))
        return {"number": list(rows["number"]), "result": results}


def _on_ray(make: Any, blocks: list[Any], workers: int | None, gpu: bool) -> Iterator[tuple[int, Any]]:
    if find_spec("ray") is None:
        raise MissingPackageError(
            "engine=ray needs ray, which is not installed: pip install 'metafusion-yolo[scale]'", name="ray"
        )
    import ray

    if not blocks:
        return
    if not ray.is_initialized():
        ray.init(include_dashboard=False, logging_level=logging.WARNING)
    there = ray.cluster_resources()
    gpu = gpu and there.get("GPU", 0) > 0
    workers = min(workers or int(there["GPU" if gpu else "CPU"]), len(blocks))
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"number": number, "block": pickle.dumps(block)} for number, block in enumerate(blocks)]
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Actor,
        fn_constructor_args=(ray.put(make), gpu),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=1 if gpu else 0,
    )
    for row in done.iter_rows():
        result = pickle.loads(row["result"])
        if isinstance(result, UserError):
            raise result
        yield int(row["number"]), result
