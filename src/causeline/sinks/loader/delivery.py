"""Batches of one topic, delivered together: every record stored, or in the dead letters."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causeline.schemas.registry import Schemas
from causeline.sinks.loader.dead_letters import DeadLetters, FloodGate
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import Patience, Persistence, Sender, Storing
from causeline.sinks.loader.routes import Route
from causeline.sinks.loader.units import BadMessage, Unit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive messages of one partition: what is readable, what is not, and the offset after the last."""

    units: Sequence[Unit]
    bad: Sequence[BadMessage]
    next_offset: int

    @property
    def messages(self) -> int:
        """How many messages it stands for."""
        return len(self.units) + len(self.bad)

    @property
    def _messages(self) -> list[Unit | BadMessage]:
        return [*self.units, *self.bad]

    @property
    def rows(self) -> int:
        """How many records its readable messages claim to hold."""
        return sum(unit.block.count for unit in self.units)

    @property
    def size(self) -> int:
        """Its bytes, as they stood on the topic."""
        return sum(len(each.value) for each in self._messages)

    @property
    def produced_at(self) -> int | None:
        """When its oldest message was produced, microseconds; None where the broker does not say."""
        times = [at for each in self._messages if (at := each.origin.produced_at) is not None]
        return min(times, default=None)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of batches that went together."""

    messages: int
    rows: int
    inserts: int
    dead: int
    retries: int


class Delivery:
    """Delivers batches; called from several threads, each with other partitions.

    1. Units of one schema become one insert, sent until it is acknowledged. A service's fault only takes time. What an
       insert costs hardly depends on its rows as long as they are few, so partitions share it.
    2. Rows refused: every unit is decoded exactly, what is bad is taken out, and the rest goes again.
    3. Rows refused though nothing is wrong with them that we know of: halves, down to the one record.
    4. What is bad is buried, all at once, after the flood gate let it through. On the topic of dead letters itself it
       is told in the log instead.
    5. Only then does `deliver` return, and the offset may be committed.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        *,
        schemas: Schemas,
        sender: Sender,
        dead_letters: DeadLetters,
        gate: FloodGate,
        patience: Patience,
    ) -> None:
        self._schemas = schemas
        self._sender = sender
        self._dead_letters = dead_letters
        self._gate = gate
        self._patience = patience
        self._encoders = {topic: Encoder(route.table) for topic, route in routes.items()}

    def deliver(self, route: Route, batches: Sequence[Batch], cancelled: threading.Event) -> Delivered:
        """See the class; `batches` are of one topic, each of another partition.

        Raises Cancelled, or FloodOfDeadLetters; then nothing of them may be committed.
        """
        messages = sum(batch.messages for batch in batches)
        persistence = Persistence(self._patience, cancelled)
        storing = Storing(route.table, self._encoders[route.topic], self._sender, self._schemas, persistence)
        storing.store([unit for batch in batches for unit in batch.units])
        bad = [*(each for batch in batches for each in batch.bad), *storing.bad]
        for each in bad:
            _tell(each)
        if not route.is_dead:
            dead_messages = {(each.origin.partition, each.origin.offset) for each in bad}
            self._gate.admit(messages, len(dead_messages), [each.reason.value for each in bad])
            if bad:
                persistence.insist(lambda: self._dead_letters.bury(bad), "the dead letters cannot be written")
        return Delivered(messages, storing.rows, storing.inserts, len(bad), persistence.retries)


def _tell(bad: BadMessage) -> None:
    origin = bad.origin
    where = f"{origin.topic}[{origin.partition}] offset {origin.offset}"
    log.warning("%s cannot be stored: %s: %s", where, bad.reason, bad.detail)
