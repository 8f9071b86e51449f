"""Results as Parquet files in a folder or an object store, each written as a whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from metafusion_yolo.support.errors import MissingFileError, MissingPackageError, UserValueError
from metafusion_yolo.support.files import replacing

LOGGER = logging.getLogger(__name__)
POINTS = pa.list_(pa.list_(pa.list_(pa.float32())))  # a list of points for each object
PLACE = pa.struct({axis: pa.float32() for axis in "xy"})
HEAT = {key: pa.float32() for key in ("min", "mean", "max", "contrast")} | {"hot": PLACE, "unit": pa.string()}
MARK = b"PAR1"  # that a Parquet file ends with
DESCRIPTION = "_run.json"  # readers of Parquet folders pass over names that begin like this
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("visible", pa.string()),
        ("infrared", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("boxes", pa.list_(pa.list_(pa.float32(), 4))),
        ("scores", pa.list_(pa.float32())),
        ("classes", pa.list_(pa.int32())),
        ("weights", pa.list_(pa.float32())),
        ("infrared_weight", pa.float32()),
        ("outlines", POINTS),
        ("keypoints", POINTS),
        ("probabilities", pa.list_(pa.float32())),
        ("temperatures", pa.list_(pa.struct(HEAT))),
        ("model", pa.string()),
        ("error", pa.string()),
    ]
)


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content, in 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def filesystem(address: str, shared: bool = True) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it.

    Args:
        address: A path, or an address that `fsspec` knows.
        shared: Whether an address in the memory of this process is allowed.

    Raises:
        UserError: As :func:`check_scheme`, or if it is no address of its scheme, or cannot be reached.
    """
    check_scheme(address, shared)
    try:
        system, path = fsspec.core.url_to_fs(address)
    except (ValueError, OSError) as error:
        raise UserValueError(f"'{address}' cannot be reached ({' '.join(str(error).split())}); check it") from error
    return system, str(path)


def file_of(address: str) -> str:
    """Return the file that an address names, without what it lies in or is asked for.

    Examples:
        >>> file_of("zip://night/0.npy::all.zip"), file_of("https://host/0.npy?key=1"), file_of("why?.png")
        ('zip://night/0.npy', 'https://host/0.npy', 'why?.png')
    """
    file = address.partition("::")[0]
    return file.partition("?")[0] if "://" in file else file


def check_scheme(address: str, shared: bool = True) -> None:
    """Check that there is a reader for addresses like this; arguments as of :func:`filesystem`.

    Raises:
        UserError: If there is no such scheme, its package is not installed, or others cannot reach it.
    """
    scheme = address.partition("://")[0].rpartition("::")[2] if "://" in address else "file"
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingPackageError(f"'{address}': {' '.join(str(error).split())}") from error
    except ValueError as error:
        raise UserValueError(
            f"unknown scheme '{scheme}://' in '{address}'; give a path, or what fsspec opens: s3://, gs://, ..."
        ) from error
    if scheme == "memory" and not shared:
        raise UserValueError(f"'{address}' lies in the memory of this process, which the workers cannot read")


class Store:
    """The files of a result.

    Args:
        out: Folder or address.
        shared: As for :func:`filesystem`.

    Raises:
        UserError: As :func:`filesystem`.
    """

    def __init__(self, out: str, shared: bool = True) -> None:
        self.out = out
        self._system, self._root = filesystem(out, shared)
        self._root = self._root.rstrip("/")
        self._local = "file" in self._system.protocol
        if self._local:
            if Path(self._root).is_file():
                raise UserValueError(f"out='{out}' is a file; give a folder for the Parquet files")
            Path(self._root).mkdir(parents=True, exist_ok=True)

    def begin(self, description: dict[str, Any]) -> None:
        """Write the description of the results, or check that existing ones have the same.

        Raises:
            UserValueError: If they are of another model, manifest, or settings.
        """
        path = f"{self._root}/{DESCRIPTION}"
        try:
            before = dict(json.loads(self._system.cat_file(path)))
        except FileNotFoundError:
            if self._files():
                raise MissingFileError(
                    f"out='{self.out}' holds Parquet files of unknown origin; give another"
                ) from None
            self._put(DESCRIPTION, json.dumps(description, indent=1).encode())
            return
        except (ValueError, TypeError) as error:
            raise UserValueError(f"'{path}' is damaged ({error}); give another out=") from error
        for key, value in description.items():
            if before.get(key) != value:
                told = [
                    str(one)[:12] if key in ("model", "manifest", "data") else one for one in (before.get(key), value)
                ]
                raise UserValueError(
                    f"out='{self.out}' holds results of another {key}, {told[0]} and not {told[1]}; give another"
                )

    def done(self) -> set[int]:
        """Return the numbers of the existing files; one that is cut off or blank does not count, and is said."""
        names = self._files()
        ends = self._system.cat_ranges(names, [-len(MARK)] * len(names), [None] * len(names))
        if damaged := [name for name, end in zip(names, ends, strict=True) if end != MARK]:
            LOGGER.warning("%d files are damaged, and done again, for example '%s'", len(damaged), damaged[0])
        found = (re.search(r"part-(\d+)\.parquet$", name) for name in names if name not in damaged)
        return {int(one[1]) for one in found if one}

    def _files(self) -> list[str]:
        return [str(name) for name in self._system.glob(f"{self._root}/part-*.parquet")]

    def write(self, index: int, rows: list[dict[str, Any]], names: dict[int, str]) -> None:
        """Write a file, or replace it."""
        schema = SCHEMA.with_metadata({"names": json.dumps(names)})
        content = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema), content, compression="zstd")
        self._put(f"part-{index:07}.parquet", content.getvalue())

    def _put(self, name: str, content: bytes) -> None:
        path = f"{self._root}/{name}"
        if not self._local:
            self._system.pipe_file(path, content)  # an object is there as a whole or not at all
            return
        with replacing(Path(path), durable=True, writer=uuid4().hex) as part:  # a job may run twice
            part.write_bytes(content)
