"""A worker: read the pairs of a block, detect, and write one Parquet file."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import pyarrow as pa

from metafusion_yolo.options.serve import Serve
from metafusion_yolo.runtime.reading import read_counts, read_visible
from metafusion_yolo.scale.store import Store, digest, file_of, filesystem
from metafusion_yolo.serve.engines import Engine, Found, found_each, load_engine
from metafusion_yolo.serve.uploads import Pair
from metafusion_yolo.support.errors import MissingFileError, UserError, UserValueError

READERS = 4  # threads that read and decode ahead of the detector
TRIES = 3  # of an address that does not answer
LONGEST = 300  # letters of an error that are kept


class Done(NamedTuple):
    """A written file: its number, its pairs, those with an error, an example of these, and the time taken."""

    number: int
    pairs: int
    failed: int
    example: str
    seconds: float


@dataclass(frozen=True)
class Job:
    """Model and settings, as sent to the workers.

    Attributes:
        model: Content of the file of the model.
        name: Name of that file.
        data: Text of the data-set YAML; None if the model knows the cameras.
        settings: conf, iou, imgsz, device, batch.
        base: Folder or address that relative addresses are below.
    """

    model: bytes
    name: str
    data: bytes | None
    settings: dict[str, Any]
    base: str

    @classmethod
    def of(cls, model: str | Path, data: str | Path | None, settings: dict[str, Any], base: str) -> Job:
        """Read the files of a job.

        Raises:
            UserError: If one does not exist, or the model is of another kind.
        """
        suffix = Path(model).suffix
        if suffix not in (".onnx", ".pt"):
            raise UserValueError(f"model='{model}' cannot be used with out=; give an ONNX file or a checkpoint (.pt)")
        if suffix == ".onnx" and settings["imgsz"]:
            raise UserValueError(f"'imgsz={settings['imgsz']}': an ONNX file has the size that it was exported with")
        if suffix == ".onnx" and settings["device"] not in (None, "cpu"):
            raise UserValueError(
                f"'device={settings['device']}': an ONNX file runs on the CPU here; give the checkpoint"
            )
        described = _content(data, "data-set YAML") if data else None
        return cls(_content(model, "model"), Path(model).name, described, settings, base)

    @property
    def description(self) -> dict[str, Any]:
        """Description that identifies the results of this job."""
        told = {key: value for key, value in self.settings.items() if key not in ("device", "batch")}
        return {**told, "model": digest(self.model), "data": digest(self.data) if self.data else None}

    @property
    def wants_gpu(self) -> bool:
        """Whether its workers run on GPUs, where there are any."""
        return self.name.endswith(".pt") and self.settings["device"] != "cpu"

    def load(self, folder: str, device: str | int | None = None, threads: int = 0) -> Engine:
        """Load the detector from a folder, which must exist as long as the detector."""
        model, data = Path(folder, self.name), Path(folder, "data.yaml")
        model.write_bytes(self.model)
        if self.data:
            data.write_bytes(self.data)
        given = {key: self.settings[key] for key in ("iou", "imgsz", "batch")}
        options = Serve(str(model), str(data) if self.data else None, device=device, **given)
        return load_engine(options, self.settings["conf"], threads)

    def check(self) -> None:
        """Load the detector once, before others do.

        Raises:
            UserError: If it cannot be loaded, or its cameras need more than a pair to be understood.
        """
        with tempfile.TemporaryDirectory() as folder:
            engine = self.load(folder, "cpu")
        if not engine.thermal.per_image:
            raise UserValueError(
                f"'thermal: scope: {engine.thermal.scope}' takes the limits of an image from its neighbours, which a "
                f"manifest does not name; give data=, a YAML with scope: image or a fixed range"
            )
        if self.name.endswith(".pt") and engine.registration and engine.registration.sequences:
            raise UserValueError("a checkpoint does not register by sequence here; export it to ONNX, which does")


def _content(file: str | Path, kind: str) -> bytes:
    system, path = filesystem(str(file))
    try:
        return bytes(system.cat_file(path))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingFileError(f"no {kind} '{file}'; give the path or address of an existing file") from error


def worker_of(job: Job, store: Store, device: str | int | None) -> Worker:
    """Make a worker: of this process, or of a cluster, where each has one core."""
    return Worker(job, store, device, 0 if device is None else 1)


class Worker:
    """A detector, and the files it writes.

    Args:
        job: What to detect with.
        store: Where to write.
        device: Device of a checkpoint; None for that of the job.
        threads: Threads of the network on the CPU; 0 for all cores.
    """

    def __init__(self, job: Job, store: Store, device: str | int | None = None, threads: int = 0) -> None:
        self._job, self._store, self._hash = job, store, digest(job.model)
        self._folder = tempfile.TemporaryDirectory(prefix="metafusion-")
        self._engine = job.load(self._folder.name, job.settings["device"] if device is None else device, threads)
        self._pool = ThreadPoolExecutor(READERS, "reader")

    def __call__(self, block: tuple[int, pa.Table]) -> Done:
        """Detect on the rows of a numbered block, and write their file."""
        number, listed = block
        begun = time.monotonic()
        rows = list(self.rows(listed.to_pylist()))
        self._store.write(number, rows, self._engine.names)
        errors = [row["error"] for row in rows if row.get("error")]
        return Done(number, len(rows), len(errors), errors[0] if errors else "", time.monotonic() - begun)

    def rows(self, listed: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield a row of the result for each row of the manifest, in order, reading ahead."""
        batch = max(self._engine.together, READERS)
        read = _ahead(self._pool, self._read, listed, 2 * batch)
        for some in _batched(zip(listed, read, strict=True), batch):
            found = self._detect([pair for _, pair in some])
            for (row, _), one in zip(some, found, strict=True):
                yield {**row, "model": self._hash, **one}

    def _read(self, row: dict[str, Any]) -> Pair | str:
        """Return a pair, or why it cannot be read."""
        try:
            addresses = [self._address(row[camera], camera) for camera in ("visible", "infrared")]
            contents = [_fetch(address) for address in addresses]
            visible, infrared = map(file_of, addresses)
            counts = read_counts(infrared, contents[1], self._engine.thermal.unit)
            return Pair(read_visible(visible, contents[0]), counts, visible)
        except Exception as error:  # each store and decoder has its own; the row says which
            return _told(error)

    def _address(self, written: str | None, camera: str) -> str:
        if not written:
            raise UserValueError(f"the manifest names no {camera} image")
        if "://" in written or Path(written).is_absolute():
            return written
        folder, chain, archive = self._job.base.partition("::")
        return f"{folder}/{written}{chain}{archive}"

    def _detect(self, pairs: Sequence[Pair | str]) -> list[dict[str, Any]]:
        """Return the detections of each pair, or its error."""
        found = iter(found_each(self._engine, [pair for pair in pairs if isinstance(pair, Pair)]))
        results = [pair if isinstance(pair, str) else next(found) for pair in pairs]
        return [_columns(one) if isinstance(one, Found) else {"error": _told(one)} for one in results]


def _columns(found: Found) -> dict[str, Any]:
    """Return detections as values of a row."""
    return {
        "height": found.size[0],
        "width": found.size[1],
        "boxes": found.boxes_xyxy.tolist(),
        "scores": found.scores.tolist(),
        "classes": found.classes.tolist(),
        "weights": None if found.shares is None else found.shares.tolist(),
        "infrared_weight": found.share,
        "outlines": _points(found.outlines),
        "keypoints": _points(found.keypoints),
        "probabilities": None if found.probabilities is None else found.probabilities.tolist(),
        "temperatures": found.temperatures,
    }


def _points(objects: Sequence[np.ndarray] | np.ndarray | None) -> list[Any] | None:
    return None if objects is None else [one.tolist() for one in objects]


def _fetch(address: str) -> bytes:
    """Return the content of an address, with retries."""
    for turn in range(TRIES):
        try:
            with fsspec.open(address, "rb") as file:
                return bytes(file.read())
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            raise
        except OSError:
            if turn == TRIES - 1:
                raise
            time.sleep(2**turn)
    raise RuntimeError(address)  # not reached


def _told(error: Exception | str) -> str:
    """Return an error in one line."""
    text = " ".join(str(error).split())[:LONGEST]
    return text if isinstance(error, (UserError, str)) else f"{type(error).__name__}: {text}"


def _ahead(pool: ThreadPoolExecutor, call: Callable[[Any], Any], items: Iterable[Any], most: int) -> Iterator[Any]:
    """Yield the results of a call for each item, in order, with a limited number of calls ahead."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield lists of this many items; the last may be shorter."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
