"""The wire: Confluent framing around Avro, read without trusting a byte of it.

A value is `0x00`, the schema id as 4 bytes big-endian, then the payload. A batch's payload is a header datum, an
array as `count, items…, 0`, and nothing after: the items are byte for byte the block of an object container, so a
batch goes to a native reader, or to ClickHouse, without being decoded here.

Sources: Confluent's wire format; Apache Avro 1.12 specification, "Binary encoding" and "Object container files".
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

import fastavro

from causeline.schemas.catalogue import AvroSchema, SchemaVersion
from causeline.schemas.errors import EventTooLarge, Reason, UnreadableMessage
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES

FRAME_BYTES = 5
MAX_EVENT_BYTES = 256 * 1024
"""Largest encoded event; one larger is refused at the caller."""
MAX_BATCH_ITEMS = 1_000_000

_LONG_BYTES = 10
_LONG_BITS = 64
_SYNC = b"causeline-blocks"
"""16 bytes between a container's blocks. Constant: the containers are ours, made and read in memory."""


@dataclass(frozen=True, slots=True)
class Block:
    """A batch's items, undecoded: `data` is what stands between the array's count and its end."""

    schema: SchemaVersion
    count: int
    data: memoryview


# --- framing


def frame(schema_id: int, payload: bytes) -> bytes:
    """A Kafka value: `payload` behind its schema id."""
    return b"\x00" + schema_id.to_bytes(4, "big") + payload


def unframe(value: bytes | None, subject: str, schemas: Schemas) -> tuple[SchemaVersion, memoryview]:
    """The writer's schema and the payload of a Kafka value; raises UnreadableMessage."""
    if not value:
        raise UnreadableMessage(Reason.EMPTY, "The value is empty.")
    if value[0] != 0:
        raise UnreadableMessage(Reason.BAD_MAGIC, f"The first byte is {value[0]:#04x}, not 0x00.")
    if len(value) < FRAME_BYTES:
        raise UnreadableMessage(Reason.TRUNCATED, f"The value has {len(value)} bytes, fewer than its framing.")
    schema_id = int.from_bytes(value[1:FRAME_BYTES], "big")
    schema = schemas.resolve(schema_id, subject)
    if len(value) > MAX_MESSAGE_BYTES:
        raise UnreadableMessage(
            Reason.OVERSIZED,
            f"The value has {len(value)} bytes, more than {MAX_MESSAGE_BYTES}.",
            schema_id=schema_id,
        )
    return schema, memoryview(value)[FRAME_BYTES:]


# --- Avro's numbers


def encode_long(value: int) -> bytes:
    """Avro's zig-zag variable-length long."""
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append((zigzag & 0x7F) | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


def decode_long(data: memoryview, at: int) -> tuple[int, int]:
    """The long at `at` and the position after it; raises UnreadableMessage past the end or past 64 bits."""
    result = shift = 0
    for position in range(at, min(at + _LONG_BYTES, len(data))):
        byte = data[position]
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            continue
        if result >> _LONG_BITS:
            break
        return (result >> 1) ^ -(result & 1), position + 1
    if len(data) - at < _LONG_BYTES:
        raise UnreadableMessage(Reason.TRUNCATED, "The payload ends within a number.")
    raise UnreadableMessage(Reason.CORRUPT, "A number has more than 64 bits.")


# --- batches


def encode_item(schema: SchemaVersion, record: Record) -> bytes:
    """One event as an item of a batch; raises EventTooLarge. Times are integers of microseconds."""
    item = encode_record(schema, record)
    if (size := len(item)) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"An event of {size} bytes is larger than the {MAX_EVENT_BYTES} that one may have.")
    return item


def encode_record(schema: SchemaVersion, record: Record) -> bytes:
    """One item of a batch, however large. Times are integers of microseconds."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _item(schema), record)
    return out.getvalue()


def encode_string(text: str) -> bytes:
    """Avro's string, as the header of a TraceBatch has it."""
    raw = text.encode()
    return encode_long(len(raw)) + raw


def event_id_of(item: bytes) -> str:
    """The id of an event whose bytes are an item: 32 hex digits behind their number."""
    return item[1:33].decode("ascii", "replace")


def run_id_of(item: bytes) -> str:
    """The id of the run of an event whose bytes are an item: what follows the event's id."""
    return item[34:66].decode("ascii", "replace")


def encode_batch(schema_id: int, header: bytes, items: Sequence[bytes]) -> bytes:
    """A framed batch of items that are encoded already; `header` is what stands before the array.

    Raises ValueError for no items: an array's block of none is its end, and what follows would be too much.
    """
    if not items:
        raise ValueError("a batch has at least one item")
    return b"".join((frame(schema_id, header), encode_long(len(items)), *items, b"\x00"))


def read_block(value: bytes | None, subject: str, schemas: Schemas) -> Block:
    """The items of a framed batch, undecoded, once its framing, header, count and size are found plausible.

    Whether the items fill the block exactly shows only when they are decoded. Raises UnreadableMessage.
    """
    schema, payload = unframe(value, subject, schemas)
    try:
        return _read_array(schema, payload, _skip_header(schema, payload))
    except UnreadableMessage as error:
        error.schema_id = schema.schema_id
        raise


def _skip_header(schema: SchemaVersion, payload: memoryview) -> int:
    at = 0
    for header_field in schema.plain["fields"][:-1]:
        number, at = decode_long(payload, at)
        if header_field["type"] == "string":
            if not 0 <= number <= len(payload) - at:
                raise UnreadableMessage(Reason.TRUNCATED, f"{header_field['name']} is longer than the payload.")
            at += number
    return at


def _read_array(schema: SchemaVersion, payload: memoryview, at: int) -> Block:
    count, at = decode_long(payload, at)
    if count < 0:
        return _read_sized_blocks(schema, payload, -count, at)
    if count == 0:
        if at != len(payload):
            raise UnreadableMessage(Reason.TRAILING_BYTES, f"{len(payload) - at} bytes follow an empty batch.")
        return Block(schema, 0, payload[at:at])
    if at >= len(payload) or payload[-1] != 0:
        raise UnreadableMessage(Reason.TRUNCATED, "The batch's array has no end.")
    return _plausible(schema, count, payload[at:-1])


def _read_sized_blocks(schema: SchemaVersion, payload: memoryview, count: int, at: int) -> Block:
    total = 0
    parts: list[memoryview] = []
    while count:
        size, at = decode_long(payload, at)
        if not 0 <= size <= len(payload) - at:
            raise UnreadableMessage(Reason.TRUNCATED, "A block of the batch is longer than the payload.")
        parts.append(payload[at : at + size])
        total += count
        at += size
        count, at = decode_long(payload, at)
        if count > 0:
            raise UnreadableMessage(Reason.CORRUPT, "The batch's blocks are sized in part only.")
        count = -count
    if at != len(payload):
        raise UnreadableMessage(Reason.TRAILING_BYTES, f"{len(payload) - at} bytes follow the batch.")
    return _plausible(schema, total, memoryview(b"".join(parts)))


def _plausible(schema: SchemaVersion, count: int, data: memoryview) -> Block:
    # Every field of an item takes a byte at least, so a count that promises more than the bytes can hold is a lie.
    floor = len(cast("Sequence[object]", _item(schema)["fields"]))
    if count > MAX_BATCH_ITEMS or count * floor > len(data):
        raise UnreadableMessage(Reason.OVERSIZED, f"{count} items cannot stand in {len(data)} bytes.")
    return Block(schema, count, data)


DECODING_FAULTS: Final = (
    EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError, RecursionError,
)  # fmt: skip
"""What fastavro raises for bytes that are not what the schema says."""


def decode_items(block: Block, only: AvroSchema | None = None) -> list[Record]:
    """The items, one Python object each, every byte accounted for: the reference reader and the slow, exact path.

    Times are integers of microseconds. `only` is a schema of the item with some of its fields: the others are gone
    over. Raises UnreadableMessage.
    """
    stream = io.BytesIO(block.data)
    item = _item(block.schema)
    try:
        records = [cast("Record", fastavro.schemaless_reader(stream, item, only)) for _ in range(block.count)]
    except DECODING_FAULTS as error:
        raise UnreadableMessage(
            Reason.CORRUPT,
            f"The batch does not decode: {type(error).__name__}.",
            schema_id=block.schema.schema_id,
        ) from error
    if left := len(block.data) - stream.tell():
        raise UnreadableMessage(
            Reason.TRAILING_BYTES, f"{left} bytes follow the last item.", schema_id=block.schema.schema_id
        )
    return records


# --- single records


def encode_datum(schema: SchemaVersion, record: Mapping[str, object]) -> bytes:
    """One record as a payload. Times are integers of microseconds."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.plain, record)
    return out.getvalue()


def decode_datum(value: bytes | None, subject: str, schemas: Schemas) -> Record:
    """The record of a framed value, every byte accounted for; raises UnreadableMessage."""
    schema, payload = unframe(value, subject, schemas)
    stream = io.BytesIO(payload)
    try:
        record = cast("Record", fastavro.schemaless_reader(stream, schema.plain, None))
    except DECODING_FAULTS as error:
        raise UnreadableMessage(
            Reason.CORRUPT, f"The value does not decode: {type(error).__name__}.", schema_id=schema.schema_id
        ) from error
    if left := len(payload) - stream.tell():
        raise UnreadableMessage(Reason.TRAILING_BYTES, f"{left} bytes follow the record.", schema_id=schema.schema_id)
    return record


# --- containers


@lru_cache(maxsize=64)
def container_header(schema_text: str) -> bytes:
    """The head of an uncompressed object container of `schema_text`."""
    meta = b"".join(
        encode_long(len(part)) + part for part in (b"avro.schema", schema_text.encode(), b"avro.codec", b"null")
    )
    return b"Obj\x01" + encode_long(2) + meta + b"\x00" + _SYNC


def container_block(count: int, data: bytes | memoryview) -> bytes:
    """One block of the container that `container_header` opens."""
    before, after = around_block(count, len(data))
    return b"".join((before, data, after))


def around_block(count: int, size: int) -> tuple[bytes, bytes]:
    """What stands before and after the data of such a block, for who joins it of parts without copying them twice."""
    return encode_long(count) + encode_long(size), _SYNC


def item_schema_text(schema: SchemaVersion) -> str:
    """The JSON of a batch's item, as a container of such items names it (times keep their logical type)."""
    return _item_text(schema.text)


@lru_cache(maxsize=64)
def _item_text(text: str) -> str:
    batch = json.loads(text)
    return json.dumps({"namespace": batch["namespace"], **batch["fields"][-1]["type"]["items"]})


def container_blocks(container: bytes) -> list[tuple[int, memoryview]]:
    """The blocks, as (count, bytes), of an uncompressed container that a native writer of ours made."""
    data = memoryview(container)
    at = _skip_container_header(data)
    sync, at = data[at : at + len(_SYNC)], at + len(_SYNC)
    blocks = []
    while at < len(data):
        count, at = decode_long(data, at)
        size, at = decode_long(data, at)
        blocks.append((count, data[at : at + size]))
        at += size
        if data[at : at + len(_SYNC)] != sync:
            raise UnreadableMessage(Reason.CORRUPT, "A container's block does not end with its sync marker.")
        at += len(_SYNC)
    return blocks


def _skip_container_header(data: memoryview) -> int:
    if bytes(data[:4]) != b"Obj\x01":
        raise UnreadableMessage(Reason.BAD_MAGIC, "The bytes are not an object container.")
    at = 4
    while True:
        pairs, at = decode_long(data, at)
        if pairs == 0:
            return at
        if pairs < 0:
            _, at = decode_long(data, at)
        for _ in range(2 * abs(pairs)):
            size, at = decode_long(data, at)
            at += size


# --- schemas of items


def _item(schema: SchemaVersion) -> AvroSchema:
    if schema.item is None:
        raise ValueError(f"{schema.subject} is not a batch")
    return schema.item
