"""Which events stand in a message: every byte accounted for, those that the contract lets through."""

from typing import Final, cast

from causeline.schemas import catalogue, wire
from causeline.schemas.contract import broken_by
from causeline.schemas.errors import Reason, UnreadableMessage
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS
from causeline.streams.definition.events import Arrival, Place, event_of

_INTS: Final = [
    field["name"] for field in (catalogue.latest(EVENTS.subject).item or {})["fields"] if "int" in field["type"]
]
_MOST: Final = 2**31


def arrivals_in(value: bytes | None, partition: int, offset: int, schemas: Schemas) -> list[Arrival]:
    """The events of a message of the events topic, with where each stood. Raises UnreadableMessage."""
    block = wire.read_block(value, EVENTS.subject, schemas)
    records = wire.decode_items(block)
    if any(_is_out_of_range(record) for record in records):
        raise UnreadableMessage(
            Reason.CORRUPT, "A value is out of its column's range.", schema_id=block.schema.schema_id
        )
    return [
        Arrival(event_of(record), Place(partition, offset, item))
        for item, record in enumerate(records)
        if broken_by(record) is None
    ]


def _is_out_of_range(record: Record) -> bool:
    numbers = [cast("int | None", record.get(name)) for name in _INTS]
    return any(number is not None and not -_MOST <= number < _MOST for number in numbers)
