"""Where a loader begins to read."""

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from causeline.kafka.starting import ATTEMPTS, starts
from causeline.schemas.errors import Unreachable

PLACES = [TopicPartition("t", 0), TopicPartition("t", 1)]


class Refusing:
    """Refuses as a whole `times` times, then tells 7 for partition 0 and nothing for 1."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked = 0

    def committed(self, partitions: list[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        assert timeout > 0
        self.asked += 1
        if self.asked <= self.times:
            raise KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
        return [TopicPartition(each.topic, each.partition, 7 if each.partition == 0 else OFFSET_INVALID)
                for each in partitions]  # fmt: skip


@pytest.mark.parametrize("refused", [0, 1, ATTEMPTS - 1])
def test_what_is_refused_is_asked_for_again(refused: int) -> None:
    found = starts(Refusing(refused), PLACES)
    assert [(each.partition, each.offset) for each in found] == [(0, 7), (1, OFFSET_BEGINNING)]


def test_a_loader_that_is_never_told_does_not_guess() -> None:
    consumer = Refusing(ATTEMPTS)
    with pytest.raises(Unreachable, match="committed"):
        starts(consumer, PLACES)
    assert consumer.asked == ATTEMPTS


def test_what_was_committed_in_another_topic_of_the_name_is_not_its_offset() -> None:
    class Committed:
        def committed(self, _places: list[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
            return [TopicPartition("t", 0, 900, "old"), TopicPartition("t", 1, 7, "new"), TopicPartition("t", 2, 5)]

    found = starts(Committed(), [TopicPartition("t", n) for n in range(3)], lambda _topic: "new")
    assert [place.offset for place in found] == [OFFSET_BEGINNING, 7, 5]
