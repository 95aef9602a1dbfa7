"""Where a member of a group reads a partition from: asked for by us, where the client would ask once and perhaps never
read, and where it would go on in a topic that was made again at the offsets of the one before.

When the broker that coordinates a group has just changed, the client's own question may be refused as a whole; it asks
no more then, and the partition is never read, though all looks well (librdkafka issue 5586).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from causeline.kafka.client import OFFSET_BEGINNING, KafkaException, TopicPartition
from causeline.kafka.identity import is_of_another
from causeline.schemas.errors import Unreachable

ATTEMPTS = 5
_TIMEOUT_S = 10.0

log = logging.getLogger(__name__)


class KnowsOffsets(Protocol):
    """What of a consumer is needed."""

    def committed(self, partitions: list[TopicPartition], timeout: float = ...) -> list[TopicPartition]:
        """The committed offset of each, negative where there is none."""
        ...


def starts(
    consumer: KnowsOffsets, places: Sequence[TopicPartition], ids: Callable[[str], str] = lambda _topic: ""
) -> list[TopicPartition]:
    """`places` with the offset to begin at: what is committed, else the beginning; raises Unreachable.

    `ids` gives the id of a topic: what was committed in another topic of its name is not its offset.

    Waits up to 10 s for each of five answers, less than a member of a group may be silent.
    """
    asked = [TopicPartition(place.topic, place.partition) for place in places]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answers = consumer.committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            log.warning("committed offsets are not told, attempt %d of %d: %s", attempt, ATTEMPTS, error)
            continue
        if not any(each.error for each in answers):
            return [TopicPartition(each.topic, each.partition, _begin(each, ids(each.topic))) for each in answers]
        log.warning("committed offsets are not all told, attempt %d of %d", attempt, ATTEMPTS)
    raise Unreachable(
        "Kafka does not tell what this group has committed.",
        hint="Start it again; `causeline doctor` says how Kafka is.",
    )


def _begin(committed: TopicPartition, topic_id: str) -> int:
    if is_of_another(committed.metadata, topic_id):
        log.warning(
            "topic %s was deleted and made again since offset %d of partition %d was committed: read from its start",
            committed.topic,
            committed.offset,
            committed.partition,
        )
        return int(OFFSET_BEGINNING)
    return int(committed.offset) if committed.offset >= 0 else int(OFFSET_BEGINNING)
