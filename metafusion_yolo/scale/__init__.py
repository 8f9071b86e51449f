"""Prediction on millions of pairs: a manifest in, Parquet files out, by one process, by jobs of a queue, or by Ray.

Examples:
    >>> from metafusion_yolo import scale
    >>> print(scale.predict("best.onnx", "pairs.parquet", "found", engine="ray", workers=8))  # doctest: +SKIP

ONNX files need no PyTorch. The rows of the manifest are cut into blocks, in their order; a block becomes one file when
all of its pairs are done. So files are always complete, and the same call again writes the missing ones.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from metafusion_yolo.options.scale import Scale
from metafusion_yolo.support.cluster import block_size, each, share_of
from metafusion_yolo.support.errors import MissingPackageError, UserValueError

if TYPE_CHECKING:
    from metafusion_yolo.scale.work import Done

LOGGER = logging.getLogger(__name__)
SAID_EVERY = 30.0  # seconds between two lines of progress


@dataclass(frozen=True)
class Summary:
    """Summary of a call.

    Attributes:
        out: Where the Parquet files are.
        pairs: Pairs of the manifest, or of this call's share of it.
        before: How many of them were done before this call.
        failed: How many of those done now are rows with an error.
        example: Such an error; empty if there is none.
        seconds: From the first pair to the last, without the start.
    """

    out: str
    pairs: int
    before: int
    failed: int
    example: str
    seconds: float

    def __str__(self) -> str:
        """Return two lines, or three with the errors."""
        now = self.pairs - self.before
        rate = f", {now / self.seconds:.1f} a second" if now and self.seconds else ""
        text = f"{self.pairs} pairs, {self.before} of them done before{rate}\nResults: {self.out}"
        if self.failed:
            text += f"\n{self.failed} pairs have an error in place of boxes, for example: {self.example}"
        return text


def predict(
    model: str | Path,
    source: str | Path,
    out: str | Path,
    engine: str = Scale.engine,
    workers: int | None = None,
    part: str | None = None,
    data: str | Path | None = None,
    conf: float = 0.25,
    iou: float = 0.7,
    imgsz: int | None = None,
    device: str | int | None = None,
    batch: int = 16,
) -> Summary:
    """Detect on all pairs of a manifest.

    Args:
        model: ONNX file of `metafusion export`, which needs no PyTorch, or a checkpoint. It is sent to the workers.
        source: CSV or Parquet file with the columns `visible` and `infrared`, an address in each: a path, relative to
            the manifest, or whatever `fsspec` opens (`s3://`, `gs://`, `https://`).
        out: Folder or address of the Parquet files, with one row per pair: its `row` in the manifest, both addresses,
            `height`, `width`, `boxes` (x1, y1, x2, y2 in pixels of the visible image), `scores`, `classes`, `weights`
            (share of the infrared camera in each box, where the model tells it), `infrared_weight` (that of the image),
            `outlines`, `keypoints`, `probabilities`, `temperatures` (by task and camera, null for others),
            `model` (SHA-256 of its file), and `error`, null where there is none.
        engine: "local": this process; "ray": the cluster that `RAY_ADDRESS` names, else one of this machine.
        workers: Detectors that Ray keeps at work; None or 0 for one per GPU (checkpoints) or core (ONNX).
        part: The share to do, such as "3/100"; shares of one manifest go to one `out`.
        data: Data-set YAML of these cameras, if they are not those of the training.
        conf: Lowest score.
        iou: Largest overlap of two boxes of one class.
        imgsz: Image size in pixels, of checkpoints; None for the model's.
        device: Device of a checkpoint, as for the host; None for the GPUs of the cluster, or this machine's.
        batch: Most pairs that are given to the network together, where it takes several.

    Raises:
        UserError: If an argument, the manifest, the model or a package is wrong or missing, `out` holds results of
            another model, manifest or settings, or no pair at all could be used.
    """
    Scale(engine, workers, part, str(out))
    try:
        from metafusion_yolo.scale.manifest import read_manifest
        from metafusion_yolo.scale.store import Store
        from metafusion_yolo.scale.work import Job, worker_of
    except ModuleNotFoundError as error:
        raise _missing(error.name) from error
    if engine == "ray" and find_spec("ray") is None:
        raise _missing("ray")
    share = share_of(part)
    manifest = read_manifest(str(source), shared=engine != "ray")
    store = Store(str(out), shared=engine != "ray")
    job = Job.of(
        model, data, {"conf": conf, "iou": iou, "imgsz": imgsz, "device": device, "batch": batch}, manifest.base
    )
    job.check()
    rows = block_size(len(manifest))
    chosen = range(math.ceil(len(manifest) / rows))[share[0] - 1 :: share[1]]
    store.begin({**job.description, "manifest": manifest.digest, "pairs": len(manifest), "rows": rows})
    there = store.done()
    missing_files = [index for index in chosen if index not in there]
    pairs, todo = (sum(min(rows, len(manifest) - i * rows) for i in some) for some in (chosen, missing_files))
    begun = time.monotonic()
    done: list[Done] = []
    blocks = ((index, manifest.rows(index * rows, rows)) for index in missing_files)
    work = each(partial(worker_of, job, store), blocks, engine, workers, job.wants_gpu)
    for one in _told((one for _, one in work), todo):
        begun = begun if done else time.monotonic() - one.seconds
        done.append(one)
    failed = sum(one.failed for one in done)
    example = next((one.example for one in done if one.failed), "")
    if done and failed == sum(one.pairs for one in done):
        raise UserValueError(
            f"none of {failed} pairs could be used, for example: {example}; '{out}' holds a row for each"
        )
    return Summary(str(out), pairs, pairs - todo, failed, example, time.monotonic() - begun)


def _missing(package: str | None) -> MissingPackageError:
    """Return the error for a package of the extra that is not installed."""
    return MissingPackageError(
        f"prediction on a manifest needs {package}, which is not installed: pip install 'metafusion-yolo[scale]'",
        name=package,
    )


def _told(done: Iterator[Done], pairs: int) -> Iterator[Done]:
    """Yield finished files, and log the progress now and then."""
    begun = said = time.monotonic()
    count = 0
    for one in done:
        yield one
        count += one.pairs
        if time.monotonic() - said > SAID_EVERY:
            said = time.monotonic()
            LOGGER.info("%d of %d pairs, %.1f a second", count, pairs, count / (said - begun))
