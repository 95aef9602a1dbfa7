"""The amender's way out: runs and dead letters to their topics, and a word when all of it has arrived."""

from typing import Protocol

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import Unreachable
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES, REVIEWS, RUNS, Topic
from causeline.streams.outgoing import review_value, run_batches
from causeline.streams.review_items import review_items

_ANY = -1
"""librdkafka's word for: whichever partition."""


class Publisher(Protocol):
    """Where the amender's messages go."""

    def publish(self, topic: Topic, partition: int | None, value: bytes, key: bytes | None = None) -> None:
        """Hand over a message; None is any partition."""
        ...

    def deliver(self) -> None:
        """Wait until the broker has all that was handed over; raises Unreachable when it does not take it."""
        ...


class KafkaPublisher:
    """An idempotent producer."""

    def __init__(self, connection: KafkaConnection, *, prefix: str, delivery_timeout_s: float) -> None:
        self._prefix = prefix
        self._timeout_s = delivery_timeout_s
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {
                **connection.client_config(),
                "client.id": "causeline-amender",
                "enable.idempotence": True,
                "compression.type": "zstd",
                "linger.ms": 5,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "message.timeout.ms": int(delivery_timeout_s * 1000),
                "log_level": 0,
            }
        )

    def publish(self, topic: Topic, partition: int | None, value: bytes, key: bytes | None = None) -> None:
        """See `Publisher`."""
        name, place = topic.full_name(self._prefix), _ANY if partition is None else partition
        try:
            self._producer.produce(name, value=value, key=key, partition=place, on_delivery=self._heard)
        except BufferError:
            self.deliver()
            self._producer.produce(name, value=value, key=key, partition=place, on_delivery=self._heard)
        except KafkaException as error:
            raise Unreachable(f"A message to {topic.name} cannot be published: {error.args[0].str()}.") from error

    def deliver(self) -> None:
        """See `Publisher`."""
        left = self._producer.flush(self._timeout_s + 1)
        failed, self._failed = self._failed, None
        if failed is not None:
            raise Unreachable(f"Kafka does not take what was amended: {failed.str()}.")
        if left:
            raise Unreachable(f"Kafka has not taken {left} messages within {self._timeout_s:g} s.")

    def _heard(self, error: KafkaError | None, _message: Message) -> None:
        self._failed = self._failed or error


def publish_runs(runs: pl.DataFrame, publisher: Publisher, schemas: Schemas, policy: Policy) -> None:
    """Each run to the partition it came from, after the items that `policy` makes of them.

    An item must be there before its run is: a run that is published is not amended again, and its items would be
    lost. These batches say nothing of how far a worker has counted.
    """
    places = dict(zip(runs["run_id"], runs["source_partition"], strict=True))
    asked = False
    for item in review_items(runs, policy):
        run_id = str(item["run_id"])
        publisher.publish(REVIEWS, places[run_id], review_value(item, schemas), run_id.encode())
        asked = True
    if asked:
        publisher.deliver()
    for (partition,), mine in runs.partition_by("source_partition", as_dict=True).items():
        for batch in run_batches(mine, int(partition), schemas):
            publisher.publish(RUNS, int(partition), batch.value)
