"""Dead letters: what cannot be stored goes to a topic of its own, with its bytes and where it stood."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from causeline.schemas import catalogue, ids, topics, wire
from causeline.schemas.clock import Clock, system_clock
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import CauselineError
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.sinks.loader.retrying import TryLater
from causeline.sinks.loader.units import BadMessage

STAGE = "loader"
_MAX_KEY_BYTES = 4096
_ENVELOPE_BYTES = 16 * 1024
"""More than everything but the original value can take in a dead letter."""
_MAX_VALUE_BYTES = MAX_MESSAGE_BYTES - _ENVELOPE_BYTES
_DELIVERY_TIMEOUT_S = 30.0
_NO_INT = 1 << 31

_WINDOW = 5
"""The flood gate remembers this many times as many messages as it needs."""

_log = logging.getLogger(__name__)


class DeadLetters(Protocol):
    """Where bad messages go."""

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """Returns when each is kept for good; raises TryLater, after which all may be given again."""
        ...


class FloodOfDeadLetters(CauselineError):
    """So many messages cannot be stored that something else must be wrong."""


class FloodGate:
    """Refuses to bury when too large a share of the last messages is bad: a bad deploy must not empty a topic.

    Looks at whole batches, from `after` messages on; may be called from several threads.
    """

    def __init__(self, max_ratio: float, after: int) -> None:
        self._max_ratio = max_ratio
        self._after = after
        self._window: deque[tuple[int, int]] = deque()
        self._seen = self._dead = 0
        self._lock = threading.Lock()

    def admit(self, messages: int, bad: int, reasons: Sequence[str]) -> None:
        """Count a batch; raises FloodOfDeadLetters."""
        with self._lock:
            self._window.append((messages, bad))
            self._seen += messages
            self._dead += bad
            while self._seen - self._window[0][0] >= _WINDOW * self._after:
                old_messages, old_bad = self._window.popleft()
                self._seen -= old_messages
                self._dead -= old_bad
            seen, dead = self._seen, self._dead
        if seen >= self._after and dead > self._max_ratio * seen:
            raise FloodOfDeadLetters(
                f"{dead} of the last {seen} messages cannot be stored ({', '.join(sorted(set(reasons)))}), so the"
                " loader stops instead of burying them.",
                hint="Find out who writes them; CAUSELINE_LOADER_MAX_DEAD_RATIO=1 lets them be buried.",
            )


class KafkaDeadLetters:
    """Writes them to the topic of dead letters, and waits until the broker has them."""

    def __init__(
        self, connection: KafkaConnection, topic_prefix: str, schemas: Schemas, clock: Clock = system_clock
    ) -> None:
        self._topic = topics.DEAD.full_name(topic_prefix)
        self._schemas = schemas
        self._clock = clock
        self._producer = Producer(
            {
                **connection.client_config(),
                "enable.idempotence": True,
                "compression.type": "zstd",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "delivery.timeout.ms": round(_DELIVERY_TIMEOUT_S * 1000),
                "reconnect.backoff.ms": 500,
                "log_level": 0,
            }
        )

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """See `DeadLetters`."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            for each in bad:
                self._produce(each, delivered)
        except KafkaException as error:
            failures.append(error.args[0])
        deadline = time.monotonic() + _DELIVERY_TIMEOUT_S + 5
        while (left := self._producer.flush(1.0)) and time.monotonic() < deadline:
            _log.debug("%d dead letters are not yet delivered", left)
        if left or failures:
            raise TryLater(failures[0].name() if failures else "dead letters not delivered in time")

    def _produce(self, bad: BadMessage, delivered: Callable[[KafkaError | None, Message], None]) -> None:
        value = wire.frame(
            self._schemas.write_id("dead-letter"),
            wire.encode_datum(catalogue.latest("dead-letter"), dead_letter(bad, self._clock())),
        )
        while True:
            try:
                self._producer.produce(self._topic, value, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.1)  # the queue is full; deliveries make room
            else:
                return


def dead_letter(bad: BadMessage, observed_at: int) -> dict[str, object]:
    """The DeadLetter record of a bad message; the same id however often the message is met.

    A value so large that no dead letter could hold it is cut, and the detail says so.
    """
    origin = bad.origin
    where = (origin.topic, str(origin.partition), str(origin.offset), STAGE)
    detail = bad.detail
    if len(bad.value) > _MAX_VALUE_BYTES:
        detail = f"{detail} Only its first {_MAX_VALUE_BYTES} of {len(bad.value)} bytes are here."
    return {
        "dead_id": ids.derived_id(*where, *(() if bad.item is None else (str(bad.item),))),
        "stage": STAGE,
        "topic": origin.topic,
        "partition": origin.partition,
        "offset": origin.offset,
        "reason": bad.reason.value,
        "detail": detail,
        # The framing has 32 unsigned bits, the record 31: a larger id is nonsense, and stands in the value.
        "schema_id": bad.schema_id if bad.schema_id is not None and bad.schema_id < _NO_INT else None,
        "key": None if origin.key is None else origin.key[:_MAX_KEY_BYTES],
        "value": bad.value[:_MAX_VALUE_BYTES],
        "produced_at": origin.produced_at,
        "observed_at": observed_at,
    }
