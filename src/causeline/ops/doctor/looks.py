"""What doctor looks at: it asks broker, store and this machine, and `checks.py` says what the answers mean.

Kafka and ClickHouse are those of the environment. A look may raise any of our errors: its line says it.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from causeline.console.store import ClickHouseStore
from causeline.kafka.admin import admin_client
from causeline.kafka.client import Consumer, TopicPartition
from causeline.ops import stored
from causeline.ops.copies import read_copies
from causeline.ops.doctor import checks, wholeness
from causeline.ops.doctor.model import Examination, Level, Line
from causeline.ops.lag import offsets
from causeline.ops.stored import Stretch
from causeline.ops.topics import differences, read
from causeline.ops.unjoined import whole_and_unjoined
from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas import catalogue
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.policy_file import read_policy
from causeline.schemas.registry import schemas_of
from causeline.schemas.tables import MIGRATIONS_TABLE
from causeline.schemas.topics import TOPICS
from causeline.schemas.wire.native import CORE, CORE_STATE
from causeline.sinks.migrate import migrations
from causeline.stack.local import status
from causeline.stack.supervisor.state import ServiceState

_KAFKA = "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"
_CLICKHOUSE = "CAUSELINE_CLICKHOUSE_URL"
_POLL_S = 3.0
_CLICKHOUSE_TIMEOUT_S = 8.0


def examinations(prefix: str, policy: Path | None, state: Path, span: Stretch) -> list[Examination]:
    """Every look, in the order in which they are told; `policy` is a file, `state` the folder of the local stack."""
    return [
        Examination("kafka", lambda: _kafka(prefix)),
        Examination("lag", lambda: _lag(prefix)),
        Examination("clickhouse", _clickhouse),
        Examination("tables", _tables),
        Examination("dead letters", _dead_letters),
        Examination("losses", lambda: _losses(span)),
        Examination("stored", lambda: _stored(prefix, span)),
        Examination("bounds", _bounds),
        Examination("services", lambda: _services(state)),
        Examination("policy", lambda: _policy(policy)),
        Examination("schemas", lambda: _schemas(prefix)),
        Examination("core", lambda: [checks.core(CORE_STATE, is_used=CORE is not None)]),
        Examination("disk", lambda: _disk(state)),
        Examination("spool", _spool),
    ]


# --- Kafka


def _kafka(prefix: str) -> list[Line]:
    connection = _kafka_connection()
    admin = admin_client(connection)
    there = read(admin, prefix)
    found = differences(there, prefix=prefix, partitions=None)
    copies = read_copies(admin, there)
    states = [
        checks.TopicState(
            each.name,
            each.found is not None,
            each.found.partitions if each.found else 0,
            each.wanted_partitions,
            tuple(each.config),
        )
        for each in found
    ]
    word = "broker" if copies.brokers == 1 else "brokers"
    return [
        Line("kafka", Level.OK, f"{connection.bootstrap_servers} answers, {copies.brokers} {word}."),
        checks.topics(states),
        checks.copies(copies),
    ]


def _kafka_connection() -> KafkaConnection:
    if not os.environ.get(_KAFKA):
        raise UsageError("No Kafka is named.", hint="--kafka, CAUSELINE_KAFKA_BOOTSTRAP_SERVERS, or causeline up.")
    return KafkaConnection.from_environment()


def _lag(prefix: str) -> list[Line]:
    connection = _kafka_connection()
    ends, committed = offsets(connection, prefix)
    unread: dict[tuple[str, str], list[tuple[int, int]]] = {}
    behind: dict[tuple[str, str], int] = {}
    for group, places in committed.items():
        for topic in {topic for topic, _ in places}:
            for place, (first, end) in ends.items():
                if place[0] == topic:
                    at = max(places.get(place, -1), first)
                    behind[group, topic] = behind.get((group, topic), 0) + end - at
                    if end > at:
                        unread.setdefault((group, topic), []).append((place[1], at))
    ages = _ages(connection, unread)
    ours = {value for name, value in os.environ.items() if name.startswith("CAUSELINE_") and name.endswith("_GROUP_ID")}
    return checks.lag(
        [
            checks.Behind(
                group, topic, count, ages.get((group, topic)), group in ours or group.startswith(f"{prefix}.")
            )
            for (group, topic), count in sorted(behind.items())
        ]
    )


def _ages(
    connection: KafkaConnection, unread: dict[tuple[str, str], list[tuple[int, int]]]
) -> dict[tuple[str, str], float]:
    """By group and topic the age in seconds of the oldest message that is not read."""

    ages: dict[tuple[str, str], float] = {}
    for key, places in unread.items():
        consumer = Consumer(
            {
                **connection.client_config(),
                "group.id": "causeline-doctor",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        try:
            consumer.assign([TopicPartition(key[1], partition, at) for partition, at in places])
            waiting = {partition for partition, _ in places}
            deadline = time.monotonic() + _POLL_S
            while waiting and time.monotonic() < deadline:
                message = consumer.poll(0.2)
                if message is not None and message.error() is None and message.partition() in waiting:
                    waiting.discard(message.partition())
                    age = max(0.0, time.time() - message.timestamp()[1] / 1000)
                    ages[key] = max(ages.get(key, 0.0), age)
        finally:
            consumer.close()
    return ages


# --- ClickHouse


def _clickhouse_connection() -> ClickHouseConnection:
    if not os.environ.get(_CLICKHOUSE):
        raise UsageError("No ClickHouse is named.", hint="--clickhouse-url, CAUSELINE_CLICKHOUSE_URL, or causeline up.")
    return ClickHouseConnection.from_environment()


def _asked(sql: str, parameters: Mapping[str, object] | None = None) -> Sequence[dict[str, Any]]:
    connection = _clickhouse_connection()
    with clickhouse_client(connection, timeout_s=_CLICKHOUSE_TIMEOUT_S) as client:
        return [dict(row) for row in ClickHouseStore(client, connection).ask(sql, parameters)]


def _clickhouse() -> list[Line]:
    between, row = min((_clock_asked() for _ in range(3)), key=lambda asked: asked[0][1])
    connection = _clickhouse_connection()
    return [
        Line("clickhouse", Level.OK, f"{connection.host}:{connection.port} answers, version {row['version']}."),
        checks.skew("ClickHouse", int(row["now_us"]) / 1e6 - between[0], within_s=between[1]),
    ]


def _clock_asked() -> tuple[tuple[float, float], dict[str, Any]]:
    """The middle of a question's time here and how far from it the answer may be true, and the answer."""
    began = time.time()
    (row,) = _asked("SELECT version() AS version, toUnixTimestamp64Micro(now64(6)) AS now_us")
    ended = time.time()
    return ((began + ended) / 2, (ended - began) / 2), row


def _tables() -> list[Line]:
    wanted = {migration.version: migration.name for migration in migrations()}
    known = {row["name"] for row in _asked("SELECT name FROM system.tables WHERE database = currentDatabase()")}
    applied: set[int] = set()
    if MIGRATIONS_TABLE in known:
        rows = _asked(f"SELECT DISTINCT version FROM {MIGRATIONS_TABLE}")  # noqa: S608 - a constant
        applied = {int(str(row["version"])) for row in rows}
    most = _asked(
        "SELECT table, max(parts) AS parts FROM (SELECT table, partition, count() AS parts FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table, partition) GROUP BY table"
    )
    free = _asked("SELECT name, free_space AS free, total_space AS total FROM system.disks WHERE total_space > 0")
    return [
        checks.migrations(applied, wanted),
        checks.parts({str(row["table"]): int(str(row["parts"])) for row in most}),
        *(
            checks.disk(f"ClickHouse's disk {row['name']}", int(str(row["free"])), int(str(row["total"])))
            for row in free
            if int(str(row["total"])) < 2**60  # an engine in memory says that it has no end
        ),
    ]


def _dead_letters() -> list[Line]:
    (row,) = _asked(
        "SELECT (SELECT count() FROM dead_letters WHERE observed_at > now() - INTERVAL 1 DAY) AS dead,"
        " (SELECT count() FROM events WHERE run_started_at > now() - INTERVAL 1 DAY) AS events"
    )
    return [checks.dead_letters(int(str(row["dead"])), int(str(row["events"])))]


def _losses(span: Stretch) -> list[Line]:
    (row,) = _asked(
        "SELECT sum(events_lost) AS lost, sum(events) + lost AS emitted FROM runs WHERE started_at BETWEEN"
        " fromUnixTimestamp64Micro({since:Int64}) AND fromUnixTimestamp64Micro({until:Int64})",
        {"since": span.since_us, "until": span.until_us},
    )
    return [checks.losses(int(str(row["lost"] or 0)), int(str(row["emitted"] or 0)))]


def _stored(prefix: str, span: Stretch) -> list[Line]:
    ends = stored.ends_against_runs(_asked, span)
    lines = [
        wholeness.events(stored.runs_against_events(_asked, span)),
        wholeness.runs(ends, whole_and_unjoined(_asked, span) if ends.short else ()),
    ]
    if os.environ.get(_KAFKA):
        kafka = KafkaConnection.from_environment()
        lines.append(wholeness.topics(stored.topics_against_tables(_asked, kafka, prefix, span.since_us)))
    is_whole = all(line.level is Level.OK for line in lines)
    return [*lines, wholeness.parts_set_aside(stored.set_aside(_asked), is_whole=is_whole)]


def _bounds() -> list[Line]:
    (row,) = _asked(
        "SELECT countIf(close_reason = 'overflow') AS overflowed, count() AS runs FROM runs"
        " WHERE started_at > now() - INTERVAL 1 DAY"
    )
    return [checks.bounds(int(str(row["overflowed"])), int(str(row["runs"])))]


# --- this environment


def _services(state: Path) -> list[Line]:
    return checks.restarts(
        [
            checks.Restarted(
                each.name, each.restarts, each.last_fault or each.reason or "", each.state is ServiceState.FAILED
            )
            for each in status(state).services
            if each.restarts or each.state is ServiceState.FAILED
        ]
    )


def _policy(file: Path | None) -> list[Line]:
    named = str(file or os.environ.get("CAUSELINE_POLICY") or "") or None
    policy = read_policy(Path(named)) if named else DEFAULT_POLICY
    rows = _asked("SELECT argMax(policy_hash, used_at) AS hash, count() AS uses FROM policies")
    judging = str(rows[0]["hash"]) if int(str(rows[0]["uses"])) else None
    return [checks.policy(named, policy.content_hash, judging)]


def _schemas(prefix: str) -> list[Line]:
    url = os.environ.get("CAUSELINE_REGISTRY_URL")
    if not url:
        return [Line("schemas", Level.OK, f"{len(catalogue.bundled())} bundled schemas; no registry is configured.")]
    schemas_of(url, reversed(TOPICS), prefix)
    return [Line("schemas", Level.OK, f"The registry has every one of {len(catalogue.bundled())} schemas.")]


def _disk(state: Path) -> list[Line]:
    folder = next(each for each in (state, *state.parents) if each.exists())
    usage = shutil.disk_usage(folder)
    return [checks.disk(f"The disk of {folder}", usage.free, usage.total)]


def _spool() -> list[Line]:
    settings = EmitterSettings.from_environment()
    if settings.spool is None:
        return [Line("spool", Level.OK, "No spool is configured: CAUSELINE_EMITTER_SPOOL names its folder.")]
    waiting = sum(file.stat().st_size for file in settings.spool.rglob("*") if file.is_file())
    return [checks.spool(waiting, settings.spool_bytes)]
