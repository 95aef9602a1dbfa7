"""What a consumer group has committed, asked as a member that never joins.

The admin client's own question ends the process when the group's coordinator moves or is not there yet, as on a new
broker (librdkafka issue 5040, seen with 2.16): it passes the order to look for the coordinator to a consumer it lacks.
"""

from collections.abc import Iterable, Mapping

from causeline.kafka.offsets import committed
from causeline.runtime.connections import KafkaConnection

Place = tuple[str, int]
"""Topic and partition."""


def committed_offsets(
    connection: KafkaConnection, group: str, places: Iterable[Place], *, timeout_s: float
) -> Mapping[Place, int]:
    """The committed offset of each of `places` that the group has one for; raises KafkaException.

    Needs the right to describe the group and its topics, and leaves both as they are.
    """
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - slow to load

    asked = [TopicPartition(*place) for place in places]
    consumer = Consumer({**connection.client_config(), "group.id": group, "enable.auto.commit": False})
    try:
        answers = committed(consumer, asked, timeout_s=timeout_s)
    finally:
        consumer.close()
    return {(each.topic, each.partition): each.offset for each in answers if each.offset >= 0}
