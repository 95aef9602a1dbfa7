"""Runs as Avro: the blocks that a batch of the runs topic is made of, cut where a partition's runs end.

All runs of a close are written by polars in one go, since a call costs as much by itself as a hundred runs. polars cuts
a frame into blocks by how its columns lie in memory, and panics where two columns lie differently, so nothing is left
to that: the frame is one piece of memory, and a sentinel row stands after each piece that is wanted. The sentinel's
bytes begin with an id that nobody else knows, so where they stand in what was written, a piece ended.

What polars cannot write, the exact and slow writer writes: a fault of the fast way costs time and never a run.
"""

import io
import logging
import secrets
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import polars as pl

from causeline.schemas import catalogue, wire
from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.topics import RUNS
from causeline.streams.runs.shapes import run_columns

log = logging.getLogger(__name__)

Block: TypeAlias = tuple[int, memoryview]
"""How many runs, and their bytes: what stands between a batch's count and its end."""
_SENTINEL_ID = secrets.token_hex(16)
NATIVE_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError)
"""What polars raises over data that it cannot take; a panic of its native part is no `Exception`."""


def blocks_of(pieces: Sequence[pl.DataFrame]) -> list[Block]:
    """One block a piece, in order; each piece has the columns of a Run and at least one row."""
    if not pieces:
        return []
    try:
        return _natively(pieces)
    except (*NATIVE_FAULTS, UnreadableMessage) as error:
        log.warning("polars cannot write %d runs as Avro, so they are written one by one: %s", _height(pieces), error)
        return [_exactly(piece) for piece in pieces]


def _natively(pieces: Sequence[pl.DataFrame]) -> list[Block]:
    sentinel, mark = _sentinel()
    count, data = _written(pl.concat([part for piece in pieces for part in (piece, sentinel)], rechunk=True))
    view, blocks, at = memoryview(data), [], 0
    for piece in pieces:
        end = data.find(mark, at)
        if end < 0:
            break
        blocks.append((piece.height, view[at:end]))
        at = end + len(mark)
    if count != _height(pieces) + len(pieces) or len(blocks) != len(pieces) or at != len(data):
        raise ValueError("what was written does not end where it should")
    return blocks


def _written(frame: pl.DataFrame) -> tuple[int, bytes]:
    """A frame in one piece of memory, as polars writes it: how many rows, and their bytes."""
    container = io.BytesIO()
    frame.write_avro(container, compression="uncompressed")
    [(count, data)] = wire.container_blocks(container.getvalue())
    return count, bytes(data)


@cache
def _sentinel() -> tuple[pl.DataFrame, bytes]:
    """A row that is nobody's run, and its bytes."""
    row = pl.DataFrame({name: [None] for name in run_columns()}, schema=run_columns())
    row = row.with_columns(pl.lit(_SENTINEL_ID).alias("run_id"))
    return row, _written(row)[1]


def _exactly(piece: pl.DataFrame) -> Block:
    schema = catalogue.latest(RUNS.subject)
    data = b"".join(wire.encode_record(schema, record) for record in piece.iter_rows(named=True))
    return piece.height, memoryview(data)


def _height(pieces: Sequence[pl.DataFrame]) -> int:
    return sum(piece.height for piece in pieces)
