"""Which topic it is: a topic that is deleted and made again has its name and its offsets, and other messages.

A group's committed offset outlives its topic: a member that was there goes on at it in the new one, and the messages
before it are never read. So every reader of ours writes the topic's id beside the offset that it commits. Where
another id stands there, the partition is read from its start; and a reader that sees the id change while it reads
ends, and is started again.

Decided in ADR 32.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription  # type: ignore[attr-defined]

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_TIMEOUT_S = 10.0


def is_of_another(metadata: str | None, topic_id: str | None) -> bool:
    """Whether an offset was committed in another topic of the same name; where either is not known it was not."""
    return bool(metadata) and bool(topic_id) and metadata != topic_id


class TopicIds:
    """The ids of the topics that a process reads, as they were when it began; empty where the broker tells none."""

    def __init__(
        self,
        connection: KafkaConnection,
        names: Collection[str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = sorted(names)
        self._clock = clock
        self._admin = AdminClient({**connection.client_config(), "log_level": 0})
        self._look_at = clock() + _LOOK_EVERY_S
        self._asked: Mapping[str, Future[TopicDescription]] | None = None
        self.ids: dict[str, str] = {}
        asked = self._ask()
        for name in self._names:
            try:
                self.ids[name] = str(asked[name].result(_TIMEOUT_S).topic_id)
            except (KafkaException, KeyError) as error:
                log.warning("the id of topic %s is not known, so it is known by its offsets alone: %s", name, error)

    def get(self, name: str) -> str:
        """The id of a topic, or nothing."""
        return self.ids.get(name, "")

    def made_again(self) -> str | None:
        """The name of a topic that was made again since, or None; never waits, and asks the broker now and then."""
        if self._asked is None:
            if self._clock() >= self._look_at:
                self._look_at = self._clock() + _LOOK_EVERY_S
                self._asked = self._ask()
            return None
        if not all(answer.done() for answer in self._asked.values()):
            return None
        answers, self._asked = self._asked, None
        for name, answer in answers.items():
            try:
                found = str(answer.result(0).topic_id)
            except KafkaException:
                continue  # the broker is away, or the topic is
            if self.ids.setdefault(name, found) != found:
                return name
        return None

    def require_the_same(self) -> None:
        """As `made_again`; raises EnvironmentFault for such a topic."""
        name = self.made_again()
        if name is not None:
            raise EnvironmentFault(
                f"The topic {name} was deleted and made again; what it holds now is read from its start.",
                hint="Nothing needs to be done: when this is started again it begins there.",
            )

    def _ask(self) -> Mapping[str, Future[TopicDescription]]:
        return self._admin.describe_topics(TopicCollection(self._names), request_timeout=_TIMEOUT_S)
