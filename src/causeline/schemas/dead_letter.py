"""Dead letters: the record of what could not be read or stored, the same whoever writes it.

A letter must fit into a message itself: of a value it keeps `LARGEST_VALUE` bytes at most, of a key `LARGEST_KEY`, and
the letter says so.
"""

from dataclasses import dataclass
from typing import Final

from causeline.schemas import catalogue, wire
from causeline.schemas.errors import Reason
from causeline.schemas.events import Record
from causeline.schemas.ids import derived_id
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DEAD, MAX_MESSAGE_BYTES

LARGEST_KEY: Final = 4096
LARGEST_VALUE: Final = MAX_MESSAGE_BYTES - 64 * 1024
_NO_INT: Final = 1 << 31
"""The framing has 32 unsigned bits, the record 31: a larger schema id is nonsense, and stands in the value."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or one record of it (`item`, from 0): where it stood, its bytes, and why it is of no use."""

    stage: str
    """Who could not read it: worker, loader or receiver."""
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    reason: Reason
    detail: str
    """One sentence, without content."""
    produced_at: int | None
    """The broker's time stamp, microseconds since the epoch."""
    schema_id: int | None = None
    item: int | None = None


def dead_letter_record(letter: DeadLetter, observed_at: int) -> Record:
    """Its record, observed at that time; the same `dead_id` however often the message is met."""
    detail, value = letter.detail, letter.value
    if len(value) > LARGEST_VALUE:
        detail += f" Only the first {LARGEST_VALUE} of its {len(value)} bytes are here."
    if letter.key is not None and len(letter.key) > LARGEST_KEY:
        detail += f" Only the first {LARGEST_KEY} of its key's {len(letter.key)} bytes are here."
    item = () if letter.item is None else (str(letter.item),)
    return {
        "dead_id": derived_id(letter.topic, str(letter.partition), str(letter.offset), letter.stage, *item),
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason.value,
        "detail": detail,
        "schema_id": letter.schema_id if letter.schema_id is None or letter.schema_id < _NO_INT else None,
        "key": None if letter.key is None else letter.key[:LARGEST_KEY],
        "value": value[:LARGEST_VALUE],
        "produced_at": letter.produced_at,
        "observed_at": observed_at,
    }


def dead_letter_value(letter: DeadLetter, observed_at: int, schemas: Schemas) -> bytes:
    """Its Kafka value."""
    record = dead_letter_record(letter, observed_at)
    return wire.frame(schemas.write_id(DEAD.subject), wire.encode_datum(catalogue.latest(DEAD.subject), record))
