"""The list of pairs: a CSV or Parquet file with two addresses per row."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from metafusion_yolo.scale.store import check_scheme, digest, file_of, filesystem
from metafusion_yolo.support.errors import MissingFileError, UserValueError

COLUMNS = ("visible", "infrared")
SUFFIXES = (".csv", ".parquet", ".pq")


class Manifest:
    """The pairs, in the order of their rows.

    Attributes:
        base: Folder or address that relative addresses are below.
        digest: SHA-256 of the file.

    Args:
        table: The two columns.
        base: See above.
        digest: See above.
    """

    def __init__(self, table: pa.Table, base: str, digest: str) -> None:
        self._table, self.base, self.digest = table, base, digest

    def __len__(self) -> int:
        """Return the number of pairs."""
        return int(self._table.num_rows)

    def rows(self, start: int, count: int) -> pa.Table:
        """Return the rows from `start` on, at most `count`, with their numbers in the column `row`."""
        table = self._table.slice(start, count)
        return table.append_column("row", pa.array(range(start, start + table.num_rows), pa.int64()))


def read_manifest(source: str, shared: bool = True) -> Manifest:
    """Read a manifest, and check that its schemes can be opened.

    Args:
        source: Path or address of a CSV file with a header, or of a Parquet file.
        shared: Whether addresses in the memory of this process are allowed.

    Raises:
        UserError: If it does not exist, is no such file, lacks a column, is empty, or holds an unknown scheme.
    """
    suffix = Path(file_of(source)).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserValueError(
            f"'{source}' is not a manifest; with out=, give a .csv or .parquet of the columns {wanted()}"
        )
    system, path = filesystem(source, shared)
    try:
        content = system.cat_file(path)
    except OSError as error:
        if not isinstance(error, (FileNotFoundError, IsADirectoryError)):
            raise UserValueError(f"'{source}' cannot be read ({' '.join(str(error).split())}); check it") from error
        raise MissingFileError(f"no manifest '{source}'; give a .csv or .parquet of the columns {wanted()}") from error
    table = _table(source, suffix, content)
    if absent := [name for name in COLUMNS if name not in table.column_names]:
        raise UserValueError(
            f"'{source}' has no column '{absent[0]}' but {', '.join(map(repr, table.column_names[:9]))}; "
            f"give {wanted()}, an address of an image in each row"
        )
    try:
        columns = [table[name].cast(pa.string()) for name in COLUMNS]
    except (KeyError, pa.ArrowException) as error:  # a column twice, or of no texts
        told = f"'{source}' has other columns ({' '.join(str(error).split())})"
        raise UserValueError(f"{told}; give {wanted()} once each, of texts") from error
    if not table.num_rows:
        raise UserValueError(f"no pairs in '{source}'; give a row for each")
    for column in columns:
        _check_schemes(column, shared)
    return Manifest(
        pa.table(dict(zip(COLUMNS, columns, strict=True))),
        _base(source if "://" in source else path, columns[0]),
        digest(content),
    )


def wanted() -> str:
    """Return the names of the columns, for an error."""
    return " and ".join(COLUMNS)


def _table(source: str, suffix: str, content: bytes) -> pa.Table:
    try:
        if suffix == ".csv":
            delimiter = next((mark for mark in "\t;" if mark in content.partition(b"\n")[0].decode()), ",")
            texts = pa.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=True)
            return pa.csv.read_csv(
                io.BytesIO(content), parse_options=pa.csv.ParseOptions(delimiter=delimiter), convert_options=texts
            )
        names = [name for name in pq.read_schema(io.BytesIO(content)).names if name in COLUMNS]
        file = pq.ParquetFile(io.BytesIO(content))
        return file.read(columns=names) if len(names) == len(COLUMNS) else file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the content is in memory
        kind = "CSV" if suffix == ".csv" else "Parquet"
        raise UserValueError(f"'{source}' is not a {kind} file ({' '.join(str(error).split())})") from error


def _check_schemes(column: pa.ChunkedArray, shared: bool) -> None:
    far = column.filter(pc.fill_null(pc.match_substring(column, "://"), False))
    if not len(far):
        return
    schemes = pc.extract_regex(far, r"^(?:\w+::)*(?P<scheme>.*?)://").combine_chunks().field("scheme")
    for scheme in pc.unique(schemes).to_pylist():
        first = far[pc.index(schemes, scheme).as_py()].as_py()
        check_scheme(first, shared)


def _base(source: str, visible: pa.ChunkedArray) -> str:
    """Return what relative addresses are below: the manifest's folder, or the working folder if the first is there."""
    if "://" in source:
        _, chain, archive = source.partition("::")
        return f"{file_of(source).rpartition('/')[0]}{chain}{archive}"
    folder, first = Path(source).absolute().parent, next((one for one in visible[:1].to_pylist() if one), "")
    return str(Path.cwd() if not (folder / first).exists() and Path(first).exists() else folder)
