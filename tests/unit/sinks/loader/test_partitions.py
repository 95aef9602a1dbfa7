"""A partition's messages are cut into batches by rows, bytes and age; what waits of one topic goes together."""

from collections.abc import Sequence

import pytest
from confluent_kafka import TopicPartition

from causeline.sinks.loader.partitions import Load, Partition, PartitionBuffer, next_load
from causeline.sinks.loader.routes import routes
from tests.unit.sinks.loader.messages import batch, event, read

ROUTES = routes("t")
ROWS, BYTES = 10, 1_000_000


def fill(buffer: PartitionBuffer, sizes: list[int], now: float = 0) -> None:
    number = 1
    for offset, size in enumerate(sizes):
        buffer.add(read(batch([event(number + n) for n in range(size)]) if size else b"", offset), now)
        number += size


def test_an_empty_buffer_is_never_due() -> None:
    assert PartitionBuffer(10, 10_000, 1).due_at() is None


def test_a_message_waits_for_others_for_the_linger_and_no_longer() -> None:
    buffer = PartitionBuffer(10, 10_000, 0.5)
    fill(buffer, [1], now=7)
    fill(buffer, [1], now=9)
    assert buffer.due_at() == 7.5


def test_a_full_batch_is_due_at_once() -> None:
    buffer = PartitionBuffer(10, 10_000, 60)
    fill(buffer, [4, 6], now=7)
    assert buffer.due_at() == 7


def test_a_batch_ends_before_the_message_that_is_too_much() -> None:
    buffer = PartitionBuffer(10, 1_000_000, 1)
    fill(buffer, [4, 6, 1, 12, 0, 3])
    cut = []
    while buffer:
        taken = buffer.take()
        cut.append((taken.messages, taken.next_offset))
    assert cut == [(2, 2), (1, 3), (1, 4), (2, 6)]
    assert (buffer.rows, buffer.bytes) == (0, 0)


def test_bytes_bound_a_batch_too() -> None:
    size = len(batch([event(1)]))
    buffer = PartitionBuffer(1000, 2 * size, 1)
    fill(buffer, [1, 1, 1])
    assert buffer.take().messages == 2


def test_unreadable_messages_count_for_their_bytes_and_keep_their_place() -> None:
    buffer = PartitionBuffer(10, 10_000, 1)
    fill(buffer, [1, 0, 1])
    taken = buffer.take()
    assert ([each.origin.offset for each in taken.units], [each.origin.offset for each in taken.bad]) == ([0, 2], [1])


def test_two_batches_crowd_it() -> None:
    buffer = PartitionBuffer(10, 1_000_000, 1)
    fill(buffer, [10, 9])
    assert not buffer.is_crowded()
    fill(buffer, [1])
    assert buffer.is_crowded()


def test_nothing_can_be_taken_from_nothing() -> None:
    with pytest.raises(IndexError):
        PartitionBuffer(1, 1, 1).take()


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
