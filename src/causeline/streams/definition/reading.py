"""Which events stand in a message: every byte accounted for, those that the contract lets through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from causeline.schemas import catalogue, wire
from causeline.schemas.contract import broken_by
from causeline.schemas.errors import EventTooLarge, Reason, UnreadableMessage
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS
from causeline.streams.definition.events import Arrival, Place, event_of

_INTS: Final = [
    field["name"] for field in (catalogue.latest(EVENTS.subject).item or {})["fields"] if "int" in field["type"]
]
_MOST: Final = 2**31


class Message(NamedTuple):
    """A value of the events topic, and where it stood."""

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


class Read(NamedTuple):
    """What stands in a message: the events that the contract lets through, and what cannot be used."""

    arrivals: Sequence[Arrival]
    unreadable: Sequence[Unreadable]


def read(message: Message, schemas: Schemas) -> Read:
    """The events of a message of the events topic; what cannot be used is set aside and touches nothing else."""
    try:
        block, records = _records(message.value, schemas)
        broken = {item: sentence for item, record in enumerate(records) if (sentence := broken_by(record)) is not None}
        unreadable = [_alone(message, block, item, records[item], sentence) for item, sentence in broken.items()]
    except UnreadableMessage as error:
        return Read((), (_whole(message, error),))
    return Read(
        [_arrival(message, item, record) for item, record in enumerate(records) if item not in broken], unreadable
    )


def arrivals_in(value: bytes | None, partition: int, offset: int, schemas: Schemas) -> list[Arrival]:
    """The events of a message of the events topic, with where each stood. Raises UnreadableMessage."""
    message = Message(partition, offset, value)
    _, records = _records(value, schemas)
    return [_arrival(message, item, record) for item, record in enumerate(records) if broken_by(record) is None]


def _records(value: bytes | None, schemas: Schemas) -> tuple[wire.Block, list[Record]]:
    block = wire.read_block(value, EVENTS.subject, schemas)
    records = wire.decode_items(block)
    if any(_is_out_of_range(record) for record in records):
        raise UnreadableMessage(
            Reason.CORRUPT, "A value is out of its column's range.", schema_id=block.schema.schema_id
        )
    return block, records


def _arrival(message: Message, item: int, record: Record) -> Arrival:
    return Arrival(event_of(record), Place(message.partition, message.offset, item))


def _alone(message: Message, block: wire.Block, item: int, record: Record, sentence: str) -> Unreadable:
    """A bad event of a message as a batch of its own. Raises UnreadableMessage where it is too large to be one."""
    schema = block.schema
    header = wire.encode_string(str(record["emitter_id"]))
    try:
        value = wire.encode_batch(schema.schema_id, header, [wire.encode_item(schema, record)])
    except EventTooLarge as error:
        raise UnreadableMessage(Reason.OVERSIZED, error.message, schema_id=schema.schema_id) from error
    return Unreadable(message.partition, message.offset, Reason.INVALID_EVENT, sentence, schema.schema_id, value, item)


def _whole(message: Message, error: UnreadableMessage) -> Unreadable:
    return Unreadable(
        message.partition, message.offset, error.reason, error.message, error.schema_id, message.value or b""
    )


def _is_out_of_range(record: Record) -> bool:
    numbers = [cast("int | None", record.get(name)) for name in _INTS]
    return any(number is not None and not -_MOST <= number < _MOST for number in numbers)
