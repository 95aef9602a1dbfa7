"""Events, runs and topics held against each other: whether what was stored is still there.

Takes what asks ClickHouse and Kafka, gives what is missing and since when; called by `doctor`, judged by
`doctor.wholeness`. A disk that was full or a part that broke takes rows away without a word: counts of what is left
agree with each other, so only another copy can tell.

1. Runs against events: a run says how many events it was assembled of.
2. Events against runs: an end that is stored has a run.
3. The topics against both: messages picked evenly over the stretch, among those that the loaders have committed.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causeline.kafka.group_offsets import committed_offsets
from causeline.kafka.offsets import watermarks, when_settled
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import CauselineError
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS, RUNS, Topic
from causeline.schemas.wire import decode_items, read_block

if TYPE_CHECKING:
    from causeline.kafka.client import Consumer, TopicPartition

Ask = Callable[[str, Mapping[str, object]], Sequence[Mapping[str, Any]]]
"""Puts SQL with parameters to ClickHouse."""

LOOKED_AT = 100_000
"""Runs that are looked at, about: of more, a share chosen by their ids."""
_PICKS = 96
_POLL_S = 3.0
_LOOK_UP_TIMEOUT_S = 5.0
_ITEMS = 500
"""Records of a picked message that are looked for."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when runs started that are looked at; microseconds."""

    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Held:
    """What was held against something else: how many, how many of them lack something, and since when."""

    looked_at: int
    short: int = 0
    missing: int = 0
    since_us: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Aside:
    """Parts of one table that the engine has set aside as broken."""

    table: str
    parts: tuple[str, ...]


_Found = tuple[Topic, int, int, int, tuple[str, str, str]]
"""A record on a topic: partition, offset, moment; project, run and event, which is empty for a run."""

_WITHIN = "BETWEEN fromUnixTimestamp64Micro({since:Int64}) AND fromUnixTimestamp64Micro({until:Int64})"
_A_DAY_US = 86_400_000_000

_RUNS = f"SELECT count() AS runs FROM narrow_run_rows WHERE started_at {_WITHIN}"  # noqa: S608 - constants
_RUNS_AGAINST_EVENTS = f"""
SELECT count() AS looked_at, countIf(stored < said) AS short,
    sum(greatest(toInt64(said) - toInt64(stored), 0)) AS missing,
    toUnixTimestamp64Micro(minIf(began, stored < said)) AS since,
    arrayMap(pair -> pair.2, arraySort(groupArrayIf(4)((began, run_id), stored < said))) AS examples
FROM
(
    SELECT project, run_id, argMax(events, revision) AS said, min(started_at) AS began FROM narrow_run_rows
    WHERE started_at {_WITHIN} AND cityHash64(run_id) % {{every:UInt64}} = 0 GROUP BY project, run_id
) AS told
LEFT JOIN
(
    SELECT project, run_id, uniqExact(event_id) AS stored FROM narrow_event_rows
    WHERE run_started_at BETWEEN fromUnixTimestamp64Micro({{since:Int64}} - {_A_DAY_US})
            AND fromUnixTimestamp64Micro({{until:Int64}} + {_A_DAY_US})
        AND cityHash64(run_id) % {{every:UInt64}} = 0
    GROUP BY project, run_id
) AS seen USING (project, run_id)
"""  # noqa: S608 - constants
_ENDS_AGAINST_RUNS = f"""
SELECT count() AS looked_at, countIf(NOT has_run) AS short, short AS missing,
    toUnixTimestamp64Micro(minIf(began, NOT has_run)) AS since,
    arrayMap(pair -> pair.2, arraySort(groupArrayIf(4)((began, run_id), NOT has_run))) AS examples
FROM
(
    SELECT run_id, min(run_started_at) AS began, run_id IN
    (
        SELECT run_id FROM narrow_run_rows
        WHERE started_at BETWEEN fromUnixTimestamp64Micro({{since:Int64}} - {_A_DAY_US})
            AND fromUnixTimestamp64Micro({{until:Int64}} + {_A_DAY_US})
    ) AS has_run
    FROM narrow_event_rows
    WHERE event_type = 'run_finished' AND run_started_at {_WITHIN} AND cityHash64(run_id) % {{every:UInt64}} = 0
    GROUP BY run_id
)
"""  # noqa: S608 - constants
_ASIDE = """
SELECT table, arraySort(groupArray(name)) AS parts FROM system.detached_parts
WHERE database = currentDatabase() AND (startsWith(ifNull(reason, ''), 'broken') OR reason = 'unexpected')
GROUP BY table ORDER BY table
"""


def runs_against_events(ask: Ask, stretch: Stretch) -> Held:
    """Runs whose events are fewer than they were assembled of."""
    return _held(ask, _RUNS_AGAINST_EVENTS, stretch)


def ends_against_runs(ask: Ask, stretch: Stretch) -> Held:
    """Ends of runs without a run."""
    return _held(ask, _ENDS_AGAINST_RUNS, stretch)


def set_aside(ask: Ask) -> tuple[Aside, ...]:
    """Parts that the engine could not read."""
    return tuple(Aside(str(row["table"]), tuple(row["parts"])) for row in ask(_ASIDE, {}))


def topics_against_tables(ask: Ask, kafka: KafkaConnection, prefix: str, since_us: int) -> Held:
    """Records of messages that the loaders have committed, picked evenly since then, and are not stored.

    Messages with a dead letter are passed over, and what this release cannot read. Raises KafkaException.
    """
    found: list[_Found] = []
    for topic in (EVENTS, RUNS):
        for message in _picked(kafka, prefix, topic, since_us):
            place = (message.partition() or 0, message.offset() or 0, message.timestamp()[1] * 1000)
            found += [(topic, *place, key) for key in _keys(topic, message.value() or b"")]
    dead = _dead(ask, prefix, found)
    missing = [
        each
        for topic, sql in ((EVENTS, _EVENTS_STORED), (RUNS, _RUNS_STORED))
        for each in _not_stored(ask, sql, [one for one in found if one[0] is topic])
        if (each[0].full_name(prefix), each[1], each[2]) not in dead
    ]
    since = min((each[3] for each in missing), default=None)
    messages = {each[:3] for each in missing}
    runs = tuple(sorted({each[4][1] for each in missing})[:4])
    return Held(len(found), len(messages), len(missing), since, runs)


_EVENTS_STORED = """
SELECT DISTINCT run_id, event_id AS id FROM narrow_event_rows
WHERE (project, run_id, event_id) IN arrayZip({projects:Array(String)}, {runs:Array(String)}, {ids:Array(String)})
"""
_RUNS_STORED = """
SELECT DISTINCT run_id, '' AS id FROM narrow_run_rows
WHERE (project, run_id) IN arrayZip({projects:Array(String)}, {runs:Array(String)})
"""
_DEAD = """
SELECT DISTINCT topic, partition, offset FROM dead_letter_rows
WHERE offset IN {offsets:Array(Int64)} AND topic IN {topics:Array(String)}
"""


def _held(ask: Ask, sql: str, stretch: Stretch) -> Held:
    span = {"since": stretch.since_us, "until": stretch.until_us}
    [counted] = ask(_RUNS, span)
    [row] = ask(sql, {**span, "every": max(1, int(counted["runs"]) // LOOKED_AT)})
    since = int(row["since"]) if row["short"] else None
    return Held(int(row["looked_at"]), int(row["short"]), int(row["missing"]), since, tuple(row["examples"]))


def _not_stored(ask: Ask, sql: str, found: Sequence[_Found]) -> list[_Found]:
    if not found:
        return []
    projects, runs, ids = zip(*(each[4] for each in found), strict=True)
    rows = ask(sql, {"projects": list(projects), "runs": list(runs), "ids": list(ids)})
    stored = {(row["run_id"], row["id"]) for row in rows}
    return [each for each in found if each[4][1:] not in stored]


def _dead(ask: Ask, prefix: str, found: Sequence[_Found]) -> set[tuple[str, int, int]]:
    topics = sorted({each[0].full_name(prefix) for each in found})
    rows = ask(_DEAD, {"offsets": sorted({each[2] for each in found}), "topics": topics})
    return {(str(row["topic"]), int(row["partition"]), int(row["offset"])) for row in rows}


def _keys(topic: Topic, value: bytes) -> Iterable[tuple[str, str, str]]:
    """Project, run and event of each record of a message, the event of a run empty; nothing where it is unreadable."""
    schemas = Schemas()
    try:
        records = decode_items(read_block(value, topic.subject, schemas))
        for number, record in enumerate(records):
            if number < _ITEMS:
                yield str(record["project"]), str(record["run_id"]), str(record.get("event_id", ""))
    except CauselineError:
        return  # a dead letter, or of a registry's schema: others are picked


def _picked(kafka: KafkaConnection, prefix: str, topic: Topic, since_us: int) -> list[Any]:
    """Messages picked evenly over all that is committed since then, at most `_PICKS` or what comes in 3 s."""
    from causeline.kafka.client import Consumer, TopicPartition  # noqa: PLC0415 - slow to load

    name = topic.full_name(prefix)
    consumer = Consumer(
        {**kafka.client_config(), "group.id": f"{prefix}.doctor", "enable.auto.commit": False, "log_level": 0}
    )
    try:
        known = consumer.list_topics(name, timeout=_LOOK_UP_TIMEOUT_S).topics[name]
        places = [TopicPartition(name, number, since_us // 1000) for number in known.partitions]
        firsts = when_settled(
            lambda left_s: consumer.offsets_for_times(places, timeout=left_s), timeout_s=_LOOK_UP_TIMEOUT_S
        )
        asked = [(name, place.partition) for place in places]
        ends = committed_offsets(kafka, f"{prefix}.loader", asked, timeout_s=_LOOK_UP_TIMEOUT_S)
        rounds = _rounds(consumer, firsts, {number: end for (_, number), end in ends.items()})
        return [message for each in rounds for message in _read(consumer, each)]
    finally:
        consumer.close()


def _rounds(
    consumer: "Consumer", firsts: "Sequence[TopicPartition]", ends: Mapping[int, int]
) -> "list[list[TopicPartition]]":
    """Places to read one message each; a round has a partition once."""
    from causeline.kafka.client import TopicPartition  # noqa: PLC0415 - slow to load

    spans = []
    for place in firsts:
        low, _ = watermarks(consumer, place, timeout_s=_LOOK_UP_TIMEOUT_S)
        end = ends.get(place.partition, 0)
        if 0 <= place.offset < end and low < end:
            spans.append((place, max(place.offset, low), end))
    each = max(1, _PICKS // max(1, len(spans)))
    return [
        [
            TopicPartition(place.topic, place.partition, first + (end - first) * number // each)
            for place, first, end in spans
            if number < end - first
        ]
        for number in range(each)
    ]


def _read(consumer: "Consumer", places: "Sequence[TopicPartition]") -> list[Any]:
    """The first message of each place, as far as they come soon."""
    if not places:
        return []
    consumer.assign(list(places))
    wanted = {place.partition for place in places}
    messages = []
    deadline = time.monotonic() + _POLL_S
    while wanted and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None and message.partition() in wanted:
            wanted.discard(message.partition())
            messages.append(message)
    return messages
