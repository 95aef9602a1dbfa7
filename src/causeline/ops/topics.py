"""The broker's topics against the catalogue: what differs, decided without a broker, and what makes them agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from causeline.kafka.admin import LOOK_UP_TIMEOUT_S, admin_client, unreachable
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import UsageError
from causeline.schemas.topics import DEFAULT_PARTITIONS, EVENTS, TOPICS, Topic

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 15.0


class Action(StrEnum):
    """What the broker needs so that a topic is as the catalogue has it."""

    NONE = "none"  # it is
    CREATE = "create"  # it does not exist
    CONFIGURE = "configure"  # some settings differ
    EXTEND = "extend"  # it has fewer partitions than the events topic, by which it goes
    REPARTITION = "repartition"  # other partitions than asked for: told, never done


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One topic of the catalogue against the broker: what is wanted, what is there, what follows."""

    topic: Topic
    name: str
    wanted_partitions: int
    found: Found | None
    config: Mapping[str, tuple[str | None, str]]
    """Settings that differ: name → (the broker's, ours)."""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What the broker needs; (NONE,) when nothing."""
        if self.found is None:
            return (Action.CREATE,)
        needed = []
        if self.config:
            needed.append(Action.CONFIGURE)
        if self.found.partitions != self.wanted_partitions:
            follows = self.topic is not EVENTS and self.found.partitions < self.wanted_partitions
            needed.append(Action.EXTEND if follows else Action.REPARTITION)
        return tuple(needed) or (Action.NONE,)


def differences(found: Mapping[str, Found], *, prefix: str, partitions: int | None) -> list[Difference]:
    """The catalogue against the topics that the broker has, by full name.

    `partitions` is what the events topic should have; None accepts the count it has. Every topic like it should have as
    many as it has: what is joined from its partition N is written to theirs of the same number.
    """
    events = found.get(EVENTS.full_name(prefix))
    asked = partitions or (events.partitions if events else DEFAULT_PARTITIONS)
    there = events.partitions if events else asked
    return [
        _difference(topic, found.get(topic.full_name(prefix)), prefix, asked if topic is EVENTS else there)
        for topic in TOPICS
    ]


def _difference(topic: Topic, found: Found | None, prefix: str, like_events: int) -> Difference:
    present = found.partitions if found else 1
    wanted = like_events if topic.like_events else present
    ours = topic.config()
    config = {} if found is None else {k: (found.config.get(k), v) for k, v in ours.items() if found.config.get(k) != v}
    return Difference(topic, topic.full_name(prefix), wanted, found, config)


def apply(
    connection: KafkaConnection, *, prefix: str, partitions: int | None, replication: int, accept: bool = False
) -> list[Difference]:
    """Create the topics that are missing, mend settings that differ, and give topics as many partitions as events has.

    The events topic's own count stays, for runs would change their partition; with `accept` it is what is wanted, and
    `partitions` is for a topic that is made. Gives what was done or is left, by topic. Raises Unreachable, UsageError.
    """
    admin = admin_client(connection)
    found = read(admin, prefix)
    if accept and EVENTS.full_name(prefix) in found:
        partitions = None
    wanted = differences(found, prefix=prefix, partitions=partitions)
    _extend([each for each in wanted if Action.EXTEND in each.actions], admin)
    _create([each for each in wanted if Action.CREATE in each.actions], admin, replication)
    _configure([each for each in wanted if Action.CONFIGURE in each.actions], admin)
    return wanted


def read(admin: "AdminClient", prefix: str) -> dict[str, Found]:
    """Our topics as the broker has them, by full name; raises Unreachable."""
    from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined] # noqa: PLC0415

    from causeline.kafka.client import KafkaException  # noqa: PLC0415 - slow to load

    ours = {topic.full_name(prefix) for topic in TOPICS}
    try:
        known = admin.list_topics(timeout=LOOK_UP_TIMEOUT_S).topics
        there = {name: len(known[name].partitions) for name in ours & known.keys() if known[name].error is None}
        if not there:
            return {}
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in sorted(there)]
        answers = admin.describe_configs(asked, request_timeout=_TIMEOUT_S)
        return {
            resource.name: Found(
                there[resource.name], {entry.name: entry.value or "" for entry in answer.result(_TIMEOUT_S).values()}
            )
            for resource, answer in answers.items()
        }
    except KafkaException as error:
        raise unreachable(error, admin) from error


def _create(missing: Sequence[Difference], admin: "AdminClient", replication: int) -> None:
    from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415

    from causeline.kafka.client import KafkaError, KafkaException  # noqa: PLC0415 - slow to load

    if not missing:
        return
    wanted = [
        NewTopic(
            each.name,
            num_partitions=each.wanted_partitions,
            replication_factor=replication,
            config=each.topic.config(),
        )
        for each in missing
    ]
    for name, answer in admin.create_topics(wanted, request_timeout=_TIMEOUT_S).items():
        try:
            answer.result(_TIMEOUT_S)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.TOPIC_ALREADY_EXISTS:  # someone else created it since we looked
                continue
            if code in {KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.TOPIC_EXCEPTION, KafkaError.POLICY_VIOLATION}:
                raise UsageError(
                    f"The broker refuses topic {name}: {error.args[0].str()}.", hint="See --replication and --prefix."
                ) from error
            raise unreachable(error, admin) from error


def _extend(short: Sequence[Difference], admin: "AdminClient") -> None:
    from confluent_kafka.cimpl import NewPartitions  # noqa: PLC0415

    from causeline.kafka.client import KafkaException  # noqa: PLC0415 - slow to load

    if not short:
        return
    wanted = [NewPartitions(each.name, each.wanted_partitions) for each in short]
    try:
        for answer in admin.create_partitions(wanted, request_timeout=_TIMEOUT_S).values():
            answer.result(_TIMEOUT_S)
    except KafkaException as error:
        raise unreachable(error, admin) from error


def _configure(different: Sequence[Difference], admin: "AdminClient") -> None:
    from confluent_kafka.admin import (  # type: ignore[attr-defined] # noqa: PLC0415 - slow to load
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
    )

    from causeline.kafka.client import KafkaException  # noqa: PLC0415 - slow to load

    if not different:
        return
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            each.name,
            incremental_configs=[
                ConfigEntry(name, ours, incremental_operation=AlterConfigOpType.SET)
                for name, (_, ours) in each.config.items()
            ],
        )
        for each in different
    ]
    try:
        for answer in admin.incremental_alter_configs(resources, request_timeout=_TIMEOUT_S).values():
            answer.result(_TIMEOUT_S)
    except KafkaException as error:
        raise unreachable(error, admin) from error
