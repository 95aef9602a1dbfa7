"""Sending dead messages again: the original bytes, to their own topic and partition, under their own key.

What can be read meanwhile is stored under the ids that it always had, so sending it twice shows it once. What still
cannot be read comes back as a letter of the same message, whose attempts add up: past a bound it is refused, so poison
never goes round. An attempt is noted before it is made and once it is acknowledged; a crash between the two costs an
attempt, and loses nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from causeline.kafka.publisher import NotDelivered, ProducerRecord, Publisher
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import Unreachable
from causeline.schemas.topics import DEAD, TOPICS
from causeline.sinks.dead.messages import Attempt, DeadMessage

MAX_REPLAYS = 3
_LOT_MESSAGES, _LOT_BYTES = 100, 16 * 1024 * 1024
"""What is noted and sent at once, at most; one larger message goes alone."""


class Fate(StrEnum):
    """What became of a message that was to be replayed."""

    SENT = "sent"
    WORN_OUT = "worn_out"  # it was sent as often as is allowed, and came back
    ELSEWHERE = "elsewhere"  # its letter names a topic that none of our readers reads
    CUT = "cut"  # too large for a letter: its original bytes are not there


@dataclass(frozen=True, slots=True)
class Replayed:
    """A message, and what became of it; `offset` is where the broker put it."""

    message: DeadMessage
    fate: Fate
    offset: int | None = None


class Notes(Protocol):
    """Where attempts are kept, and original bytes found."""

    def value(self, message_id: str) -> bytes:
        """The message's original bytes."""
        ...

    def note(self, attempts: Sequence[Attempt]) -> None:
        """Keep attempts."""
        ...


class Outlet(Protocol):
    """Where messages go."""

    def send(self, messages: Sequence[tuple[DeadMessage, bytes]]) -> tuple[Sequence[int | None], str]:
        """Each message's offset, None for one that was not acknowledged; and why not, "" when all were."""
        ...


def replayable(prefix: str) -> frozenset[str]:
    """The topics that letters are written about, by their full names: all of ours but that of the letters."""
    return frozenset(topic.full_name(prefix) for topic in TOPICS if topic is not DEAD)


def replay(
    messages: Sequence[DeadMessage],
    notes: Notes,
    outlet: Outlet,
    *,
    topics: Collection[str],
    max_replays: int = MAX_REPLAYS,
) -> Iterator[Replayed]:
    """Send messages again, in their order, a lot at a time; raises Unreachable when the broker does not take one.

    A letter is what somebody wrote to a topic: only to `topics` is anything sent, whatever it says.
    """
    willing: list[DeadMessage] = []
    for message in messages:
        if message.topic not in topics:
            yield Replayed(message, Fate.ELSEWHERE)
        elif not message.is_whole:
            yield Replayed(message, Fate.CUT)
        elif message.replays >= max_replays:
            yield Replayed(message, Fate.WORN_OUT)
        else:
            willing.append(message)
    for lot in _lots(willing):
        yield from _send(lot, notes, outlet)


def _lots(messages: Sequence[DeadMessage]) -> Iterator[Sequence[DeadMessage]]:
    lot: list[DeadMessage] = []
    size = 0
    for message in messages:
        if lot and (len(lot) == _LOT_MESSAGES or size + message.bytes > _LOT_BYTES):
            yield lot
            lot, size = [], 0
        lot.append(message)
        size += message.bytes
    if lot:
        yield lot


def _send(lot: Sequence[DeadMessage], notes: Notes, outlet: Outlet) -> Iterator[Replayed]:
    values = [notes.value(message.message_id) for message in lot]
    notes.note([Attempt(message.message_id, message.replays + 1) for message in lot])
    offsets, fault = outlet.send(list(zip(lot, values, strict=True)))
    sent = [(message, offset) for message, offset in zip(lot, offsets, strict=True) if offset is not None]
    if sent:
        notes.note([Attempt(message.message_id, message.replays + 1, offset) for message, offset in sent])
    for message, offset in sent:
        yield Replayed(message, Fate.SENT, offset)
    if fault:
        raise Unreachable(
            f"Kafka did not take {len(lot) - len(sent)} of {len(lot)} messages: {fault}.",
            hint="They are open still; run the same command again.",
        )


class KafkaOutlet:
    """Kafka, by a producer that keeps their order; the copies carry whose replay they are as headers."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._publisher = Publisher(connection, client_id="causeline-dead-replay")

    def send(self, messages: Sequence[tuple[DeadMessage, bytes]]) -> tuple[Sequence[int | None], str]:
        """See `Outlet`."""
        records = [
            ProducerRecord(
                message.topic,
                value,
                key=message.key,
                partition=message.partition,
                headers=(
                    ("causeline-replay-of", message.message_id.encode()),
                    ("causeline-replay", str(message.replays + 1).encode()),
                ),
            )
            for message, value in messages
        ]
        try:
            return self._publisher.publish(records), ""
        except NotDelivered as error:
            return error.offsets, error.reason
