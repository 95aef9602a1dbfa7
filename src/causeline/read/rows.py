"""The rows of one statement: asked for when they are wanted, and then block by block."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import pyarrow
from pyarrow import ipc, parquet

from causeline.console.read_only_sql import Bounds, settable
from causeline.read.stream import opened
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CheckFailed

if TYPE_CHECKING:
    import polars

Progress: TypeAlias = Callable[[int], None]
"""Told after each block how many rows have come so far."""

DEFAULT_MOST_BYTES = 2 << 30
_WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to be had as Arrow, pandas, polars or Parquet. Every method asks anew; none is asked before.

    What reads Arrow streams (`pyarrow.table(rows)`, `polars.DataFrame(rows)`, DuckDB) takes a `Rows` as one. Methods
    raise Unreachable, or what the server's refusal means.
    """

    connection: ClickHouseConnection
    statement: str
    parameters: Mapping[str, object]
    bounds: Bounds | None = None
    """What it may cost, for `write`; None is what the server lets its user have."""

    def count(self) -> int:
        """How many there are now."""
        counted = replace(self, statement=f"SELECT count() AS rows FROM ({self.statement}\n)")  # noqa: S608
        return int(counted.arrow()["rows"][0].as_py())

    def schema(self) -> Any:
        """Arrow's schema of the rows, without asking for any."""
        none = replace(self, statement=f"SELECT * FROM ({self.statement}\n) LIMIT 0")  # noqa: S608
        with none.opened() as (schema, _):
            return schema

    def batches(self, progress: Progress | None = None) -> Iterator[Any]:
        """Record batches of Arrow, of some 65,000 rows at most, one in memory at a time."""
        rows = 0
        with self.opened() as (_, batches):
            for batch in batches:
                rows += batch.num_rows
                if progress is not None:
                    progress(rows)
                yield batch

    def reader(self, progress: Progress | None = None) -> Any:
        """A `pyarrow.RecordBatchReader` over `batches`, for what reads streams."""
        return pyarrow.RecordBatchReader.from_batches(self.schema(), self.batches(progress))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow's own way to hand a stream on."""
        return self.reader().__arrow_c_stream__(requested_schema)

    def arrow(self, *, most_bytes: int = DEFAULT_MOST_BYTES, progress: Progress | None = None) -> Any:
        """All of them as one `pyarrow.Table`; raises CheckFailed past `most_bytes` of memory."""
        kept: list[Any] = []
        size_bytes = rows = 0
        with self.opened() as (schema, batches):
            for batch in batches:
                size_bytes += batch.nbytes
                if size_bytes > most_bytes:
                    raise CheckFailed(
                        f"The rows take more than {most_bytes:,d} bytes.",
                        hint="Name fewer columns, take batches() or parquet(), or say most_bytes.",
                    )
                kept.append(batch)
                rows += batch.num_rows
                if progress is not None:
                    progress(rows)
        return pyarrow.Table.from_batches(kept, schema)

    def pandas(self, *, most_bytes: int = DEFAULT_MOST_BYTES, progress: Progress | None = None) -> Any:
        """All of them as a pandas DataFrame, which takes several times the memory of the Arrow table; see `arrow`."""
        return self.arrow(most_bytes=most_bytes, progress=progress).to_pandas()

    def polars(self, *, most_bytes: int = DEFAULT_MOST_BYTES, progress: Progress | None = None) -> "polars.DataFrame":
        """All of them as a polars DataFrame; see `arrow`."""
        import polars  # noqa: PLC0415 - an extra of its own, and who wants Arrow needs none

        return polars.DataFrame(self.arrow(most_bytes=most_bytes, progress=progress))

    def parquet(self, file: str | Path, *, progress: Progress | None = None) -> int:
        """Write them to a Parquet file block by block; how many they were. The file is there when it is whole."""
        file = Path(file)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as sink:
                self.write(sink, as_parquet=True, progress=progress)
            rows = int(parquet.read_metadata(name).num_rows)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink()
            raise
        return rows

    def write(self, sink: IO[bytes], *, as_parquet: bool, progress: Progress | None = None) -> bool:
        """Write them to `sink` as Parquet or Arrow's stream, as many as the bounds allow; whether there are more."""
        left, rows = self.bounds.rows if self.bounds else None, 0
        writer_of = parquet.ParquetWriter if as_parquet else ipc.new_stream
        with self.opened() as (schema, batches), writer_of(sink, schema) as writer:
            for batch in batches:
                is_last = left is not None and batch.num_rows > left
                writer.write_batch(batch.slice(0, left) if is_last else batch)
                if is_last:
                    return True
                left = None if left is None else left - batch.num_rows
                rows += batch.num_rows
                if progress is not None:
                    progress(rows)
        return False

    @contextmanager
    def opened(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Arrow's schema and the record batches, for the length of the block."""
        wait_s = self.bounds.seconds + 1 if self.bounds else _WAIT_S
        with clickhouse_client(self.connection, timeout_s=wait_s) as client:
            settings = settable(client, self.bounds.settings() if self.bounds else {"readonly": 2})
            with opened(client, self.connection, self.statement, self.parameters, settings) as found:
                yield found
