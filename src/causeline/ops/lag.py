"""How far consumer groups are behind: what each has committed against what the topics hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from causeline.kafka.admin import LOOK_UP_TIMEOUT_S, admin_client, unreachable
from causeline.kafka.group_offsets import committed_offsets
from causeline.kafka.offsets import when_settled
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import TOPICS

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer group is behind on one topic, over all its partitions."""

    group: str
    topic: str
    partitions: int
    end: int
    committed: int

    @property
    def lag(self) -> int:
        """Messages not yet acknowledged."""
        return self.end - self.committed


def lags(
    ends: Mapping[tuple[str, int], tuple[int, int]], committed: Mapping[str, Mapping[tuple[str, int], int]]
) -> list[Lag]:
    """Each group's lag on each topic that it has read.

    `ends` has (first offset, end offset) by topic and partition; `committed` the offsets of each group. A partition
    without an offset has not been read: all that it holds is lag.
    """
    found = []
    for group, offsets in sorted(committed.items()):
        for topic in sorted({topic for topic, _ in offsets}):
            places = [place for place in ends if place[0] == topic]
            found.append(
                Lag(
                    group=group,
                    topic=topic,
                    partitions=len(places),
                    end=sum(ends[place][1] for place in places),
                    committed=sum(max(offsets.get(place, -1), ends[place][0]) for place in places),
                )
            )
    return found


def read_lags(connection: KafkaConnection, prefix: str) -> list[Lag]:
    """The lag of every group that has committed offsets on our topics; raises Unreachable."""
    return lags(*offsets(connection, prefix))


def offsets(
    connection: KafkaConnection, prefix: str
) -> tuple[dict[tuple[str, int], tuple[int, int]], dict[str, Mapping[tuple[str, int], int]]]:
    """First and end offsets by topic and partition, and what each group has committed; raises Unreachable."""
    from causeline.kafka.client import KafkaException  # noqa: PLC0415 - slow to load

    ours = {topic.full_name(prefix) for topic in TOPICS}
    admin = admin_client(connection)
    try:
        known = admin.list_topics(timeout=LOOK_UP_TIMEOUT_S).topics
        places = [(name, number) for name in sorted(ours & known.keys()) for number in known[name].partitions]
        ends = _ends(admin, places)
        groups = [each.group_id for each in admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result().valid]
        committed: dict[str, Mapping[tuple[str, int], int]] = {}
        for group in sorted(groups):
            found = committed_offsets(connection, group, places, timeout_s=_TIMEOUT_S)
            if found:
                committed[group] = found
    except KafkaException as error:
        raise unreachable(error, admin) from error
    return ends, committed


def _ends(admin: Any, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
    from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined] # noqa: PLC0415

    from causeline.kafka.client import TopicPartition  # noqa: PLC0415 - slow to load

    asked = list(places)

    def told(spec: Any, left_s: float) -> dict[tuple[str, int], int]:
        answers = admin.list_offsets({TopicPartition(*place): spec for place in asked}, request_timeout=left_s)
        return {(key.topic, key.partition): answer.result(left_s).offset for key, answer in answers.items()}

    first = when_settled(partial(told, OffsetSpec.earliest()), timeout_s=_TIMEOUT_S)  # type: ignore[no-untyped-call]
    last = when_settled(partial(told, OffsetSpec.latest()), timeout_s=_TIMEOUT_S)  # type: ignore[no-untyped-call]
    return {place: (first[place], last[place]) for place in asked}
