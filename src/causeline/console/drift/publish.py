"""The watch's way out: alerts to their topic, and a word when all of them have arrived."""

from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import Unreachable
from causeline.schemas.topics import ALERTS

_TIMEOUT_S = 30


class Publisher(Protocol):
    """Where alerts go."""

    def publish(self, key: str, value: bytes) -> None:
        """Hand over a message."""
        ...

    def deliver(self) -> None:
        """Wait until the broker has all that was handed over; raises Unreachable when it does not take it."""
        ...


class KafkaPublisher:
    """An idempotent producer."""

    def __init__(self, connection: KafkaConnection, *, prefix: str) -> None:
        self._topic = ALERTS.full_name(prefix)
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {
                **connection.client_config(),
                "client.id": "causeline-watch",
                "enable.idempotence": True,
                "message.timeout.ms": _TIMEOUT_S * 1000,
                "log_level": 0,
            }
        )

    def publish(self, key: str, value: bytes) -> None:
        """See `Publisher`."""
        try:
            self._producer.produce(self._topic, value=value, key=key.encode(), on_delivery=self._heard)
        except (BufferError, KafkaException) as error:
            raise Unreachable(f"An alert cannot be published to {self._topic}: {error}.") from error

    def deliver(self) -> None:
        """See `Publisher`."""
        left = self._producer.flush(_TIMEOUT_S + 1)
        failed, self._failed = self._failed, None
        if failed is not None:
            raise Unreachable(f"Kafka does not take alerts: {failed.str()}.")
        if left:
            raise Unreachable(f"Kafka has not taken {left} alerts within {_TIMEOUT_S} s.")

    def _heard(self, error: KafkaError | None, _message: Message) -> None:
        self._failed = self._failed or error
