"""What a row costs on its way from Kafka's bytes into ClickHouse: ours, the bare engine, and rows by a client.

The events are those of a demo, in messages of 500 events, as emitters under load send them; `…_small_messages` is with
the demo's own messages of nine. CPU is that of every process that takes part.

- `ours`: the loader's own path (framing checked, blocks gathered, one insert a block, sentinels and rules checked by
  the server), over HTTP to the embedded server.
- `bare`: the engine in a process of its own reads the same containers from files, with the same INSERT … SELECT and
  the same settings, no HTTP, no checks. Nothing that ends in this table can be cheaper.
- `rows`: fastavro decodes the containers, clickhouse-connect inserts the rows, its insert context made once and
  10,000 rows an insert.

Merges are stopped for all. `rss_mb` is the peak of a loader process that loads the topic from its beginning.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from benchmarks.harness import Report, main, spread
from benchmarks.store.demo import demo_stack, kafka_of
from causeline.kafka.offsets import watermarks
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas import topics, wire
from causeline.schemas.registry import Schemas
from causeline.schemas.tables import EVENTS, record_schema_text
from causeline.sinks.loader.dead_letters import FloodGate
from causeline.sinks.loader.delivery import Batch, Delivery
from causeline.sinks.loader.inserting import INSERT_SETTINGS, Backoff, ClickHouseSender
from causeline.sinks.loader.partitions import PartitionBuffer
from causeline.sinks.loader.routes import Route, routes
from causeline.sinks.loader.settings import LoaderSettings
from causeline.sinks.loader.units import BadMessage, Origin, read_unit
from causeline.sinks.migrate import migrate
from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseProcess

_ROWS_AN_INSERT = 10_000
_EVENTS_A_MESSAGE = 500
"""What an emitter under load puts into a message; at a demo's pace its messages go by age, with nine events each."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one round took; CPU over all processes, and of it our own process's."""

    rows: int
    cpu_s: float
    wall_s: float
    own_cpu_s: float = 0.0

    @property
    def us_per_row(self) -> float:
        """CPU microseconds a row."""
        return self.cpu_s / self.rows * 1e6


def measure(options: argparse.Namespace) -> Report:
    """Take the events off the topic, and store them in turn by each way."""
    rounds = options.rounds or (2 if options.quick else 5)
    with (
        demo_stack(options.state_dir, 500 if options.quick else 5000) as folder,
        tempfile.TemporaryDirectory(prefix="causeline-sink-") as made,
        ClickHouseProcess(Path(made) / "server") as server,
    ):
        connection = ClickHouseConnection(
            url=server.endpoint.connection_url, password=SecretStr(server.endpoint.password)
        )
        migrate(connection)
        published = _messages(kafka_of(folder), topics.EVENTS.full_name("causeline"))
        messages = _refilled(published)
        with clickhouse_client(connection, timeout_s=600) as client:
            client.command(f"SYSTEM STOP MERGES {EVENTS.kept}")
            ways = _Ways(client, server.pid, messages)
            small = _Ways(client, server.pid, published)
            with _bare(Path(made), ways.batches()) as bare:
                ways_of: Mapping[str, Callable[[], Spent]] = {
                    "ours": ways.ours,
                    "bare": bare,
                    "rows": ways.rows,
                    "small": small.ours,
                }
                spent: dict[str, list[Spent]] = {name: [] for name in ways_of}
                for round_number in range(rounds + 1):
                    for name, way in ways_of.items():
                        took = way()
                        print(f"{name}: {took.us_per_row:.2f} µs a row", file=sys.stderr, flush=True)
                        if round_number:
                            spent[name].append(took)
        rss_mb = _loader_rss(kafka_of(folder), connection, ways.stored)
    return _report(spent, rss_mb)


def _report(spent: Mapping[str, Sequence[Spent]], rss_mb: float) -> Report:
    report = Report("sink")
    ours, bare, rows = (spent[name] for name in ("ours", "bare", "rows"))
    report.rows = {
        "us_per_row": spread([each.us_per_row for each in ours]),
        "vs_bare_engine": spread([a.us_per_row / b.us_per_row for a, b in zip(ours, bare, strict=True)]),
        "vs_row_insert": spread([b.us_per_row / a.us_per_row for a, b in zip(ours, rows, strict=True)]),
        "rss_mb": rss_mb,
        "us_per_row_small_messages": spread([each.us_per_row for each in spent["small"]]),
        "loader_us_per_row": spread([each.own_cpu_s / each.rows * 1e6 for each in ours]),
        "bare_us_per_row": spread([each.us_per_row for each in bare]),
        "rows_us_per_row": spread([each.us_per_row for each in rows]),
        "wall_us_per_row": spread([each.wall_s / each.rows * 1e6 for each in ours]),
        "bare_wall_us_per_row": spread([each.wall_s / each.rows * 1e6 for each in bare]),
        "rows_wall_us_per_row": spread([each.wall_s / each.rows * 1e6 for each in rows]),
    }
    report.notes.append(f"{ours[0].rows} rows a round; by rows {rows[0].rows}. The server's share is in us_per_row.")
    report.notes.append(f"load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs.")
    return report


class _Ways:
    """Ours and the client's rows, both into the server behind `client`."""

    def __init__(self, client: Client, server_pid: int, messages: Sequence[bytes]) -> None:
        self._client = client
        self._server = psutil.Process(server_pid)
        self._messages = messages
        self._schemas = Schemas()
        self._route: Route = routes("causeline")[topics.EVENTS.full_name("causeline")]
        self._settings = LoaderSettings.from_environment()
        self.stored = 0
        self._names = [column.name for column in EVENTS.columns()]
        self._records = _records(self.batches(), _ROWS_AN_INSERT)

    def ours(self) -> Spent:
        """The loader's path, from the topic's bytes on."""
        delivery = Delivery(
            {self._route.topic: self._route},
            schemas=self._schemas,
            sender=ClickHouseSender(self._client),
            dead_letters=_NoDeadLetters(),
            gate=FloodGate(0.5, 200),
            patience=Backoff(0.2, 1),
        )

        def load() -> int:
            return sum(delivery.deliver(self._route, [each], threading.Event()).rows for each in self.batches())

        spent = self._timed(load)
        self.stored = spent.rows
        return spent

    def rows(self) -> Spent:
        """Decoded by fastavro, inserted by clickhouse-connect."""
        context = self._client.create_insert_context(
            EVENTS.rows, column_names=self._names, settings={**INSERT_SETTINGS, "insert_deduplicate": 0}
        )

        def load() -> int:
            stored = 0
            for block in self._records:
                context.data = [_row(record, self._names) for record in wire.decode_items(block)]
                self._client.insert(context=context)
                stored += block.count
            return stored

        return self._timed(load)

    def batches(self) -> Iterator[Batch]:
        """The topic's messages as the loader cuts them; offsets are new each time, so that nothing is a repetition."""
        buffer = PartitionBuffer(self._settings.max_block_rows, self._settings.max_block_bytes, 0.0)
        first = uuid.uuid4().int >> 66
        for place, value in enumerate(self._messages):
            origin = Origin(self._route.topic, 0, first + place, None, None)
            buffer.add(read_unit(origin, value, EVENTS.subject, self._schemas), 0.0)
        while buffer:
            yield buffer.take()

    def _timed(self, load: Callable[[], int]) -> Spent:
        self._client.command(f"TRUNCATE TABLE {EVENTS.kept}")
        server, own, wall = self._server.cpu_times(), time.process_time(), time.perf_counter()
        rows = load()
        now = self._server.cpu_times()
        own_s = time.process_time() - own
        server_s = now.user + now.system - server.user - server.system
        return Spent(rows, own_s + server_s, time.perf_counter() - wall, own_s)


def _refilled(messages: Sequence[bytes]) -> list[bytes]:
    """The same events, in their order, in larger messages."""
    schemas = Schemas()
    blocks = [wire.read_block(value, EVENTS.subject, schemas) for value in messages]
    refilled: list[bytes] = []
    held: list[wire.Block] = []
    for place, block in enumerate(blocks):
        held.append(block)
        after = blocks[place + 1] if place + 1 < len(blocks) else None
        rows = sum(each.count for each in held)
        if after is None or after.schema is not block.schema or rows >= _EVENTS_A_MESSAGE:
            head = wire.frame(block.schema.schema_id, wire.encode_string("benchmark"))
            refilled.append(b"".join((head, wire.encode_long(rows), *(each.data for each in held), b"\x00")))
            held = []
    return refilled


class _NoDeadLetters:
    def bury(self, bad: Sequence[BadMessage]) -> None:
        """There is nothing bad here."""
        raise AssertionError(f"{len(bad)} events of the demo cannot be stored: {bad[0].detail}")


def _records(batches: Iterator[Batch], at_most: int) -> list[wire.Block]:
    """Blocks of the first batch, of `at_most` rows together, whose rows a client then inserts."""
    found: list[wire.Block] = []
    rows = 0
    for unit in next(batches).units:
        found.append(unit.block)
        rows += unit.block.count
        if rows >= at_most:
            break
    schema = found[0].schema
    return [wire.Block(schema, rows, memoryview(b"".join(block.data for block in found)))]


def _row(record: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [_value(name, record[name]) for name in names]


def _value(name: str, value: Any) -> Any:
    """As the client wants it: labels as a dict, records as tuples."""
    if name == "labels":
        return {pair["key"]: pair["value"] for pair in value or ()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [tuple(each.values()) for each in value]
    return value


@contextmanager
def _bare(folder: Path, batches: Iterator[Batch]) -> Iterator[Callable[[], Spent]]:
    """The bare engine, up and with its tables, as something that stores everything once more each time."""
    files = []
    for number, batch in enumerate(batches):
        data = b"".join(unit.block.data for unit in batch.units)
        schema = batch.units[0].block.schema
        file = folder / f"{number}.avro"
        file.write_bytes(wire.container_header(record_schema_text(schema)) + wire.container_block(batch.rows, data))
        files.append(str(file))
    command = [sys.executable, "-m", "benchmarks.store.bare", str(folder / "bare"), *files]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout
        if stdout.readline() != "ready\n":
            raise SystemExit("The bare engine did not start.")

        def store() -> Spent:
            stdin.write("\n")
            stdin.flush()
            return Spent(**json.loads(stdout.readline()))

        yield store
        stdin.close()


def _messages(connection: KafkaConnection, topic: str) -> list[bytes]:
    """Every value on a topic."""
    consumer = Consumer({**connection.client_config(), "group.id": uuid.uuid4().hex})
    values: list[bytes] = []
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        for partition in partitions:
            _, end = watermarks(consumer, TopicPartition(topic, partition), timeout_s=10)
            consumer.assign([TopicPartition(topic, partition, 0)])
            at = 0
            while at < end:
                for message in consumer.consume(500, 10):
                    at = (message.offset() or 0) + 1
                    values.append(message.value() or b"")
    finally:
        consumer.close()
    return values


def _loader_rss(kafka: KafkaConnection, clickhouse: ClickHouseConnection, events: int) -> float:
    """The peak resident size, in MB, of a loader that loads everything from the beginning."""
    environment = {
        **os.environ,
        **{f"CAUSELINE_KAFKA_{name}": value for name, value in {"BOOTSTRAP_SERVERS": kafka.bootstrap_servers}.items()},
        "CAUSELINE_CLICKHOUSE_URL": clickhouse.url,
        "CAUSELINE_CLICKHOUSE_PASSWORD": clickhouse.password.get_secret_value(),
        "CAUSELINE_LOADER_GROUP_ID": uuid.uuid4().hex,
    }
    with clickhouse_client(clickhouse) as client:
        client.command(f"TRUNCATE TABLE {EVENTS.kept}")
        with subprocess.Popen([sys.executable, "-m", "causeline.cli", "load"], env=environment) as loader:
            try:
                wait_until(
                    lambda: client.query("SELECT count() FROM events").result_rows[0][0] >= events,
                    timeout_s=120,
                    what="the loader to load everything",
                )
                status = Path(f"/proc/{loader.pid}/status").read_text("utf-8")
            finally:
                loader.terminate()
    [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak.split()[1]) / 1024


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state-dir", type=Path, default=None, help="a demo's stack that is up")


if __name__ == "__main__":
    sys.exit(main("sink", measure, _options))
