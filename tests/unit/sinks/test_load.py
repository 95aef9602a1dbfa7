"""What goes to the store together is what waits of one topic, as far as it fits into one insert."""

from collections.abc import Sequence

from confluent_kafka import TopicPartition

from causeline.sinks.loader.buffer import PartitionBuffer
from causeline.sinks.loader.load import Load, next_load
from causeline.sinks.loader.partition import Partition
from causeline.sinks.loader.routes import routes
from tests.unit.sinks.messages import batch, event, read

ROUTES = routes("t")
ROWS, BYTES = 10, 1_000_000


def partition(number: int, rows: Sequence[int], at: float, topic: str = "t.events") -> Partition:
    """A partition with a message of so many rows each, come at `at`; it lingers for a second."""
    found = Partition(ROUTES[topic], TopicPartition(topic, number), PartitionBuffer(ROWS, BYTES, 1.0))
    for offset, count in enumerate(rows):
        found.buffer.add(read(batch([event(n + 1) for n in range(count)]), offset, number), at)
    return found


def taken(load: Load | None) -> list[tuple[str, int, int]]:
    """Topic, partition and rows of what goes together."""
    assert load is not None
    assert [each.batch for each in load.partitions] == load.batches
    return [(each.place.topic, each.place.partition, each.batch.rows) for each in load.partitions if each.batch]


def test_nothing_goes_before_its_time() -> None:
    assert next_load([], 99, ROWS, BYTES) is None
    assert next_load([partition(0, [], 0), partition(1, [3], at=5)], 5.9, ROWS, BYTES) is None


def test_what_waits_of_a_topic_goes_with_what_is_due_and_the_longest_waiting_comes_first() -> None:
    waiting = [partition(0, [3], at=5.5), partition(1, [2], at=5), partition(2, [1], at=5.2, topic="t.gaps")]
    assert taken(next_load(waiting, 6, ROWS, BYTES)) == [("t.events", 1, 2), ("t.events", 0, 3)]
    assert next_load(waiting, 6, ROWS, BYTES) is None
    assert taken(next_load(waiting, 7, ROWS, BYTES)) == [("t.gaps", 2, 1)]


def test_an_insert_is_no_larger_than_it_may_be() -> None:
    waiting = [partition(0, [6], at=1), partition(1, [5], at=2), partition(2, [2, 2], at=3)]
    assert taken(next_load(waiting, 9, ROWS, BYTES)) == [("t.events", 0, 6), ("t.events", 2, 4)]
    assert taken(next_load(waiting, 9, ROWS, BYTES)) == [("t.events", 1, 5)]
    size = partition(0, [1], at=1).buffer.bytes
    one_each = [partition(0, [1], at=1), partition(1, [1], at=2)]
    assert taken(next_load(one_each, 9, ROWS, 2 * size - 1)) == [("t.events", 0, 1)]


def test_a_partition_whose_batch_is_on_its_way_waits() -> None:
    busy = partition(0, [1], at=1)
    assert taken(next_load([busy], 9, ROWS, BYTES)) == [("t.events", 0, 1)]
    busy.buffer.add(read(batch([event(1)]), 1), 2)
    assert next_load([busy], 9, ROWS, BYTES) is None
