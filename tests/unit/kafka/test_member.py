"""A member of a group: where it begins, what it tells, what it commits, and when it reads nothing."""

from collections.abc import Callable

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, KafkaError, KafkaException, TopicPartition

from causeline.kafka.member import Member, Received, after
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import Unreachable

OnPartitions = Callable[["Group", list[TopicPartition]], None]


class FromKafka:
    """A message of the client's, or an error in its place."""

    def __init__(
        self,
        *place: str | int | None,
        value: bytes | None = b"",
        produced: tuple[int, int] = (TIMESTAMP_NOT_AVAILABLE, 0),
        error: KafkaError | None = None,
    ) -> None:
        self._place, self._value, self._produced, self._error = place, value, produced, error

    def topic(self) -> str | int | None:
        return self._place[0]

    def partition(self) -> str | int | None:
        return self._place[1]

    def offset(self) -> str | int | None:
        return self._place[2]

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return self._produced

    def error(self) -> KafkaError | None:
        return self._error


class Group:
    """A consumer whose group has committed offset 7 everywhere; keeps what it is told."""

    def __init__(self, *messages: FromKafka, takes_commits: bool = True) -> None:
        self.messages, self.takes_commits = list(messages), takes_commits
        self.assigned: list[TopicPartition] = []
        self.paused: set[int] = set()
        self.commits: list[TopicPartition] = []
        self.comes: OnPartitions
        self.goes: OnPartitions

    def subscribe(
        self, topics: list[str], *, on_assign: OnPartitions, on_revoke: OnPartitions, on_lost: OnPartitions
    ) -> None:
        self.topics, self.comes, self.goes = topics, on_assign, on_revoke

    def committed(self, partitions: list[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        return [TopicPartition(each.topic, each.partition, 7) for each in partitions]

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.assigned += places

    def assignment(self) -> list[TopicPartition]:
        return self.assigned

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {each.partition for each in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {each.partition for each in places}

    def consume(self, _most: int, _wait_s: float) -> list[FromKafka]:
        messages, self.messages = self.messages, []
        return messages

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert not asynchronous
        if not self.takes_commits:
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
        self.commits += offsets


class Ids:
    """Every topic has the id `first`."""

    def get(self, _name: str) -> str:
        return "first"

    def require_the_same(self) -> None:
        """It has."""


def member(group: Group, ids: Ids | None = None) -> Member:
    return Member("reader", group, KafkaConnection(), ids)  # type: ignore[arg-type]


def place(partition: int) -> TopicPartition:
    return TopicPartition("t", partition)


def test_partitions_begin_where_the_group_is_and_are_told_as_they_come_and_go() -> None:
    group, told = Group(), list[tuple[str, object]]()
    member(group).join(["t"], came=lambda x: told.append(("came", x)), went=lambda x: told.append(("went", x)))

    group.comes(group, [place(0), place(2)])
    group.goes(group, [place(2)])

    assert [(each.partition, each.offset) for each in group.assigned] == [(0, 7), (2, 7)]
    assert told == [("came", {"t": {0, 2}}), ("went", {"t": {2}})]


def test_a_message_has_its_place_and_its_moment_where_there_is_one() -> None:
    group = Group(
        FromKafka("t", 1, 5, value=b"x", produced=(TIMESTAMP_CREATE_TIME, 3)), FromKafka("t", 0, 9, value=None)
    )
    received = member(group).read(10, 0)

    assert received == [Received("t", 1, 5, b"x", 3000), Received("t", 0, 9, None)]
    assert after([*received, Received("t", 1, 6, b"")]) == {("t", 1): 7, ("t", 0): 10}


def test_a_complaint_is_told_and_reading_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    group = Group(FromKafka(error=KafkaError(KafkaError._ALL_BROKERS_DOWN)), FromKafka("t", 0, 1))

    assert [each.offset for each in member(group).read(10, 0)] == [1]
    assert "Kafka" in caplog.text


def test_a_final_error_ends_the_reader_by_name() -> None:
    group = Group(FromKafka(error=KafkaError(KafkaError._FATAL, "fenced", fatal=True)))

    with pytest.raises(Unreachable, match="The reader cannot read on: fenced"):
        member(group).read(10, 0)


def test_offsets_carry_the_id_of_their_topic() -> None:
    group = Group()
    member(group, Ids()).commit({("t", 1): 8})

    assert [(each.partition, each.offset, each.metadata) for each in group.commits] == [(1, 8, "first")]


def test_offsets_that_are_not_taken_are_logged_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    member(Group(takes_commits=False)).commit({("t", 1): 8})

    assert "offsets not committed" in caplog.text


def test_partitions_that_were_held_go_on_though_others_came_meanwhile() -> None:
    group = Group()
    reader = member(group)
    reader.join(["t"])
    group.comes(group, [place(0)])
    reader.hold(held=True)
    assert group.paused == {0}

    group.comes(group, [place(1)])
    reader.hold(held=False)

    assert group.paused == set()


def test_partitions_that_come_while_others_are_held_are_held_too() -> None:
    group = Group()
    reader = member(group)
    reader.join(["t"])
    group.comes(group, [place(0)])
    reader.hold(held=True)
    group.comes(group, [place(1)])
    reader.hold(held=True)

    assert group.paused == {0, 1}
