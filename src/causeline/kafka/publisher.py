"""Records to a broker, and a word when it has all of them: for whoever may wait.

What may not wait has a producer of its own: the emitter (`producers.emitter.transport`) and the worker
(`streams.worker.outbox`).
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from causeline.kafka.errors import Complaints
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import Unreachable
from causeline.schemas.topics import MAX_MESSAGE_BYTES

_ANY = -1
"""librdkafka's word for: whichever partition."""
_POLL_S = 0.1
_GRACE_S = 5.0
"""After its own time-out a client still has to tell of it."""


@dataclass(frozen=True, slots=True)
class ProducerRecord:
    """What is to be published: to the topic of this full name, and to any partition where none is named."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class NotDelivered(Unreachable):
    """The broker has not taken all of it: `offsets` of what it has, None for the rest; `reason` in a few words."""

    def __init__(self, reason: str, offsets: Sequence[int | None], *, hint: str) -> None:
        lost = sum(offset is None for offset in offsets)
        super().__init__(f"Kafka has not taken {lost} of {len(offsets)} messages: {reason}.", hint=hint)
        self.reason = reason
        self.offsets = offsets


class Publisher:
    """An idempotent producer, for any thread. A full queue is met by waiting for deliveries, which make room."""

    def __init__(self, connection: KafkaConnection, *, client_id: str, timeout_s: float = 30.0) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._complaints = Complaints(connection)
        self._producer = Producer(
            {
                **connection.client_config(),
                "client.id": client_id,
                "enable.idempotence": True,
                "compression.type": "zstd",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": round(timeout_s * 1000),
                "reconnect.backoff.ms": 500,
                "error_cb": self._complaints.hear,
                "log_level": 0,
            }
        )

    def publish(self, records: Sequence[ProducerRecord]) -> list[int]:
        """The offset of each record, once the broker has all of them, in the order of each partition.

        Raises NotDelivered, after which all may be given again.
        """
        delivery = _Delivery(len(records))
        until = time.monotonic() + self._timeout_s + _GRACE_S
        for place, record in enumerate(records):
            try:
                self._hand_over(record, delivery, place, until)
            except KafkaException as error:
                delivery.failed(error.args[0])
        while delivery.waiting and time.monotonic() < until:
            self._producer.poll(_POLL_S)
        offsets = [offset for offset in delivery.offsets if offset is not None]
        if len(offsets) < len(records):
            why = self._complaints.unreachable()
            raise NotDelivered(delivery.fault or "no answer in time", delivery.offsets, hint=f"{why} {why.hint}")
        return offsets

    def _hand_over(self, record: ProducerRecord, delivery: "_Delivery", place: int, until: float) -> None:
        def answered(error: KafkaError | None, message: Message) -> None:
            delivery.answered(place, error, message.offset())

        while True:
            try:
                self._producer.produce(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    partition=_ANY if record.partition is None else record.partition,
                    headers=list(record.headers),
                    on_delivery=answered,
                )
            except BufferError:
                if time.monotonic() >= until:
                    raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from None  # noqa: SLF001 - public code
                self._producer.poll(_POLL_S)
            else:
                delivery.handed_over()
                return


class Gathering:
    """Records that are gathered, and sent together when they are to be delivered; for one thread.

    What a broker has not taken then is not kept: whoever gathered it begins again.
    """

    def __init__(self, connection: KafkaConnection, *, client_id: str, timeout_s: float = 30.0) -> None:
        self._producer = Publisher(connection, client_id=client_id, timeout_s=timeout_s)
        self._pending: list[ProducerRecord] = []

    def add(self, record: ProducerRecord) -> None:
        """Hand over a record."""
        self._pending.append(record)

    def deliver(self) -> None:
        """Wait until the broker has all that was handed over; raises NotDelivered when it does not take it."""
        pending, self._pending = self._pending, []
        self._producer.publish(pending)


class _Delivery:
    """What has become of the records of one call; told from whichever thread polls."""

    def __init__(self, records: int) -> None:
        self.offsets: list[int | None] = [None] * records
        self.fault = ""
        self.waiting = 0
        self._lock = threading.Lock()

    def handed_over(self) -> None:
        with self._lock:
            self.waiting += 1

    def answered(self, place: int, error: KafkaError | None, offset: int | None) -> None:
        with self._lock:
            self.waiting -= 1
        if error is None:
            self.offsets[place] = offset
        else:
            self.failed(error)

    def failed(self, error: KafkaError) -> None:
        self.fault = self.fault or error.name()
