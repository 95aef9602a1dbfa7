"""Dead letters: what cannot be stored goes to a topic of its own, with its bytes and where it stood."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from causeline.kafka.publisher import NotDelivered, ProducerRecord, Publisher
from causeline.runtime.clock import Clock, system_clock
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import topics
from causeline.schemas.dead_letter import DeadLetter, dead_letter_value
from causeline.schemas.errors import CauselineError
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.inserting import TryLater
from causeline.sinks.loader.units import BadMessage

STAGE = "loader"

_WINDOW = 5
"""The flood gate remembers this many times as many messages as it needs."""


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
        self._publisher = Publisher(connection, client_id="causeline-loader-dead")

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """See `DeadLetters`."""
        now_us = self._clock()
        try:
            self._publisher.publish(
                [ProducerRecord(self._topic, dead_letter_value(letter(each), now_us, self._schemas)) for each in bad]
            )
        except NotDelivered as error:
            raise TryLater(error.reason) from error


def letter(bad: BadMessage) -> DeadLetter:
    """The letter of a bad message."""
    origin = bad.origin
    return DeadLetter(
        stage=STAGE,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        key=origin.key,
        value=bad.value,
        reason=bad.reason,
        detail=bad.detail,
        produced_at=origin.produced_at,
        schema_id=bad.schema_id,
        item=bad.item,
    )
