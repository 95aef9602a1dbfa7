"""Members of consumer groups: configured alike, and what they complain of told in our words."""

import logging
import time

from confluent_kafka import KafkaError

from causeline.kafka.errors import way_out
from causeline.kafka.settings import GroupSettings
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import MAX_MESSAGE_BYTES

_SAME_COMPLAINT_S = 30.0
log = logging.getLogger(__name__)


def group_config(
    connection: KafkaConnection,
    group: str,
    *,
    client_id: str,
    read_ahead_bytes: int,
    instance: str | None = None,
    session_timeout_s: float = 10.0,
) -> dict[str, object]:
    """librdkafka's settings for a member of a group: nothing is committed by itself, and reading ahead is bounded."""
    session_ms = round(session_timeout_s * 1000)
    return {
        **({} if instance is None else {"group.instance.id": instance}),
        **connection.client_config(),
        "group.id": group,
        "client.id": client_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 10,
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": read_ahead_bytes // 1024,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "fetch.wait.max.ms": 100,
        # Topics made after the member was started are found this soon.
        "topic.metadata.refresh.interval.ms": 10_000,
        "allow.auto.create.topics": False,
        "reconnect.backoff.ms": 500,
        # Its own lines on stderr; what goes wrong is told by the callback.
        "log_level": 0,
        "error_cb": Teller(connection).hear,
    }


def member_config(settings: GroupSettings, *, client_id: str, read_ahead_bytes: int) -> dict[str, object]:
    """The same, as a part's settings say."""
    return group_config(
        settings.kafka,
        settings.group,
        client_id=client_id,
        read_ahead_bytes=read_ahead_bytes,
        instance=settings.instance,
        session_timeout_s=settings.session_timeout_s,
    )


class Teller:
    """Logs what librdkafka complains of: each new kind at once, the same again only now and then."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._told: dict[str, float] = {}

    def hear(self, error: KafkaError) -> None:
        """Called by the client, in the thread that reads; also for the errors that messages carry."""
        now = time.monotonic()
        if now - self._told.get(error.name(), -_SAME_COMPLAINT_S) >= _SAME_COMPLAINT_S:
            self._told[error.name()] = now
            log.warning("Kafka: %s", way_out(self._connection, error.name()) or error.str())
