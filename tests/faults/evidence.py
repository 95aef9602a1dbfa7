"""What the oracle is told, read where it stands: the views, the broker's offsets, the topic itself, the processes."""

import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import psutil
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from causeline.console.store import open_store
from causeline.kafka.group_offsets import committed_offsets
from causeline.kafka.offsets import watermarks
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import wire
from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DECISIONS, EVENTS, LATE, RUNS, TOPICS
from causeline.sinks.loader.routes import routes
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import status
from tests.faults.oracle import RunSeen, Seen

T = TypeVar("T")
Place = tuple[str, int]
"""Topic and partition."""

_TIMEOUT_S = 60
_SCHEMAS = Schemas()
_COORDINATOR_COMING = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.GROUP_ID_NOT_FOUND,
        KafkaError._TIMED_OUT,
        KafkaError._WAIT_COORD,
    }
)
"""A group's coordinator is not there yet: ask again."""
now_s = time.monotonic
"""The clock that waiting is measured by, seconds."""


def read_views(endpoints: Endpoints, project: str, parts: int = 1) -> Seen:
    """All that the views show of `project`, row by row, and the events that stand in dead letters."""
    with clickhouse_client(endpoints.clickhouse()) as client, translated(endpoints.clickhouse(), reading=True):
        event_ids: list[str] = []
        for part in range(parts):  # a large project is asked for piece by piece
            asked = "SELECT event_id FROM events WHERE project = {project:String}"
            asked += " AND cityHash64(event_id) % {n:UInt8} = {part:UInt8}"
            mine: dict[str, object] = {"project": project, "n": parts, "part": part}
            event_ids += [str(each) for [each] in client.query(asked, parameters=mine).result_rows]
        runs = client.query(
            "SELECT run_id, verdict, events, events_lost FROM runs WHERE project = {project:String}",
            parameters={"project": project},
        ).result_rows
        letters = client.query("SELECT hex(value) FROM dead_letters").result_rows
    return Seen(
        event_ids=event_ids,
        runs=[RunSeen(str(run_id), str(verdict), int(events), int(lost)) for run_id, verdict, events, lost in runs],
        dead=frozenset(_events_in(bytes.fromhex(str(value)) for [value] in letters)),
    )


def count_views(endpoints: Endpoints, project: str) -> dict[str, tuple[int, int]]:
    """Rows and distinct ids of the events and the runs of `project`, as the engine counts them."""
    with open_store(endpoints.clickhouse()) as store:
        [row] = store.ask(
            "SELECT (SELECT (count(), uniqExact(event_id)) FROM events WHERE project = {project:String}) AS events,"
            " (SELECT (count(), uniqExact(run_id)) FROM runs WHERE project = {project:String}) AS runs",
            {"project": project},
        )
    counted = {}
    for name in ("events", "runs"):
        pair = row[name]
        assert isinstance(pair, tuple)
        counted[name] = (int(pair[0]), int(pair[1]))
    return counted


def behind(endpoints: Endpoints, loader_group: str | None = None, *, amended: bool = False) -> dict[str, str]:
    """Each partition that a group has not read to its end, with both offsets, as the broker tells them.

    `amended`: an amender is at work, and late events wait for it.
    """
    prefix = endpoints.topic_prefix
    reads = {f"{prefix}.worker": [EVENTS.full_name(prefix)], loader_group or f"{prefix}.loader": sorted(routes(prefix))}
    if amended:
        reads[f"{prefix}.amender"] = [LATE.full_name(prefix), DECISIONS.full_name(prefix)]
    ends = end_offsets(endpoints)
    found = {}
    for group, names in reads.items():
        places = sorted(place for place in ends if place[0] in names)
        offsets = _offsets(endpoints, group, places)
        if offsets is None:
            found[group] = "its coordinator is not there yet"
            continue
        for place in places:
            if offsets.get(place, 0) != ends[place]:
                found[f"{group} on {place[0]}/{place[1]}"] = f"committed {offsets.get(place)}, end {ends[place]}"
    return found


def committed(endpoints: Endpoints, group: str, topic: str) -> list[int]:
    """What a group has committed of each partition of a topic, by number; 0 where it has nothing."""
    places = [
        (topic, number)
        for number in _admin(endpoints.kafka_bootstrap_servers).list_topics(timeout=_TIMEOUT_S).topics[topic].partitions
    ]
    known = _offsets(endpoints, group, places) or {}
    return [known.get(place, 0) for place in places]


def _offsets(endpoints: Endpoints, group: str, places: Sequence[Place]) -> Mapping[Place, int] | None:
    """What a group has committed; None while its coordinator is not there."""
    try:
        return committed_offsets(endpoints.kafka(), group, places, timeout_s=_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() in _COORDINATOR_COMING:
            return None
        raise


def shares(endpoints: Endpoints, group: str) -> list[int]:
    """How many partitions each member of a group has, the fewest first; empty while the group is not stable."""
    admin = _admin(endpoints.kafka_bootstrap_servers)
    [answer] = admin.describe_consumer_groups([group]).values()
    described = _unless_coming(answer)
    if described is None or described.state is not ConsumerGroupState.STABLE:
        return []
    return sorted(len(member.assignment.topic_partitions) for member in described.members)


@functools.cache
def _admin(bootstrap_servers: str) -> AdminClient:
    """One for as long as the process lives: answers come on a thread of its own, which must not be its last owner."""
    return AdminClient({**KafkaConnection(bootstrap_servers=bootstrap_servers).client_config()})


def _unless_coming(answer: "Future[T]") -> T | None:
    """What a group's coordinator says; None while there is none, as after the broker's start."""
    try:
        return answer.result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() in _COORDINATOR_COMING:
            return None
        raise


def published_runs(endpoints: Endpoints) -> Iterable[tuple[str, int]]:
    """Run id and revision of all that stands on the runs topic."""
    for _, _, value in _messages(endpoints, RUNS.full_name(endpoints.topic_prefix)):
        for item in wire.decode_items(wire.read_block(value, RUNS.subject, _SCHEMAS)):
            yield str(item["run_id"]), int(str(item["revision"]))


def end_offsets(endpoints: Endpoints) -> Mapping[Place, int]:
    """The end of every partition of our topics."""
    with _consumer(endpoints) as consumer:
        known = consumer.list_topics(timeout=_TIMEOUT_S).topics
        names = [topic.full_name(endpoints.topic_prefix) for topic in TOPICS]
        return {
            (name, number): watermarks(consumer, TopicPartition(name, number), timeout_s=_TIMEOUT_S)[1]
            for name in names
            for number in known[name].partitions
        }


def whereabouts(endpoints: Endpoints, wanted: Iterable[str], seen: Seen) -> dict[str, str]:
    """Where each of these events or runs was last seen: its places on the events topic, tables, dead letters."""
    asked = set(wanted)
    places: dict[str, list[str]] = {}
    topic = EVENTS.full_name(endpoints.topic_prefix)
    for partition, offset, value in _messages(endpoints, topic):
        for event_id, run_id in _ids_in(value):
            for subject in {event_id, run_id} & asked:
                places.setdefault(subject, []).append(f"{topic}/{partition}@{offset}")
    events, runs = set(seen.event_ids), {run.run_id for run in seen.runs}
    told = {}
    for subject in asked:
        at = sorted(set(places.get(subject, [])))
        where = [f"{', '.join(at[:3])}{f' and {len(at) - 3} more' if len(at) > 3 else ''}" if at else f"not on {topic}"]
        where += [f"in view {view}" for view, ids in (("events", events), ("runs", runs)) if subject in ids]
        where += ["in a dead letter"] if subject in seen.dead else []
        told[subject] = ", ".join(where)
    return told


def pid_of(state_dir: Path, service: str) -> int | None:
    """The process of a service of the stack in `state_dir` as of now; None while it has none."""
    for each in status(state_dir).services:
        if each.name == service:
            return each.process.pid if each.process is not None else None
    raise AssertionError(f"the stack in {state_dir} has no service {service}")


def peak_rss(pid: int) -> int:
    """The most memory a process has held so far, bytes; 0 when it is gone already."""
    try:
        info = psutil.Process(pid).memory_info()
        status_lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except (psutil.NoSuchProcess, OSError):
        return 0
    high = [int(line.split()[1]) * 1024 for line in status_lines if line.startswith("VmHWM:")]
    return max([info.rss, *high])


def rss_of(pid: int) -> int:
    """The memory that a process holds now, bytes; 0 when it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _events_in(values: Iterable[bytes]) -> set[str]:
    return {event_id for value in values for event_id, _ in _ids_in(value)}


def _ids_in(value: bytes | None) -> list[tuple[str, str]]:
    """Event and run id of each event of a batch; none where it cannot be read, as a dead letter may be."""
    try:
        items = wire.decode_items(wire.read_block(value, EVENTS.subject, _SCHEMAS))
    except UnreadableMessage:
        return []
    return [(str(item["event_id"]), str(item["run_id"])) for item in items]


def _messages(endpoints: Endpoints, topic: str) -> Iterable[tuple[int, int, bytes | None]]:
    """Partition, offset and value of all that stands on a topic now."""
    ends = {place: end for place, end in end_offsets(endpoints).items() if place[0] == topic and end}
    with _consumer(endpoints) as consumer:
        consumer.assign([TopicPartition(name, number, 0) for name, number in ends])
        open_places = set(ends)
        while open_places:
            message = consumer.poll(_TIMEOUT_S)
            assert message is not None, f"{topic} fell silent before the end of {sorted(open_places)}"
            assert message.error() is None, message.error()
            place = (str(message.topic()), int(message.partition() or 0))
            offset = int(message.offset() or 0)
            yield place[1], offset, message.value()
            if offset + 1 >= ends[place]:
                open_places.discard(place)


def _consumer(endpoints: Endpoints) -> Consumer:
    return Consumer(
        {
            **endpoints.kafka().client_config(),
            "group.id": "evidence",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
