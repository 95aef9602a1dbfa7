"""Messages of the topic that could not be used: each goes to the dead letters, with its bytes and where it stood."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from causeline.schemas import catalogue, ids, wire
from causeline.schemas.clock import Clock, system_clock
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import Reason, Unreachable
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DEAD, MAX_MESSAGE_BYTES

STAGE: Final = "receiver"
_LARGEST_KEY: Final = 1024
_LARGEST_VALUE: Final = MAX_MESSAGE_BYTES - 64 * 1024
"""A letter must fit into a message itself; what is larger is cut, and the letter says so."""
_DELIVERY_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message, where it stood, and why it could not be used; `produced_at` in microseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    produced_at: int | None
    reason: Reason
    detail: str


class DeadLetters(Protocol):
    """Where bad messages go."""

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """Returns when each is kept for good; raises Unreachable, after which all may be given again."""
        ...

    def close(self) -> None:
        """Let go of the way there."""
        ...


class KafkaDeadLetters:
    """The topic of dead letters. `bury` blocks, and may be called from any thread."""

    def __init__(self, kafka: KafkaConnection, prefix: str, schemas: Schemas, clock: Clock = system_clock) -> None:
        self._topic = DEAD.full_name(prefix)
        self._kafka = kafka
        self._schemas = schemas
        self._clock = clock
        self._lock = threading.Lock()
        self._producer: Producer | None = None

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """See `DeadLetters`."""
        failures: list[str] = []

        def told(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error.name())

        with self._lock:
            producer = self._producer = self._producer or self._new_producer()
            try:
                for each in bad:
                    producer.produce(self._topic, letter(each, self._schemas, self._clock()), on_delivery=told)
            except (BufferError, KafkaException) as error:
                failures.append(str(error))
            deadline = time.monotonic() + _DELIVERY_TIMEOUT_S + 5
            while (left := producer.flush(1.0)) and time.monotonic() < deadline:
                continue
        if left or failures:
            why = failures[0] if failures else "no answer in time"
            raise Unreachable(
                f"Kafka did not take a dead letter: {why}.", hint="`causeline topics apply` makes its topic."
            )

    def close(self) -> None:
        """See `DeadLetters`; all that was buried is there already."""
        self._producer = None

    def _new_producer(self) -> Producer:
        return Producer(
            {
                **self._kafka.client_config(),
                "client.id": "causeline-receiver-dead",
                "enable.idempotence": True,
                "compression.type": "zstd",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": round(_DELIVERY_TIMEOUT_S * 1000),
                "log_level": 0,
            }
        )


def letter(bad: BadMessage, schemas: Schemas, observed_at: int) -> bytes:
    """The DeadLetter of a bad message, framed; the same id however often the message is met."""
    detail = bad.detail
    if len(bad.value) > _LARGEST_VALUE:
        detail = f"{detail} Only the first {_LARGEST_VALUE} of its {len(bad.value)} bytes are here."
    record: Record = {
        "dead_id": ids.derived_id(bad.topic, str(bad.partition), str(bad.offset), STAGE),
        "stage": STAGE,
        "topic": bad.topic,
        "partition": bad.partition,
        "offset": bad.offset,
        "reason": bad.reason.value,
        "detail": detail,
        "schema_id": None,
        "key": None if bad.key is None else bad.key[:_LARGEST_KEY],
        "value": bad.value[:_LARGEST_VALUE],
        "produced_at": bad.produced_at,
        "observed_at": observed_at,
    }
    return wire.frame(schemas.write_id(DEAD.subject), wire.encode_datum(catalogue.latest(DEAD.subject), record))
