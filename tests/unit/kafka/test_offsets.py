"""Asking a broker for offsets while it is not settled: again until it can say, at once for what waiting can't mend."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from causeline.kafka.offsets import SETTLING, committed, watermarks, when_settled


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Unsettled:
    """A consumer whose broker gives these errors first, one a question."""

    def __init__(self, *codes: int) -> None:
        self._codes = list(codes)

    def get_watermark_offsets(self, _partition: TopicPartition, timeout: float = 0) -> tuple[int, int]:
        self._complain(timeout)
        return 3, 9

    def committed(self, partitions: list[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        self._complain(timeout)
        return [TopicPartition(each.topic, each.partition, 7) for each in partitions]

    def _complain(self, timeout: float) -> None:
        assert timeout > 0
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))


def failing(code: int, time: Time, takes_s: float = 0.0) -> Callable[[float], int]:
    def ask(_left_s: float) -> int:
        time.pass_by(takes_s)
        raise KafkaException(KafkaError(code))

    return ask


def test_a_leader_that_is_being_chosen_is_asked_again() -> None:
    consumer = Unsettled(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
    assert watermarks(consumer, TopicPartition("events", 0), timeout_s=10) == (3, 9)


def test_a_coordinator_that_moves_is_asked_again() -> None:
    [answer] = committed(Unsettled(KafkaError.NOT_COORDINATOR), [TopicPartition("events", 2)], timeout_s=10)
    assert (answer.topic, answer.partition, answer.offset) == ("events", 2, 7)


def test_it_ends_with_the_last_error_when_the_time_is_over() -> None:
    time = Time()
    with pytest.raises(KafkaException) as caught:
        when_settled(
            failing(KafkaError.NOT_LEADER_FOR_PARTITION, time), timeout_s=5, now_s=time.read, pause=time.pass_by
        )
    assert caught.value.args[0].code() == KafkaError.NOT_LEADER_FOR_PARTITION
    assert 104 < time.now <= 105


def test_a_question_that_took_all_the_time_is_not_put_again() -> None:
    time = Time()
    with pytest.raises(KafkaException):
        when_settled(failing(KafkaError._TIMED_OUT, time, 5), timeout_s=5, now_s=time.read, pause=time.pass_by)
    assert time.now == 105


def test_what_waiting_does_not_mend_is_raised_at_once() -> None:
    time = Time()
    for code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION, KafkaError._ALL_BROKERS_DOWN):
        with pytest.raises(KafkaException):
            when_settled(failing(code, time), timeout_s=5, now_s=time.read, pause=time.pass_by)
    assert time.now == 100


def test_every_name_is_one_that_the_client_knows() -> None:
    known = {
        KafkaError(code).name()
        for code in vars(KafkaError).values()
        if isinstance(code, int) and not isinstance(code, bool)
    }
    assert known >= SETTLING
