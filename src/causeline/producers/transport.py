"""The way to the broker: one interface, with Kafka behind it; unit tests put a recording one in its place."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from causeline.producers.settings import EmitterSettings
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.topics import MAX_MESSAGE_BYTES

_LOG = logging.getLogger(__name__)

Delivered = Callable[[str | None], None]
"""Told once for each batch: None when the broker has it, else the error in a sentence."""


class QueueFull(Exception):
    """The transport holds as much as it may; poll and try again."""


class Transport(Protocol):
    """Called by the emitter's own thread only, except for `close`."""

    def partitions(self, timeout_s: float) -> int | None:
        """How many partitions the topic has, or None when that cannot be learnt now. May block for the time-out."""

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        """Hand over a value; never blocks. Raises QueueFull. `delivered` is called from `poll`."""

    def poll(self, timeout_s: float) -> None:
        """Deliver reports; may block for the time-out."""

    def close(self) -> None:
        """Forget what is still under way."""

    def fault(self) -> str | None:
        """What is wrong with the way to the broker, and the way out; None when nothing is known to be."""


class KafkaTransport:
    """An idempotent librdkafka producer of one topic."""

    def __init__(self, kafka: KafkaConnection, settings: EmitterSettings, topic: str) -> None:
        self._topic = topic
        self._bootstrap = kafka.bootstrap_servers
        self._fault: str | None = None
        self._producer = Producer(
            {
                **kafka.client_config(),
                "client.id": "causeline-emitter",
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": settings.compression,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": int(settings.delivery_timeout_s * 1000),
                "queue.buffering.max.kbytes": max(1024, 2 * settings.buffer_bytes // 1024),
                "error_cb": self._on_error,
                "log_level": 0,
            },
            logger=logging.getLogger("causeline.librdkafka"),
        )

    def partitions(self, timeout_s: float) -> int | None:
        """How many partitions the topic has; None, with `fault` saying why, when that cannot be learnt now."""
        try:
            topic = self._producer.list_topics(self._topic, timeout=timeout_s).topics.get(self._topic)
        except KafkaException as error:
            self._fault = self._unreachable(error.args[0])
            return None
        if topic is None or topic.error is not None or not topic.partitions:
            self._fault = f"The topic {self._topic} does not exist; `causeline topics apply` makes it."
            return None
        self._fault = None
        return len(topic.partitions)

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        """Hand over a value; raises QueueFull."""

        def report(error: KafkaError | None, _message: Any) -> None:
            delivered(None if error is None else f"A batch was not delivered: {error.str()}.")

        try:
            self._producer.produce(self._topic, value, partition=partition, on_delivery=report)
        except BufferError:
            raise QueueFull from None
        except KafkaException as error:
            delivered(f"A batch was refused: {error.args[0].str()}.")

    def poll(self, timeout_s: float) -> None:
        """Deliver reports."""
        self._producer.poll(timeout_s)

    def close(self) -> None:
        """Forget what is still under way."""
        self._producer.purge()
        self._producer.poll(0)

    def fault(self) -> str | None:
        """What is wrong with the way to the broker."""
        return self._fault

    def _on_error(self, error: KafkaError) -> None:
        self._fault = self._unreachable(error)

    def _unreachable(self, error: KafkaError) -> str:
        return (
            f"Kafka at {self._bootstrap} does not answer ({error.name()}); "
            "is it up, and is CAUSELINE_KAFKA_BOOTSTRAP_SERVERS right?"
        )
