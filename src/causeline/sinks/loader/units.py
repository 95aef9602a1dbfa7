"""What is loaded: a Kafka message as a block of records, found readable; or the reason why it is not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from causeline.schemas import catalogue, wire
from causeline.schemas.errors import Reason, UnreadableMessage
from causeline.schemas.registry import Schemas
from causeline.schemas.tables import Table
from causeline.schemas.wire import Block
from causeline.sinks.loader.rows import RowRules


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message stood: its coordinates, its key, and the broker's time in microseconds if it has one."""

    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    produced_at: int | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A message, or some of its records: `value` is framed as on the topic, `block` its records, undecoded."""

    origin: Origin
    value: bytes
    block: Block
    item: int | None = None
    """Place of its only record in the message, where it was taken out of one."""


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message, or one record of one, that cannot be stored: its bytes and why."""

    origin: Origin
    value: bytes
    reason: Reason
    detail: str
    schema_id: int | None = None
    item: int | None = None


def read_unit(origin: Origin, value: bytes | None, subject: str, schemas: Schemas) -> Unit | BadMessage:
    """The message as a unit, its framing, schema id and sizes checked and nothing decoded; or why it is none."""
    try:
        if catalogue.latest(subject).item is not None:
            block = wire.read_block(value, subject, schemas)
        else:
            schema, payload = wire.unframe(value, subject, schemas)
            block = Block(schema, 1, payload)
    except UnreadableMessage as error:
        return BadMessage(origin, value or b"", error.reason, error.message, error.schema_id)
    return Unit(origin, value or b"", block)


def sift(unit: Unit, table: Table, schemas: Schemas) -> Iterator[Unit | BadMessage]:
    """The exact, slow look at a unit whose rows were refused: what is good in it, and what is bad, record by record.

    A unit without fault comes back as it is. Bad records of a batch come as batches of one.
    """
    schema = unit.block.schema
    try:
        items = (
            wire.decode_items(unit.block)
            if schema.item is not None
            else [wire.decode_datum(unit.value, table.subject, schemas)]
        )
    except UnreadableMessage as error:
        yield BadMessage(unit.origin, unit.value, error.reason, error.message, schema.schema_id, unit.item)
        return
    rules = RowRules.of(table, schema)
    faults = [rules.broken_by(item) for item in items]
    if not any(faults):
        yield unit
        return
    for part, fault in zip(split(unit, schemas), faults, strict=True):
        yield part if fault is None else _breaks_rule(part, fault)


def split(unit: Unit, schemas: Schemas) -> Sequence[Unit]:
    """A decodable unit as units of one record each; raises UnreadableMessage when it does not decode."""
    schema = unit.block.schema
    if schema.item is None or unit.block.count == 1:
        return [unit]
    record = wire.decode_datum(unit.value, schema.subject, schemas)
    field = str(schema.plain["fields"][-1]["name"])
    items = record[field]
    if not isinstance(items, list):
        raise TypeError(f"{schema.subject} is not a batch")
    parts = []
    for place, item in enumerate(items):
        value = wire.frame(schema.schema_id, wire.encode_datum(schema, {**record, field: [item]}))
        parts.append(Unit(unit.origin, value, wire.read_block(value, schema.subject, schemas), place))
    return parts


def refused(unit: Unit, name: str) -> BadMessage:
    """A unit of one record that the store refuses though nothing is wrong with it that we know of."""
    return BadMessage(
        unit.origin,
        unit.value,
        Reason.REFUSED,
        f"ClickHouse refuses the row: {name}.",
        unit.block.schema.schema_id,
        unit.item,
    )


def _breaks_rule(unit: Unit, sentence: str) -> BadMessage:
    return BadMessage(
        unit.origin,
        unit.value,
        Reason.INVALID_EVENT,
        sentence,
        unit.block.schema.schema_id,
        unit.item,
    )
