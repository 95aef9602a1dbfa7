"""Before a part joins its group: is Kafka there, and are its topics?"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, TopicMetadata  # type: ignore[attr-defined]

from causeline.kafka.errors import Complaints, not_allowed
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.topics import DEAD, EVENTS, GAPS, LATE, RUNS, Topic

_TIMEOUT_S = 10.0
_ATTEMPTS = 5
_NEEDED = (EVENTS, RUNS, GAPS, LATE, DEAD)


def check_topics(connection: KafkaConnection, prefix: str, needed: Sequence[Topic] = _NEEDED) -> int:
    """The partitions of the first of the `needed` topics.

    Raises Unreachable, or EnvironmentFault when one is missing or has fewer partitions than the first.

    What is joined from partition N is written to partition N, so every topic needs as many as events has.
    """
    complaints = Complaints(connection)
    # The types of the client know of no callbacks here.
    admin = AdminClient({**connection.client_config(), "log_level": 0, "error_cb": complaints.hear})  # type: ignore[dict-item]
    found = _topics(admin, complaints)
    counts = {topic: len(found[name].partitions) for topic in needed if (name := topic.full_name(prefix)) in found}
    first = needed[0]
    for topic in needed:
        if counts.get(topic, 0) == 0:
            if _is_hidden(admin, topic.full_name(prefix)):
                raise not_allowed(connection, topic.full_name(prefix))
            raise EnvironmentFault(
                f"There is no topic {topic.full_name(prefix)}.", hint="Make the topics: causeline topics apply."
            )
        if topic.like_events and counts[topic] < counts[first]:
            raise EnvironmentFault(
                f"The topic {topic.full_name(prefix)} has {counts[topic]} partitions, fewer than the {first.name}' "
                f"{counts[first]}.",
                hint="Give it as many: causeline topics apply.",
            )
    return counts[first]


def _topics(admin: AdminClient, complaints: Complaints) -> dict[str, TopicMetadata]:
    """All topics that may be seen; a refusal that no waiting mends ends the waiting."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            return admin.list_topics(timeout=_TIMEOUT_S / _ATTEMPTS).topics
        except KafkaException as error:
            admin.poll(0)  # what the client complained of is told here
            if not left or complaints.are_final:
                raise complaints.unreachable() from error
    raise AssertionError("the last attempt returns or raises")


def _is_hidden(admin: AdminClient, name: str) -> bool:
    """Whether the broker says, when asked by name, that this client may not see the topic."""
    try:
        told = admin.list_topics(name, timeout=_TIMEOUT_S).topics.get(name)
    except KafkaException:
        return False
    return told is not None and told.error is not None and told.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
