"""The amender's way out: runs and dead letters to their topics, and a word when all of it has arrived."""

from collections.abc import Sequence
from typing import Protocol

from causeline.kafka.publisher import Gathering, ProducerRecord
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import REVIEWS, RUNS, Topic
from causeline.streams.amender.revise import Revision
from causeline.streams.runs.core import Written
from causeline.streams.runs.records import record_of
from causeline.streams.runs.review_items import could_match, review_items
from causeline.streams.worker.publications import review_value, run_batches


class Publisher(Protocol):
    """Where the amender's messages go."""

    def publish(self, topic: Topic, partition: int | None, value: bytes, key: bytes | None = None) -> None:
        """Hand over a message; None is any partition."""
        ...

    def deliver(self) -> None:
        """Wait until the broker has all that was handed over; raises Unreachable when it does not take it."""
        ...


class KafkaPublisher(Gathering):
    """The topics of a prefix; what is handed over is sent when it is to be delivered."""

    def __init__(self, connection: KafkaConnection, *, prefix: str, delivery_timeout_s: float) -> None:
        self._prefix = prefix
        super().__init__(connection, client_id="causeline-amender", timeout_s=delivery_timeout_s)

    def publish(self, topic: Topic, partition: int | None, value: bytes, key: bytes | None = None) -> None:
        """See `Publisher`."""
        self.add(ProducerRecord(topic.full_name(self._prefix), value, key, partition))


def publish_runs(revisions: Sequence[Revision], publisher: Publisher, schemas: Schemas, policy: Policy) -> None:
    """Each run to the partition it came from, after the items that `policy` makes of them.

    An item must be there before its run is: a run that is published is not amended again, and its items would be
    lost. These batches say nothing of how far a worker has counted, nor in which topic: a worker that asks passes
    amended runs over.
    """
    asked = False
    for partition, run in revisions:
        if could_match(run.brief, policy):
            for item in review_items(record_of(run.item), policy):
                publisher.publish(REVIEWS, partition, review_value(item, schemas), run.brief.run_id.encode())
                asked = True
    if asked:
        publisher.deliver()
    by_partition: dict[int, list[Written]] = {}
    for partition, run in revisions:
        by_partition.setdefault(partition, []).append(run)
    for partition, runs in by_partition.items():
        for batch in run_batches(runs, partition, schemas):
            publisher.publish(RUNS, partition, batch.value)
