"""Before a worker joins its group: is Kafka there, and are its topics?"""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault, Unreachable
from causeline.schemas.topics import DEAD, EVENTS, GAPS, LATE, RUNS

_TIMEOUT_S = 10.0
_NEEDED = (EVENTS, RUNS, GAPS, LATE, DEAD)


def check_topics(connection: KafkaConnection, prefix: str) -> int:
    """The partitions of the events topic; raises Unreachable, or EnvironmentFault when a topic is missing or too small.

    What is joined from partition N is written to partition N, so every topic needs as many as events has.
    """
    admin = AdminClient({**connection.client_config(), "log_level": 0})
    try:
        found = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise Unreachable(
            f"Kafka does not answer at {connection.bootstrap_servers}.",
            hint="Is it running? Check CAUSELINE_KAFKA_BOOTSTRAP_SERVERS.",
        ) from error
    counts = {topic: len(found[name].partitions) for topic in _NEEDED if (name := topic.full_name(prefix)) in found}
    for topic in _NEEDED:
        if counts.get(topic, 0) == 0:
            raise EnvironmentFault(
                f"There is no topic {topic.full_name(prefix)}.", hint="Make the topics: causeline topics apply."
            )
        if topic.like_events and counts[topic] < counts[EVENTS]:
            raise EnvironmentFault(
                f"The topic {topic.full_name(prefix)} has {counts[topic]} partitions, fewer than the events' "
                f"{counts[EVENTS]}.",
                hint="Give it as many: causeline topics apply.",
            )
    return counts[EVENTS]
