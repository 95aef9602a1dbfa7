"""The watch's way out: alerts to their topic, and a word when all of them have arrived."""

from typing import Protocol

from causeline.kafka.publisher import Gathering, ProducerRecord
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import ALERTS


class Publisher(Protocol):
    """Where alerts go."""

    def publish(self, key: str, value: bytes) -> None:
        """Hand over a message."""
        ...

    def deliver(self) -> None:
        """Wait until the broker has all that was handed over; raises Unreachable when it does not take it."""
        ...


class KafkaPublisher(Gathering):
    """The topic of alerts."""

    def __init__(self, connection: KafkaConnection, *, prefix: str) -> None:
        self._topic = ALERTS.full_name(prefix)
        super().__init__(connection, client_id="causeline-watch")

    def publish(self, key: str, value: bytes) -> None:
        """See `Publisher`."""
        self.add(ProducerRecord(self._topic, value, key.encode()))
