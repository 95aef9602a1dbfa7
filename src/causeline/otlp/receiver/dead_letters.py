"""Messages of the topic that could not be used: each goes to the dead letters, with its bytes and where it stood."""

from collections.abc import Sequence
from typing import Final, Protocol

from causeline.kafka.publisher import ProducerRecord, Publisher
from causeline.runtime.clock import Clock, system_clock
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.dead_letter import DeadLetter, dead_letter_value
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DEAD

STAGE: Final = "receiver"


class DeadLetters(Protocol):
    """Where bad messages go."""

    def bury(self, bad: Sequence[DeadLetter]) -> None:
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
        self._publisher: Publisher | None = None

    def bury(self, bad: Sequence[DeadLetter]) -> None:
        """See `DeadLetters`."""
        publisher = self._publisher = self._publisher or Publisher(self._kafka, client_id="causeline-receiver-dead")
        now_us = self._clock()
        publisher.publish([ProducerRecord(self._topic, dead_letter_value(each, now_us, self._schemas)) for each in bad])

    def close(self) -> None:
        """See `DeadLetters`; all that was buried is there already."""
        self._publisher = None
