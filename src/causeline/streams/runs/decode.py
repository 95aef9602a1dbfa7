"""From Kafka values to one frame of events, each message read to its last byte or set aside.

The fast way hands the items of many messages to polars as one container block, with a sentinel item after each
message's items. The sentinel starts with an id that nobody else knows, so where it stands as a row, the reader stood at
its first byte; when every sentinel stands where the counts say, every message was read exactly. Otherwise the messages
are halved until the bad one is alone, and that one is read by the exact, slow reader, whose word is final.
"""

import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from causeline.schemas import wire
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.errors import EventTooLarge, Reason, UnreadableMessage
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS
from causeline.schemas.wire import Block
from causeline.streams.runs import contract
from causeline.streams.runs.shapes import OFFSET, PARTITION, event_columns, no_events

_SENTINEL_ID = secrets.token_hex(16)
_NATIVE_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError)
"""What polars' reader raises over hostile bytes; a panic of its native part is no `Exception`."""


@dataclass(frozen=True, slots=True)
class Message:
    """A value of the events topic and where it stood."""

    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message, or one event of it, that cannot be used: `value` is its bytes, or a batch of that one event."""

    partition: int
    offset: int
    reason: Reason
    detail: str
    schema_id: int | None
    value: bytes
    item: int | None = None
    """Which event of the message, counted from 0; None when all of it is meant."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """`frame`: one row an event, `_partition` and `_offset` before the event's columns; messages keep their order."""

    frame: pl.DataFrame
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    message: Message
    block: Block


def decode(messages: Sequence[Message], schemas: Schemas) -> Decoded:
    """The events of `messages`; what cannot be read, or breaks the contract, is set aside and touches nothing else."""
    reads: list[_Read] = []
    unreadable: list[Unreadable] = []
    for message in messages:
        try:
            reads.append(_Read(message, wire.read_block(message.value, EVENTS.subject, schemas)))
        except UnreadableMessage as error:
            unreadable.append(_whole(message, error))
    frames: list[pl.DataFrame] = []
    for group in _by_writer(reads):
        _read(group, frames, unreadable)
    return Decoded(_ordered(frames, mixed=len(frames) > 1), tuple(unreadable))


def _by_writer(reads: Sequence[_Read]) -> list[list[_Read]]:
    groups: dict[int, list[_Read]] = {}
    for read in reads:
        if read.block.count:
            groups.setdefault(read.block.schema.schema_id, []).append(read)
    return list(groups.values())


def _ordered(frames: Sequence[pl.DataFrame], *, mixed: bool) -> pl.DataFrame:
    if not frames:
        return no_events()
    frame = pl.concat(frames, rechunk=True)
    return frame.sort(PARTITION, OFFSET, maintain_order=True) if mixed else frame


def _read(group: Sequence[_Read], frames: list[pl.DataFrame], unreadable: list[Unreadable]) -> None:
    """Read messages of one writer's schema, halving them around what cannot be read."""
    frame = _read_natively(group)
    if frame is not None:
        _keep_valid(group, frame, frames, unreadable)
    elif len(group) > 1:
        middle = len(group) // 2
        _read(group[:middle], frames, unreadable)
        _read(group[middle:], frames, unreadable)
    else:
        _read_exactly(group[0], frames, unreadable)


# --- the two readers; both give sentinel-free rows of the latest columns


def _read_natively(group: Sequence[_Read]) -> pl.DataFrame | None:
    """The rows of a group, or None unless every message was read to its last byte."""
    schema = group[0].block.schema
    sentinel = _sentinel_item(schema)
    counts = np.fromiter((read.block.count for read in group), dtype=np.int64, count=len(group))
    size = sum(len(read.block.data) for read in group) + len(group) * len(sentinel)
    before, after = wire.around_block(int(counts.sum()) + len(group), size)
    items = (part for read in group for part in (read.block.data, sentinel))
    # Joined once: every further copy of some megabytes costs as much as a tenth of reading them.
    container = b"".join((wire.container_header(wire.item_schema_text(schema)), before, *items, after))
    try:
        frame = pl.read_avro(io.BytesIO(container))
    except _NATIVE_FAULTS:
        return None
    stands = np.cumsum(counts + 1) - 1
    if frame.height != stands[-1] + 1:
        return None
    if not frame["event_id"].gather(stands).eq(_SENTINEL_ID).all():
        return None
    rows = np.ones(frame.height, dtype=bool)
    rows[stands] = False
    return _with_coordinates(frame.filter(pl.Series(rows)), group)


def _read_exactly(read: _Read, frames: list[pl.DataFrame], unreadable: list[Unreadable]) -> None:
    try:
        records = wire.decode_items(read.block)
        frame = _with_coordinates(_frame_of(records), [read])
    except UnreadableMessage as error:
        unreadable.append(_whole(read.message, error))
    except _NATIVE_FAULTS:
        schema_id = read.block.schema.schema_id
        fault = UnreadableMessage(Reason.CORRUPT, "A value is out of its column's range.", schema_id=schema_id)
        unreadable.append(_whole(read.message, fault))
    else:
        _keep_valid([read], frame, frames, unreadable)


def _frame_of(records: Sequence[Record]) -> pl.DataFrame:
    plain = {name: pl.Int64() if isinstance(dtype, pl.Datetime) else dtype for name, dtype in event_columns().items()}
    return pl.DataFrame(records, schema=plain, orient="row").cast(pl.Schema(event_columns()))


_SENTINELS: dict[int, bytes] = {}


def _sentinel_item(schema: SchemaVersion) -> bytes:
    item = _SENTINELS.get(schema.schema_id)
    if item is None:
        record: Record = dict.fromkeys(("run_id", "project", "workflow", "emitter_id", "event_type"), "")
        record |= {"event_id": _SENTINEL_ID, "seq": 0, "run_started_at": 0, "occurred_at": 0}
        item = _SENTINELS[schema.schema_id] = wire.encode_item(schema, record)
    return item


def _with_coordinates(frame: pl.DataFrame, group: Sequence[_Read]) -> pl.DataFrame:
    counts = [read.block.count for read in group]
    partitions = np.repeat(np.array([read.message.partition for read in group], dtype=np.int32), counts)
    offsets = np.repeat(np.array([read.message.offset for read in group], dtype=np.int64), counts)
    columns: list[pl.Series] = [pl.Series(PARTITION, partitions), pl.Series(OFFSET, offsets)]
    for name, dtype in event_columns().items():
        if name in frame.columns:
            columns.append(frame[name])
        else:  # written by a schema older than the column
            columns.append(_absent(name, dtype, frame.height))
    return pl.DataFrame(columns)


def _absent(name: str, dtype: pl.DataType, height: int) -> pl.Series:
    value: list[str] | None = [] if isinstance(dtype, pl.List) else None
    return pl.Series(name, [value], dtype=dtype).new_from_index(0, height)


# --- the contract, row by row


def _keep_valid(
    group: Sequence[_Read], frame: pl.DataFrame, frames: list[pl.DataFrame], unreadable: list[Unreadable]
) -> None:
    valid = contract.valid(frame)
    if valid.all():
        frames.append(frame)
        return
    frames.append(frame.filter(valid))
    starts = np.cumsum([0, *(read.block.count for read in group)])
    bad = _rows_by_message(np.flatnonzero(~valid.to_numpy()), starts)
    for index, rows in bad.items():
        items = [int(row - starts[index]) for row in rows]
        details = contract.faults(frame[rows])
        unreadable += _single_items(group[index], items, details)


def _rows_by_message(rows: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row, index in zip(rows, np.searchsorted(starts, rows, side="right") - 1, strict=True):
        found.setdefault(int(index), []).append(int(row))
    return found


def _single_items(read: _Read, items: Sequence[int], details: Sequence[str]) -> list[Unreadable]:
    """Each bad event of a message as a batch of its own; the whole message where it cannot be taken apart."""
    message, schema = read.message, read.block.schema
    try:
        records = wire.decode_items(read.block)
        values = [_batch_of_one(schema, records[item]) for item in items]
    except UnreadableMessage as error:
        return [_whole(message, error)]
    except EventTooLarge as error:
        return [_whole(message, UnreadableMessage(Reason.OVERSIZED, error.message, schema_id=schema.schema_id))]
    return [
        Unreadable(message.partition, message.offset, Reason.INVALID_EVENT, detail, schema.schema_id, value, item)
        for item, detail, value in zip(items, details, values, strict=True)
    ]


def _batch_of_one(schema: SchemaVersion, record: Record) -> bytes:
    header = wire.encode_string(str(record["emitter_id"]))
    return wire.encode_batch(schema.schema_id, header, [wire.encode_item(schema, record)])


def _whole(message: Message, error: UnreadableMessage) -> Unreadable:
    return Unreadable(
        message.partition, message.offset, error.reason, error.message, error.schema_id, message.value or b""
    )
