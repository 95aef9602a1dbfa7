"""What the loader's integration tests share: topics and a database of their own, and the loader as a process."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from causeline.kafka.offsets import committed, watermarks
from causeline.runtime.clickhouse import open_client
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas import catalogue, topics, wire
from causeline.schemas.topics import MAX_MESSAGE_BYTES, TOPICS, Topic
from causeline.sinks.migrate import migrate
from causeline.stack.launch import launcher
from causeline.stack.waiting import wait_until

PARTITIONS = 2
STARTED_AT = 1_790_000_000_000_000
BATCHES = catalogue.latest("trace-batch")
_MAIN = Path(__file__).with_name("loader_main.py")


def event(number: int, run: int = 1, **fields: object) -> dict[str, object]:
    """The record of a small event; the number is its id."""
    return {
        "event_id": f"{number:032x}",
        "run_id": f"{run:032x}",
        "project": "shop",
        "workflow": "invoice",
        "emitter_id": "rig",
        "seq": number,
        "event_type": "run_started",
        "run_started_at": STARTED_AT,
        "occurred_at": STARTED_AT + number,
        **fields,
    }


def batch(records: Sequence[Mapping[str, object]], count: int | None = None) -> bytes:
    """A framed TraceBatch of these records; `count` is what it claims to hold."""
    items = [wire.encode_item(BATCHES, dict(record)) for record in records]
    header = wire.frame(BATCHES.schema_id, wire.encode_string("rig"))
    return b"".join((header, wire.encode_long(len(items) if count is None else count), *items, b"\x00"))


@dataclass
class Rig:
    """Topics under a random prefix, and a migrated database with a random name."""

    kafka: KafkaConnection
    clickhouse: ClickHouseConnection
    folder: Path
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex}")
    loaders: list["LoaderProcess"] = field(default_factory=list)

    def set_up(self) -> None:
        """Make topics and tables."""
        wanted = [NewTopic(topic.full_name(self.prefix), PARTITIONS, 1, config=topic.config()) for topic in TOPICS]
        admin = AdminClient({**self.kafka.client_config()})
        for made in admin.create_topics(wanted).values():
            made.result(timeout=30)
        migrate(self.clickhouse)

    @property
    def group(self) -> str:
        """The loaders' group."""
        return f"{self.prefix}.loader"

    def publish(self, topic: Topic, values: Sequence[bytes | None], partition: int = 0) -> None:
        """Write values, in order, to a partition."""
        producer = Producer(
            {**self.kafka.client_config(), "enable.idempotence": True, "message.max.bytes": MAX_MESSAGE_BYTES}
        )
        for value in values:
            producer.produce(topic.full_name(self.prefix), value, key=b"key", partition=partition)
            producer.poll(0)
        assert producer.flush(30) == 0

    def start_loader(self, failure: str = "", **settings: object) -> "LoaderProcess":
        """A loader that is ready; `failure` is one of `loader_main`'s."""
        return LoaderProcess(self, failure, settings)

    def query(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        client: Client = open_client(self.clickhouse)
        try:
            return [tuple(row) for row in client.query(sql, parameters=parameters).result_rows]
        finally:
            client.close()

    def count(self, view: str) -> int:
        """The rows of a view."""
        [[count]] = self.query(f"SELECT count() FROM {view}")
        return int(count)

    def visible(self, view: str, expected: int, timeout_s: float = 120) -> None:
        """Wait until a view has that many rows; fails at once when it has more."""

        def arrived() -> bool:
            count = self.count(view)
            assert count <= expected, f"{view} has {count} rows, not {expected}"
            return count == expected

        wait_until(arrived, timeout_s=timeout_s, what=f"{view} to have {expected} rows: {self.logs()}")

    def committed(self, topic: Topic, partition: int = 0) -> int:
        """The group's offset of a partition; negative when there is none."""
        consumer = Consumer({**self.kafka.client_config(), "group.id": self.group})
        try:
            [place] = committed(consumer, [TopicPartition(topic.full_name(self.prefix), partition)], timeout_s=10)
        finally:
            consumer.close()
        return int(place.offset)

    def end(self, topic: Topic, partition: int = 0) -> int:
        """The offset after the last message of a partition."""
        consumer = Consumer({**self.kafka.client_config(), "group.id": self.group})
        try:
            _, high = watermarks(consumer, TopicPartition(topic.full_name(self.prefix), partition), timeout_s=10)
        finally:
            consumer.close()
        return int(high)

    def caught_up(self, topic: Topic) -> None:
        """Wait until everything on a topic is committed."""
        for partition in range(PARTITIONS):
            end = self.end(topic, partition)

            def is_there(partition: int = partition, end: int = end) -> bool:
                return end == 0 or self.committed(topic, partition) == end

            what = f"{topic.name}[{partition}] to be committed up to {end}: {self.logs()}"
            wait_until(is_there, timeout_s=30, what=what)

    def dead_letters(self) -> dict[int, tuple[str, bytes]]:
        """Reason and bytes by offset of the events topic's partition 0."""
        rows = self.query(
            "SELECT offset, reason, hex(value) FROM dead_letters WHERE topic = {topic:String} AND partition = 0",
            topic=topics.EVENTS.full_name(self.prefix),
        )
        return {offset: (reason, bytes.fromhex(value)) for offset, reason, value in rows}

    def logs(self) -> str:
        """The end of what the loaders said."""
        return " | ".join(loader.log_text()[-1500:] for loader in self.loaders)

    def tear_down(self) -> None:
        """End what still runs."""
        for loader in self.loaders:
            if loader.is_running:
                loader.end(signal.SIGKILL)


class LoaderProcess:
    """A loader as a process of its own, ready to load."""

    def __init__(self, rig: Rig, failure: str, settings: Mapping[str, object]) -> None:
        rig.loaders.append(self)
        self._log = rig.folder / f"loader-{len(rig.loaders)}.log"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")},
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": rig.kafka.bootstrap_servers,
            "CAUSELINE_CLICKHOUSE_URL": rig.clickhouse.url,
            "CAUSELINE_CLICKHOUSE_PASSWORD": rig.clickhouse.password.get_secret_value(),
            "CAUSELINE_TOPIC_PREFIX": rig.prefix,
            "CAUSELINE_HEALTH_PORT": "0",
            "CAUSELINE_HEALTH_STALL_AFTER_S": "0.5",
            "CAUSELINE_LOADER_LINGER_S": "0.05",
            "CAUSELINE_LOADER_BACKOFF_MAX_S": "0.5",
            **{f"CAUSELINE_LOADER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                launcher([sys.executable, str(_MAIN), failure]), env=environment, stdout=log, stderr=log
            )
        self.wait_for_line("ready")

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    def log_text(self) -> str:
        """What it logged."""
        return self._log.read_text("utf-8")

    def ask(self, path: str) -> tuple[int, str]:
        """Status and text of its health port."""
        found = re.search(r"health and metrics on (http://127\.0\.0\.1:\d+)", self.log_text())
        assert found is not None, self.log_text()[-2000:]
        try:
            with urllib.request.urlopen(found[1] + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_for_line(self, text: str) -> None:
        """Until the log has the text, or the process has ended."""
        wait_until(
            lambda: text in self.log_text() or not self.is_running,
            timeout_s=30,
            what=f"the loader to say {text!r}: {self.log_text()[-2000:]}",
        )
        assert text in self.log_text(), self.log_text()[-2000:]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self, timeout_s: float = 30) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(timeout_s)


def steadily(condition: Callable[[], bool], *, for_s: float) -> None:
    """The condition holds now and stays true for a while: for what must not happen."""
    deadline = time.monotonic() + for_s
    wait_until(lambda: not condition() or time.monotonic() > deadline, timeout_s=for_s + 10, what="time to pass")
    assert condition()
