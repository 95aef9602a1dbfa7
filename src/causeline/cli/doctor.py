"""`doctor`: whether everything is well, and the way out where it is not."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.explain import PolicyFile, named_policy
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.schemas.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.console.doctor.model import Examination, Line

_MARK = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
_STYLE = {"ok": "green", "warning": "yellow", "failed": "bold red"}
_POLL_S = 3.0
_CLICKHOUSE_TIMEOUT_S = 8.0


def doctor(
    *,
    within_s: Annotated[float, typer.Option("--within", min=1, max=300, help="Seconds for all checks together.")] = 9.0,
    policy: PolicyFile = None,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Check everything that has to be well, and say the way out where something is not.

    Connections and versions, topics against the catalogue, how far consumers lag and since when, clocks, migrations,
    table parts, dead letters, losses, disk, policy, schemas and the spool. Ends with 0 where nothing failed, else 1;
    a stack that is broken is told within ten seconds.
    """
    from causeline.console.doctor.model import Level, examine  # noqa: PLC0415 - the console extra

    connections.settle(state_dir=state_dir, clickhouse_url=clickhouse_url, kafka_servers=kafka)
    lines = examine(_examinations(prefix, policy, connections.state_folder(state_dir)), within_s=within_s)
    if json_output:
        output.print_json_lines(asdict(line) for line in lines)
    else:
        _print(lines)
    failed = [line for line in lines if line.level is Level.FAILED]
    if failed:
        raise typer.Exit(1)


def _examinations(prefix: str, policy: Path | None, state: Path) -> "list[Examination]":
    from causeline.console.doctor.model import Examination  # noqa: PLC0415 - the console extra

    return [
        Examination("kafka", lambda: _kafka(prefix)),
        Examination("lag", lambda: _lag(prefix)),
        Examination("clickhouse", _clickhouse),
        Examination("tables", _tables),
        Examination("dead letters", _dead_letters),
        Examination("losses", _losses),
        Examination("policy", lambda: _policy(policy)),
        Examination("schemas", lambda: _schemas(prefix)),
        Examination("disk", lambda: _disk(state)),
        Examination("spool", _spool),
    ]


# --- Kafka


def _kafka(prefix: str) -> "list[Line]":
    from causeline.cli.topics import LOOK_UP_TIMEOUT_S, admin_client, differences, read  # noqa: PLC0415 - slow to load
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra
    from causeline.console.doctor.model import Level, Line  # noqa: PLC0415

    connection = _kafka_connection()
    admin = admin_client(connection)
    found = differences(read(admin, prefix), prefix=prefix, partitions=None)
    brokers = len(admin.list_topics(timeout=LOOK_UP_TIMEOUT_S).brokers)
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
    word = "broker" if brokers == 1 else "brokers"
    return [
        Line("kafka", Level.OK, f"{connection.bootstrap_servers} answers, {brokers} {word}."),
        checks.topics(states),
    ]


def _kafka_connection() -> KafkaConnection:
    if not os.environ.get(connections.KAFKA):
        raise UsageError("No Kafka is named.", hint="--kafka, CAUSELINE_KAFKA_BOOTSTRAP_SERVERS, or causeline up.")
    return KafkaConnection.from_environment()


def _lag(prefix: str) -> "list[Line]":
    from causeline.cli.status import offsets  # noqa: PLC0415 - slow to load
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra

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
    return checks.lag(
        [
            checks.Behind(group, topic, count, ages.get((group, topic)))
            for (group, topic), count in sorted(behind.items())
        ]
    )


def _ages(
    connection: KafkaConnection, unread: dict[tuple[str, str], list[tuple[int, int]]]
) -> dict[tuple[str, str], float]:
    """By group and topic the age in seconds of the oldest message that is not read."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - slow to load

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
    if not os.environ.get(connections.CLICKHOUSE):
        raise UsageError("No ClickHouse is named.", hint="--clickhouse-url, CAUSELINE_CLICKHOUSE_URL, or causeline up.")
    return ClickHouseConnection.from_environment()


def _asked(sql: str) -> "Sequence[dict[str, object]]":
    from causeline.console.store import ClickHouseStore  # noqa: PLC0415 - the console extra
    from causeline.sinks.clickhouse import clickhouse_client  # noqa: PLC0415

    connection = _clickhouse_connection()
    with clickhouse_client(connection, timeout_s=_CLICKHOUSE_TIMEOUT_S) as client:
        return [dict(row) for row in ClickHouseStore(client, connection).ask(sql)]


def _clickhouse() -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra
    from causeline.console.doctor.model import Level, Line  # noqa: PLC0415

    began = time.time()
    (row,) = _asked("SELECT version() AS version, toUnixTimestamp64Micro(now64(6)) AS now_us")
    between = (began + time.time()) / 2
    connection = _clickhouse_connection()
    return [
        Line("clickhouse", Level.OK, f"{connection.host}:{connection.port} answers, version {row['version']}."),
        checks.skew("ClickHouse", int(str(row["now_us"])) / 1e6 - between),
    ]


def _tables() -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra
    from causeline.sinks.migrate import migrations  # noqa: PLC0415
    from causeline.sinks.tables import MIGRATIONS_TABLE  # noqa: PLC0415

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


def _dead_letters() -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra

    (row,) = _asked(
        "SELECT (SELECT count() FROM dead_letters WHERE observed_at > now() - INTERVAL 1 DAY) AS dead,"
        " (SELECT count() FROM events WHERE run_started_at > now() - INTERVAL 1 DAY) AS events"
    )
    return [checks.dead_letters(int(str(row["dead"])), int(str(row["events"])))]


def _losses() -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra

    (row,) = _asked(
        "SELECT sum(events_lost) AS lost, sum(events) + lost AS emitted FROM runs"
        " WHERE started_at BETWEEN now() - INTERVAL 1 DAY AND now() - INTERVAL 15 MINUTE"
    )
    return [checks.losses(int(str(row["lost"] or 0)), int(str(row["emitted"] or 0)))]


# --- this environment


def _policy(file: Path | None) -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra

    policy = named_policy(file) or DEFAULT_POLICY
    named = str(file or os.environ.get("CAUSELINE_POLICY") or "") or None
    rows = _asked("SELECT argMax(policy_hash, used_at) AS hash, count() AS uses FROM policies")
    judging = str(rows[0]["hash"]) if int(str(rows[0]["uses"])) else None
    return [checks.policy(named, policy.content_hash, judging)]


def _schemas(prefix: str) -> "list[Line]":
    from causeline.console.doctor.model import Level, Line  # noqa: PLC0415 - the console extra
    from causeline.schemas import catalogue  # noqa: PLC0415
    from causeline.schemas.registry import from_registry  # noqa: PLC0415
    from causeline.schemas.topics import TOPICS  # noqa: PLC0415

    url = os.environ.get("CAUSELINE_REGISTRY_URL")
    if not url:
        return [Line("schemas", Level.OK, f"{len(catalogue.bundled())} bundled schemas; no registry is configured.")]
    names = {topic.subject: f"{topic.full_name(prefix)}-value" for topic in reversed(TOPICS)}
    from_registry(url, names)
    return [Line("schemas", Level.OK, f"The registry has every one of {len(catalogue.bundled())} schemas.")]


def _disk(state: Path) -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra

    folder = next(each for each in (state, *state.parents) if each.exists())
    usage = shutil.disk_usage(folder)
    return [checks.disk(f"The disk of {folder}", usage.free, usage.total)]


def _spool() -> "list[Line]":
    from causeline.console.doctor import checks  # noqa: PLC0415 - the console extra
    from causeline.console.doctor.model import Level, Line  # noqa: PLC0415
    from causeline.producers.settings import EmitterSettings  # noqa: PLC0415

    settings = EmitterSettings.from_environment()
    if settings.spool is None:
        return [Line("spool", Level.OK, "No spool is configured: CAUSELINE_EMITTER_SPOOL names its folder.")]
    waiting = sum(file.stat().st_size for file in settings.spool.rglob("*") if file.is_file())
    return [checks.spool(waiting, settings.spool_bytes)]


def _print(lines: "Sequence[Line]") -> None:
    from rich.text import Text  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

    parts = []
    for line in lines:
        text = Text(_MARK[line.level.value], style=_STYLE[line.level.value])
        text.append(f"  {line.name}: {line.says}", style="default")
        parts.append(text)
        if line.way_out and line.level.value != "ok":
            parts.append(Text(f"         → {line.way_out}"))
    output.print_parts(parts)
    bad = [line for line in lines if line.level.value != "ok"]
    output.say()
    failed = sum(line.level.value == "failed" for line in bad)
    output.say("All is well." if not bad else f"{failed} failed, {len(bad) - failed} warnings.")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=examples("causeline doctor", "causeline doctor --json | jq 'select(.level != \"ok\")'"))(doctor)
