"""What a broker knows of offsets, asked until it can say.

For a moment after a topic is made, a broker starts or a leader changes, the broker that is asked is not the one that
knows: the answer is an error that means "ask again", and the client hands it on (librdkafka retries neither a
partition's watermarks nor a moved coordinator). Errors that waiting does not mend are raised at once.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

T = TypeVar("T")

SETTLING = frozenset(
    {
        "NOT_LEADER_FOR_PARTITION",
        "LEADER_NOT_AVAILABLE",
        "REPLICA_NOT_AVAILABLE",
        "UNKNOWN_TOPIC_OR_PART",
        "FENCED_LEADER_EPOCH",
        "UNKNOWN_LEADER_EPOCH",
        "KAFKA_STORAGE_ERROR",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "COORDINATOR_NOT_AVAILABLE",
        "NOT_COORDINATOR",
        "_TRANSPORT",
        "_TIMED_OUT",
        "_WAIT_COORD",
        "_UNKNOWN_PARTITION",
    }
)
"""Names of the errors that a settled cluster does not give; `KafkaError.retriable()` speaks of transactions only."""

_PAUSE_S = 0.1


class KnowsWatermarks(Protocol):
    """A `confluent_kafka.Consumer`, as far as it is asked here."""

    def get_watermark_offsets(self, partition: "TopicPartition", timeout: float = ...) -> tuple[int, int]:
        """The first offset and the one after the last."""
        ...


class KnowsCommitted(Protocol):
    """A `confluent_kafka.Consumer`, as far as it is asked here."""

    def committed(self, partitions: "list[TopicPartition]", timeout: float = ...) -> "list[TopicPartition]":
        """The committed offset of each, negative where there is none."""
        ...


def watermarks(consumer: KnowsWatermarks, place: "TopicPartition", *, timeout_s: float) -> tuple[int, int]:
    """The first offset of a partition and the one after its last; raises KafkaException.

    https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html#confluent_kafka.Consumer.get_watermark_offsets
    """
    return when_settled(lambda left_s: consumer.get_watermark_offsets(place, timeout=left_s), timeout_s=timeout_s)


def committed(
    consumer: KnowsCommitted, places: "Sequence[TopicPartition]", *, timeout_s: float
) -> "list[TopicPartition]":
    """What the consumer's group has committed of each of `places`, negative where nothing; raises KafkaException."""
    return when_settled(lambda left_s: consumer.committed(list(places), timeout=left_s), timeout_s=timeout_s)


def when_settled(
    ask: Callable[[float], T],
    *,
    timeout_s: float,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """What `ask` answers, given the seconds left; asked again after an error of `SETTLING` until `timeout_s` is over.

    Raises the last KafkaException.
    """
    from confluent_kafka import KafkaException  # noqa: PLC0415 - slow to load

    until = now_s() + timeout_s
    while True:
        try:
            return ask(max(_PAUSE_S, until - now_s()))
        except KafkaException as error:
            if error.args[0].name() not in SETTLING or now_s() + _PAUSE_S > until:
                raise
        pause(_PAUSE_S)
