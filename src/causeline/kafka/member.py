"""A member of a consumer group, as a process of ours reads: from where its group has got to, until it is stopped.

1. A partition begins at the offset that the group has committed in this very topic, else at its start.
2. What Kafka says in the place of a message is told, and ends the process where it is final; so does a topic that was
   made again.
3. An offset is committed with the id of its topic. One that is not committed is read again.

Everything happens in the thread that reads, the calls for partitions that come and go too.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, Message, TopicPartition

from causeline.kafka.consumer import Teller
from causeline.kafka.identity import TopicIds
from causeline.kafka.starting import starts
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import Unreachable

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""A topic's name and a partition's number."""
OnPlaces = Callable[[Mapping[str, set[int]]], None]
"""Told partitions, by topic."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message and where it stood; `produced_us` is None where nobody knows."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    produced_us: int | None = None


class Member:
    """Reads for `who`, a process by its name; without `ids` a topic is known by its offsets alone."""

    def __init__(self, who: str, consumer: Consumer, connection: KafkaConnection, ids: TopicIds | None = None) -> None:
        self._who, self._consumer, self._ids = who, consumer, ids
        self._teller = Teller(connection)
        self._is_held: bool | None = False
        """None: some partitions may be held, and others not."""

    def join(self, topics: Iterable[str], *, came: OnPlaces | None = None, went: OnPlaces | None = None) -> None:
        """Read these topics from now on; `came` and `went` are told the partitions that come and go."""

        def assigned(consumer: Consumer, places: list[TopicPartition]) -> None:
            if places:
                consumer.incremental_assign(starts(consumer, places, self._id_of))
                self._is_held = None
            if came is not None:
                came(_by_topic(places))

        def revoked(_consumer: Consumer, places: list[TopicPartition]) -> None:
            if went is not None:
                went(_by_topic(places))

        self._consumer.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def read(self, most: int, wait_s: float) -> list[Received]:
        """The next messages, at most so many, waiting at most so long. Raises Unreachable when Kafka fails for good,
        EnvironmentFault when a topic was made again."""
        if self._ids is not None:
            self._ids.require_the_same()
        received = []
        for message in self._consumer.consume(most, wait_s):
            error = message.error()
            if error is None:
                received.append(_received(message))
            elif error.fatal():
                raise Unreachable(f"The {self._who} cannot read on: {error.str()}.")
            else:
                self._teller.hear(error)
        return received

    def hold(self, *, held: bool) -> None:
        """Read nothing for now, or go on; membership of the group goes on either way."""
        if held is not self._is_held:
            (self._consumer.pause if held else self._consumer.resume)(self._consumer.assignment())
            self._is_held = held

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Say where the group goes on, by partition; waits for the broker. What it does not take is only logged."""
        if not offsets:
            return
        wanted = [TopicPartition(*place, offset, self._id_of(place[0])) for place, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            log.warning("offsets not committed: %s", error.args[0].str())

    def leave(self) -> None:
        """Give the partitions back, at once."""
        self._consumer.close()

    def _id_of(self, topic: str) -> str:
        return "" if self._ids is None else self._ids.get(topic)


def after(messages: Iterable[Received]) -> dict[Place, int]:
    """The offset after the last message of each partition."""
    return {(each.topic, each.partition): each.offset + 1 for each in messages}


def _by_topic(places: Sequence[TopicPartition]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for place in places:
        found.setdefault(place.topic, set()).add(place.partition)
    return found


def _received(message: Message) -> Received:
    topic, partition, offset, value = message.topic(), message.partition(), message.offset(), message.value()
    if topic is None or partition is None or offset is None:
        raise Unreachable("Kafka gave a message without its place.")
    kind, produced_ms = message.timestamp()
    produced_us = None if kind == TIMESTAMP_NOT_AVAILABLE else produced_ms * 1000
    return Received(topic, partition, offset, value if isinstance(value, bytes) else None, produced_us)
