"""Where the topic's messages come from: one member of a consumer group, whose offsets are stored by hand."""

import logging
from collections.abc import Iterable
from typing import Final, Protocol

from causeline.kafka.client import Consumer, KafkaError, Message, TopicPartition
from causeline.kafka.errors import Complaints, not_allowed
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import Unreachable

log = logging.getLogger(__name__)
POLL_S: Final = 0.5
_QUEUE_KIB: Final = 16 * 1024
"""Fetched ahead, at most: with the lot under way that is what the topic takes of memory."""


class Source(Protocol):
    """What is read of a consumer: confluent-kafka's, and in tests another."""

    def poll(self, timeout: float = ...) -> Message | None:
        """The next message; None when there is none for so long."""

    def consume(self, num_messages: int = ..., timeout: float = ...) -> list[Message]:
        """So many messages at most."""

    def store_offsets(self, message: Message | None = ..., offsets: list[TopicPartition] | None = ...) -> None:
        """Note where each partition is read to, for the next commit."""

    def seek(self, partition: TopicPartition) -> None:
        """Go back to an offset."""

    def close(self) -> None:
        """Commit, and leave the group."""


class KafkaSource:
    """The topic, as one member of its consumer group. Offsets are committed once a second as far as they are stored."""

    def __init__(self, kafka: KafkaConnection, topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._complaints = Complaints(kafka)
        self._said: set[str] = set()
        self._consumer = Consumer(
            {
                **kafka.client_config(),
                "client.id": "causeline-receiver",
                "group.id": group,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 10_000,  # a member that was killed holds its partitions so long
                "enable.auto.commit": True,
                "auto.commit.interval.ms": 1000,
                "enable.auto.offset.store": False,
                "queued.max.messages.kbytes": _QUEUE_KIB,
                "topic.metadata.refresh.interval.ms": 10_000,  # the Collector may make the topic after we began
                "error_cb": self._complaints.hear,
                "log_level": 0,
            }
        )
        self._consumer.subscribe([topic])

    def poll(self, timeout: float = POLL_S) -> Message | None:
        """The next message; raises CauselineError for a broker that will not have us."""
        return next(iter(self._messages([self._consumer.poll(timeout)])), None)

    def consume(self, num_messages: int = 1, timeout: float = 0) -> list[Message]:
        """What is there already, `num_messages` at most."""
        return self._messages(self._consumer.consume(num_messages, timeout))

    def store_offsets(self, message: Message | None = None, offsets: list[TopicPartition] | None = None) -> None:
        """Note offsets for the next commit; raises KafkaException for a partition that is not ours."""
        self._consumer.store_offsets(offsets=offsets)

    def seek(self, partition: TopicPartition) -> None:
        """Read on from an offset."""
        self._consumer.seek(partition)

    def close(self) -> None:
        """Commit what is stored, and leave the group."""
        self._consumer.close()

    def _messages(self, polled: Iterable[Message | None]) -> list[Message]:
        messages = []
        for each in polled:
            error = None if each is None else each.error()
            if error is not None:
                self._weigh(error)
            elif each is not None:
                messages.append(each)
        if self._complaints.are_final:
            raise self._complaints.unreachable()
        return messages

    def _weigh(self, error: KafkaError) -> None:
        name = error.name()
        if name in {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}:
            raise not_allowed(self._kafka, self._topic)
        if error.fatal():
            raise Unreachable(f"Kafka no longer serves this receiver: {error.str()}.", hint="Start it again.")
        if name not in self._said:
            self._said.add(name)
            log.warning("The topic %s cannot be read yet: %s", self._topic, error.str())
