"""What every transport keeps to: the recording one of the unit tests and Kafka's."""

from collections.abc import Callable

import pytest

from causeline.producers.emitter.transport import TooLarge, Transport
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.stack.waiting import wait_until

PARTITIONS = 5


def poll_until(transport: Transport, condition: Callable[[], bool]) -> None:
    """Poll until a condition holds."""

    def holds() -> bool:
        transport.poll(0.05)
        return condition()

    wait_until(holds, timeout_s=30, what="a report", interval_s=0.001)


class TransportContract:
    """Subclasses give `transport`, to a topic of PARTITIONS, and `lost`, to one that does not exist."""

    @pytest.fixture
    def transport(self) -> Transport:
        """To a topic of PARTITIONS partitions."""
        raise NotImplementedError

    @pytest.fixture
    def lost(self) -> Transport:
        """To a topic that does not exist."""
        raise NotImplementedError

    def test_it_knows_the_partitions(self, transport: Transport) -> None:
        assert wait_until(lambda: transport.partitions(5.0), timeout_s=30, what="the partitions") == PARTITIONS

    def test_it_says_that_a_topic_is_missing_and_the_way_out_once(self, lost: Transport) -> None:
        said: list[str] = []

        def told() -> bool:
            assert lost.partitions(5.0) is None
            said.append(lost.take_fault() or "")
            return "does not exist; `causeline topics apply` makes it." in said[-1]

        wait_until(told, timeout_s=30, what="the missing topic")
        assert lost.take_fault() is None

    def test_it_tells_of_each_batch_once_and_not_before_it_is_asked(self, transport: Transport) -> None:
        told: list[str | None] = []
        for partition in range(PARTITIONS):
            transport.send(partition, b"value", told.append)
        assert told == []
        poll_until(transport, lambda: len(told) == PARTITIONS)
        assert told == [None] * PARTITIONS

    def test_a_partition_that_is_not_there_is_an_error_of_the_batch(self, transport: Transport) -> None:
        wait_until(lambda: transport.partitions(5.0), timeout_s=30, what="the partitions")
        told: list[str | None] = []
        transport.send(PARTITIONS, b"value", told.append)
        poll_until(transport, lambda: bool(told))
        assert len(told) == 1
        assert told[0]

    def test_a_batch_that_is_too_large_is_an_error_of_the_batch(self, transport: Transport) -> None:
        told: list[str | None] = []
        transport.send(0, b"x" * (MAX_MESSAGE_BYTES + 1), told.append)
        poll_until(transport, lambda: bool(told))
        assert len(told) == 1
        assert isinstance(told[0], TooLarge)

    def test_closing_tells_of_each_batch_that_is_still_under_way(self, lost: Transport) -> None:
        told: list[str | None] = []
        for _ in range(3):
            lost.send(0, b"value", told.append)
        lost.close()
        assert len(told) == 3
        assert all(told)
