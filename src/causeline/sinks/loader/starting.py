"""Where to read a partition from: asked for by us, where the client would ask once and perhaps never read.

When the broker that coordinates a group has just changed, the client's own question may be refused as a whole; it asks
no more then, and the partition is never read, though all looks well (librdkafka issue 5586).
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition

from causeline.schemas.errors import Unreachable

ATTEMPTS = 5
_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


class KnowsOffsets(Protocol):
    """What of a consumer is needed."""

    def committed(self, partitions: list[TopicPartition], timeout: float = ...) -> list[TopicPartition]:
        """The committed offset of each, negative where there is none."""
        ...


def starts(consumer: KnowsOffsets, places: Sequence[TopicPartition]) -> list[TopicPartition]:
    """`places` with the offset to begin at: what is committed, else the beginning; raises Unreachable.

    Waits up to 10 s for each of five answers, less than a member of a group may be silent.
    """
    asked = [TopicPartition(place.topic, place.partition) for place in places]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answers = consumer.committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            _log.warning("committed offsets are not told, attempt %d of %d: %s", attempt, ATTEMPTS, error)
            continue
        if not any(each.error for each in answers):
            return [TopicPartition(each.topic, each.partition, _begin(each.offset)) for each in answers]
        _log.warning("committed offsets are not all told, attempt %d of %d", attempt, ATTEMPTS)
    raise Unreachable(
        "Kafka does not tell what this loader's group has committed.",
        hint="The loader may be started again; `causeline doctor` says how Kafka is.",
    )


def _begin(committed: int) -> int:
    return committed if committed >= 0 else OFFSET_BEGINNING
