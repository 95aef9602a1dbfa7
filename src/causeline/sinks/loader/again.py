"""A stretch of the topics loaded a second time: what ClickHouse has lost comes back, what it has is not doubled.

Takes the moment to begin at, gives what was read by topic; called by `causeline load --again`.

1. It reads from the first message of that moment or later, up to where the loaders' group has committed: what lies
   behind that the loaders read themselves. It joins no group and commits nothing, so loaders may run meanwhile.
2. Its inserts have tokens of their own. The engine still knows those of inserts whose rows are gone, and would drop
   them for repetitions.
3. Rows replace their equals by their key, as those of any message that is delivered twice.
4. What cannot be read is a dead letter since it was read for the first time; it is counted here, and buried no more.
"""

import dataclasses
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from causeline.kafka.client import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition
from causeline.kafka.errors import unreachable
from causeline.kafka.group_offsets import committed_offsets
from causeline.kafka.offsets import watermarks, when_settled
from causeline.schemas.errors import CheckFailed
from causeline.sinks.loader.encoding import Insert
from causeline.sinks.loader.inserting import Sender
from causeline.sinks.loader.loop import Loader
from causeline.sinks.loader.process import consumer_config, loading
from causeline.sinks.loader.settings import LoaderSettings
from causeline.sinks.loader.units import BadMessage

_LOOK_UP_TIMEOUT_S = 20.0
_DELIVER_WITHIN_S = 3600.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class TopicAgain:
    """What came of one topic."""

    topic: str
    messages: int = 0
    expired: int = 0
    """Partitions whose first message, as far as Kafka still has any, is younger than the moment asked for."""


@dataclass(frozen=True, slots=True)
class Again:
    """What was loaded again."""

    topics: Sequence[TopicAgain]
    messages: int
    rows: int
    unreadable: int


def load_again(settings: LoaderSettings, since_us: int, tell: Callable[[float], None] = lambda _: None) -> Again:
    """Load what was produced at `since_us` or later again; `tell` hears the fraction done.

    Raises Unreachable, NotFound without tables, CheckFailed when it was stopped before its end.
    """
    patient = settings.model_copy(update={"stop_timeout_s": _DELIVER_WITHIN_S, "max_dead_ratio": 1.0})
    config = {**consumer_config(settings), "group.id": f"{settings.group}.again", "enable.partition.eof": True}
    del config["partition.assignment.strategy"]
    config.pop("group.instance.id", None)
    stretch = _Stretch(Consumer(config), settings, since_us, tell)
    with loading(patient, cast("Consumer", stretch), sender=_Anew, dead_letters=_Buried()) as loader:
        stretch.loader = loader
        loader.run()
    done = loader.counters
    if done.messages < stretch.total or not stretch.is_read:
        raise CheckFailed(
            f"Stopped after {done.messages:,d} messages of {stretch.total:,d} or more.", hint="Run the command again."
        )
    return Again(tuple(stretch.topics.values()), done.messages, done.rows, done.dead)


class _Anew:
    """Sends inserts under tokens that no other loading has used."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._salt = secrets.token_hex(8)

    def send(self, insert: Insert) -> None:
        """See `Sender`."""
        self._sender.send(dataclasses.replace(insert, token=f"{self._salt}:{insert.token}"))


class _Buried:
    """Where dead letters stand already."""

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """See `DeadLetters`."""
        log.info("%d records cannot be read, now as then", len(bad))


class _Stretch:
    """A consumer, as far as the loader knows one, of nothing but the stretch; stops the loader at its end."""

    def __init__(
        self, consumer: Consumer, settings: LoaderSettings, since_us: int, tell: Callable[[float], None]
    ) -> None:
        self._consumer = consumer
        self._settings = settings
        self._since_ms = since_us // 1000
        self._tell = tell
        self._ends: dict[tuple[str, int], int] = {}
        self._to_read = 0
        self.topics: dict[str, TopicAgain] = {}
        self.total = 0
        self.loader: Loader | None = None

    @property
    def is_read(self) -> bool:
        """Whether every partition is read to the stretch's end."""
        return not self._ends

    def subscribe(self, topics: list[str], **calls: Callable[..., None]) -> None:
        """Assigns every partition that has something of the stretch, at its first message."""
        try:
            places = self._places(topics)
        except KafkaException as error:
            raise unreachable(self._settings.kafka, {error.args[0].name()}) from error
        self._starts = {(place.topic, place.partition): place for place in places}
        calls["on_assign"](self, places)
        if not places and self.loader is not None:
            self.loader.stop()

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        """Assigns them for good: no group moves them."""
        self._consumer.assign(places)

    def committed(self, places: list[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        """Where the stretch begins, which the loader takes for what was committed."""
        del timeout
        return [self._starts[place.topic, place.partition] for place in places]

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """The next messages of the stretch."""
        kept = []
        for message in self._consumer.consume(num_messages, timeout):
            key = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own names start so
                    self._end(key)
                else:
                    kept.append(message)
                continue
            end, offset = self._ends.get(key, -1), message.offset() or 0
            if offset < end:
                kept.append(message)
                self.total += 1
                self.topics[key[0]].messages += 1
            if offset + 1 >= end:
                self._end(key)
        if self.is_read and self.loader is not None:
            self.loader.stop()
        self._tell(min(1.0, self.total / max(1, self._to_read)))
        return kept

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        """Nothing: the group's offsets are those of the loaders."""
        del offsets, asynchronous

    def pause(self, places: list[TopicPartition]) -> None:
        """As a consumer does."""
        self._consumer.pause(places)

    def resume(self, places: list[TopicPartition]) -> None:
        """As a consumer does; what has been read to its end stays paused."""
        self._consumer.resume([place for place in places if (place.topic, place.partition) in self._ends])

    def get_watermark_offsets(self, place: TopicPartition, *, cached: bool) -> tuple[int, int]:
        """The stretch's own end."""
        del cached
        return 0, self._ends.get((place.topic, place.partition), 0)

    def close(self) -> None:
        """As a consumer does."""
        self._consumer.close()

    def _end(self, key: tuple[str, int]) -> None:
        if self._ends.pop(key, None) is not None:
            self._consumer.pause([TopicPartition(*key)])

    def _places(self, topics: Sequence[str]) -> list[TopicPartition]:
        known = when_settled(
            lambda left_s: self._consumer.list_topics(timeout=left_s), timeout_s=_LOOK_UP_TIMEOUT_S
        ).topics
        places = [
            TopicPartition(topic, number, self._since_ms)
            for topic in topics
            if topic in known
            for number in known[topic].partitions
        ]
        firsts = when_settled(
            lambda left_s: self._consumer.offsets_for_times(places, timeout=left_s), timeout_s=_LOOK_UP_TIMEOUT_S
        )
        ends = self._loaded(places)
        found = []
        for place in firsts:
            key = (place.topic, place.partition)
            told = self.topics.setdefault(place.topic, TopicAgain(place.topic))
            low, _ = watermarks(self._consumer, place, timeout_s=_LOOK_UP_TIMEOUT_S)
            told.expired += low > 0 and place.offset == low
            if place.offset in (OFFSET_END, -1) or place.offset >= ends.get(key, 0):
                continue
            self._ends[key] = ends[key]
            self._to_read += ends[key] - place.offset
            found.append(place)
        return found

    def _loaded(self, places: Sequence[TopicPartition]) -> Mapping[tuple[str, int], int]:
        """How far the loaders' group has come, by partition."""
        settings = self._settings
        asked = [(place.topic, place.partition) for place in places]
        return committed_offsets(settings.kafka, settings.group, asked, timeout_s=_LOOK_UP_TIMEOUT_S)
