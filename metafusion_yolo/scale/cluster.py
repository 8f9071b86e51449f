"""The same work on a cluster: Ray Data, with a pool of actors that each keep a detector."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from metafusion_yolo.scale.store import Store
from metafusion_yolo.scale.work import Done, Job, Worker


class Actor:
    """A worker of the pool.

    Args:
        job: Reference of the :class:`Job` in Ray's store.
        store: Where to write.
        device: Device of a checkpoint; None for the CPU.
    """

    def __init__(self, job: Any, store: Store, device: str | int | None) -> None:
        import ray

        self._worker = Worker(ray.get(job), store, "cpu" if device is None else device, threads=1)

    def __call__(self, block: pa.Table) -> pa.Table:
        """Write the file of the block in the one row of the table; return what :class:`Done` says of it."""
        rows = pa.table({name: block[name].combine_chunks().flatten() for name in ("visible", "infrared", "row")})
        return pa.Table.from_pylist([self._worker.write(block["number"][0].as_py(), rows)._asdict()])


def on_cluster(job: Job, store: Store, blocks: Iterator[tuple[int, Any]], workers: int | None) -> Iterator[Done]:
    """Detect on blocks of a manifest, each by one call of an actor; a block whose actor dies goes to another.

    Args:
        job: What to detect with.
        store: Where to write.
        blocks: Number and rows of each.
        workers: Actors; None for one a GPU if a checkpoint finds GPUs, else one a core.

    Yields:
        What was done, in the order in which it ends.
    """
    import ray

    tables = [_as_one_row(number, rows) for number, rows in blocks]
    if not tables:
        return
    if not ray.is_initialized():
        ray.init(include_dashboard=False, logging_level=logging.WARNING)
    there = ray.cluster_resources()
    gpu = job.suffix == ".pt" and job.settings["device"] != "cpu" and there.get("GPU", 0) > 0
    workers = min(workers or int(there["GPU" if gpu else "CPU"]), len(tables))
    ray.data.DataContext.get_current().enable_progress_bars = False
    done = ray.data.from_arrow(tables).map_batches(
        Actor,
        fn_constructor_args=(ray.put(job), store, 0 if gpu else None),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
        num_gpus=1 if gpu else 0,
    )
    for row in done.iter_rows():
        yield Done(**row)


def _as_one_row(number: int, rows: pa.Table) -> pa.Table:
    """Return a block as a table of one row of lists, which Ray hands to an actor as a whole."""
    columns = {name: pa.array([rows[name].to_pylist()]) for name in ("visible", "infrared", "row")}
    return pa.table({"number": [number], **columns})
