"""A partition's messages are cut into batches by rows, bytes and age."""

import pytest

from causeline.sinks.loader.buffer import PartitionBuffer
from tests.unit.sinks.messages import batch, event, read


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
