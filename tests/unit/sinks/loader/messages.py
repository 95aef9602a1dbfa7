"""Messages of the events topic, as units and as bytes."""

from collections.abc import Mapping, Sequence

from causeline.schemas import catalogue, wire
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.units import BadMessage, Origin, Unit, read_unit

SCHEMAS = Schemas()
BATCHES = catalogue.latest("trace-batch")
STARTED_AT = 1_790_000_000_000_000


def event(number: int, **fields: object) -> dict[str, object]:
    """The record of a small event; the number is its id."""
    return {
        "event_id": f"{number:032x}",
        "run_id": f"{1:032x}",
        "project": "shop",
        "workflow": "invoice",
        "emitter_id": "test",
        "seq": number,
        "event_type": "run_started",
        "run_started_at": STARTED_AT,
        "occurred_at": STARTED_AT + number,
        **fields,
    }


def batch(records: Sequence[Mapping[str, object]], count: int | None = None) -> bytes:
    """A framed TraceBatch of these records; `count` is what it claims to hold."""
    items = [wire.encode_item(BATCHES, dict(record)) for record in records]
    head = wire.frame(BATCHES.schema_id, wire.encode_string("test"))
    block = (wire.encode_long(len(items) if count is None else count), *items) if items else ()
    return b"".join((head, *block, b"\x00"))


def origin(offset: int, partition: int = 3) -> Origin:
    """Where a message of the events topic stands."""
    return Origin("t.events", partition, offset, b"key", 1_000)


def read(value: bytes | None, offset: int = 0, partition: int = 3) -> Unit | BadMessage:
    """A message as the loader reads it."""
    return read_unit(origin(offset, partition), value, "trace-batch", SCHEMAS)


def unit(value: bytes, offset: int = 0, partition: int = 3) -> Unit:
    """A message that is readable so far."""
    found = read(value, offset, partition)
    assert isinstance(found, Unit)
    return found
