"""The way to the broker: one interface, with Kafka behind it; unit tests put a recording one in its place."""

import ctypes
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import MAX_MESSAGE_BYTES


class Permanent(str):
    """An error, in a sentence, that another attempt with the same batch will meet again."""

    __slots__ = ()


class TooLarge(Permanent):
    """The error of a batch that is larger than the topic takes: a smaller one may be taken."""

    __slots__ = ()


Delivered = Callable[[str | None], None]
"""Told once for each batch: None when the broker has it, else the error in a sentence."""


class QueueFull(Exception):
    """The transport holds as much as it may; poll and try again."""


class Transport(Protocol):
    """Made and called by the emitter's own thread only."""

    def partitions(self, timeout_s: float) -> int | None:
        """How many partitions the topic has, or None when that cannot be learnt now. May block for the time-out."""

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        """Hand over a value; never blocks. Raises QueueFull. `delivered` may be called at once, or from `poll`."""

    def poll(self, timeout_s: float) -> None:
        """Deliver reports; may block for the time-out."""

    def close(self) -> None:
        """Give up what is still under way, without waiting for the broker."""

    def abandon(self) -> None:
        """Called in a forked child on its parent's transport: never use nor destroy it."""

    def take_fault(self) -> str | None:
        """What has gone wrong on the way to the broker since the last call, and the way out; None when nothing has."""


class KafkaTransport:
    """An idempotent librdkafka producer of one topic."""

    def __init__(self, kafka: KafkaConnection, settings: EmitterSettings, topic: str) -> None:
        self._topic = topic
        self._bootstrap = kafka.bootstrap_servers
        self._fault: str | None = None
        self._broken = False
        self._config: dict[str, Any] = {
            **kafka.client_config(),
            "client.id": "causeline-emitter",
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            # A message is a batch already. Put together with others it would be refused with them where it is not too
            # large by itself, and splitting it would change nothing.
            "batch.num.messages": 1,
            "compression.type": settings.compression,
            # Batches of events become no smaller by a higher level of zstd than the first, only dearer.
            "compression.level": 1 if settings.compression == "zstd" else -1,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "delivery.timeout.ms": int(settings.delivery_timeout_s * 1000),
            "queue.buffering.max.kbytes": max(1024, 2 * settings.buffer_bytes // 1024),
            "error_cb": self._on_error,
            "log_level": 0,
        }
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        return Producer(self._config, logger=logging.getLogger("causeline.librdkafka"))

    def partitions(self, timeout_s: float) -> int | None:
        """How many partitions the topic has; None, with the fault saying why, when that cannot be learnt now."""
        try:
            topic = self._producer.list_topics(self._topic, timeout=timeout_s).topics.get(self._topic)
        except KafkaException as error:
            self._fault = self._explain(error.args[0])
            return None
        if topic is None or (topic.error is None and not topic.partitions):
            self._fault = self._missing_topic()
            return None
        if topic.error is not None:
            self._fault = self._explain(topic.error)
            return None
        return len(topic.partitions)

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        """Hand over a value; raises QueueFull."""
        if self._broken:
            self._replace_producer()

        def report(error: KafkaError | None, _message: Any) -> None:
            delivered(None if error is None else self._explain(error))

        try:
            self._producer.produce(self._topic, value, partition=partition, on_delivery=report)
        except BufferError:
            raise QueueFull from None
        except KafkaException as error:
            self._broken = self._broken or error.args[0].fatal()
            delivered(self._explain(error.args[0]))

    def poll(self, timeout_s: float) -> None:
        """Deliver reports."""
        self._producer.poll(timeout_s)

    def close(self) -> None:
        """Give up what is still under way, without waiting for the broker."""
        self._producer.purge()
        self._producer.flush(0.2)  # the purged batches are reported at once; this only hands on the reports

    def abandon(self) -> None:
        """Keep the parent's producer for ever: to destroy it would wait for threads that a fork does not copy."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))

    def take_fault(self) -> str | None:
        """What has gone wrong since the last call."""
        fault, self._fault = self._fault, None
        return fault

    def _on_error(self, error: KafkaError) -> None:
        self._broken = self._broken or error.fatal()
        self._fault = self._explain(error)

    def _replace_producer(self) -> None:
        # After a fatal error an idempotent producer refuses all work for good.
        self._broken = False
        self.close()
        self._producer = self._new_producer()

    def _explain(self, error: KafkaError) -> str:
        code = error.code()
        if code in _NO_TOPIC:
            return self._missing_topic()
        if code in _UNREACHABLE:
            return (
                f"Kafka at {self._bootstrap} does not answer ({error.name()}); "
                "is it up, and is CAUSELINE_KAFKA_BOOTSTRAP_SERVERS right?"
            )
        way_out = _WAYS_OUT.get(code, "`causeline topics apply` shows whether the broker can be used")
        sentence = f"Kafka does not take events for {self._topic} ({error.name()}); {way_out}."
        if code in _TOO_LARGE:
            return TooLarge(sentence)
        return Permanent(sentence) if code in _REFUSED else sentence

    def _missing_topic(self) -> str:
        return f"The topic {self._topic} does not exist; `causeline topics apply` makes it."


_NO_TOPIC: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001 - public name
_UNREACHABLE: Final = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
    }
)
_TOO_LARGE: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}
)
_REFUSED: Final = frozenset(
    {KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG, KafkaError.INVALID_TIMESTAMP, KafkaError._BAD_MSG}  # noqa: SLF001
)
_LOG_IN: Final = "check CAUSELINE_KAFKA_SECURITY_PROTOCOL and CAUSELINE_KAFKA_SASL_…"
_WAYS_OUT: Final = {
    KafkaError._AUTHENTICATION: _LOG_IN,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED: _LOG_IN,
    KafkaError._SSL: "check CAUSELINE_KAFKA_SECURITY_PROTOCOL and CAUSELINE_KAFKA_SSL_…",  # noqa: SLF001
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "this client needs the right to write to it",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this client needs the right of idempotent writing",
    KafkaError.MSG_SIZE_TOO_LARGE: "`causeline topics apply` gives it the size that batches need",
    KafkaError._UNKNOWN_PARTITION: "it has lost partitions, and later events go by its new number",  # noqa: SLF001
    KafkaError._PURGE_QUEUE: "the emitter closed before it was sent",  # noqa: SLF001
    KafkaError._PURGE_INFLIGHT: "the emitter closed before the broker had it",  # noqa: SLF001
    KafkaError.NOT_ENOUGH_REPLICAS: "too few of its replicas are up",
}
