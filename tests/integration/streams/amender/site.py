"""Worker, loader and amender as processes on topics and a database of their own."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from causeline.console.answers import Record
from causeline.console.store import open_store
from causeline.kafka.group_offsets import committed_offsets
from causeline.kafka.offsets import watermarks
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.topics import TOPICS, Topic
from causeline.sinks.migrate import migrate
from causeline.stack.launch import launcher
from causeline.stack.services import READY_LINE
from causeline.stack.waiting import wait_until

PARTITIONS = 2


@dataclass
class Site:
    """Topics under a random prefix, a database of a random name, and what runs on them."""

    kafka: KafkaConnection
    clickhouse: ClickHouseConnection
    folder: Path
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        base = self.clickhouse.url.rsplit("/", 1)[0]
        self.clickhouse = self.clickhouse.model_copy(update={"url": f"{base}/{self.prefix}"})
        migrate(self.clickhouse)
        self.admin = AdminClient({**self.kafka.client_config(), "log_level": 0})
        wanted = [NewTopic(topic.full_name(self.prefix), PARTITIONS, 1, config=topic.config()) for topic in TOPICS]
        for made in self.admin.create_topics(wanted).values():
            made.result(timeout=30)

    def environment(self) -> dict[str, str]:
        """What points a command at this site."""
        return {
            "CAUSELINE_STATE_DIR": str(self.folder / "none"),
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "CAUSELINE_CLICKHOUSE_URL": self.clickhouse.url,
            "CAUSELINE_CLICKHOUSE_PASSWORD": self.clickhouse.password.get_secret_value(),
            "CAUSELINE_TOPIC_PREFIX": self.prefix,
            "CAUSELINE_LOADER_LINGER_S": "0.05",
            "CAUSELINE_WORKER_IDLE_TIMEOUT_S": "1",
            "CAUSELINE_AMENDER_UNJOINED_WAIT_S": "2",
        }

    @contextmanager
    def running(self, *commands: str, group: str | None = None) -> Iterator[None]:
        """`worker`, `load` or `amend`, all ready; with a `group` of their own they read from offset 0."""
        with ExitStack() as stack:
            logs = [self._start(stack, command, group) for command in commands]
            for command, (process, log) in zip(commands, logs, strict=True):
                wait_until(
                    lambda log=log, process=process: (  # type: ignore[misc]
                        process.poll() is not None or _is_ready(log)
                    ),
                    timeout_s=60,
                    what=f"{command} to be ready: {log.read_text('utf-8')[-2000:]}",
                )
                assert process.poll() is None, log.read_text("utf-8")[-3000:]
            yield

    def _start(self, stack: ExitStack, command: str, group: str | None) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"{command}-{uuid.uuid4().hex[:6]}.log"
        part = {"worker": "WORKER", "load": "LOADER", "amend": "AMENDER"}[command]
        groups = {f"CAUSELINE_{part}_GROUP_ID": f"{group}.{command}"} if group else {}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
        words = [command, *(["--follow"] if command == "amend" else [])]
        with log.open("wb") as output:
            process = subprocess.Popen(
                launcher([sys.executable, "-m", "causeline.cli", *words]),
                env={**clean, "PYTHONUNBUFFERED": "1", **self.environment(), **groups},
                stdout=output,
                stderr=output,
            )
        stack.callback(_end, process)
        return process, log

    def publish(self, topic: Topic, value: bytes, *, partition: int = 0) -> None:
        """One message, delivered."""
        producer = Producer({**self.kafka.client_config(), "enable.idempotence": True})
        producer.produce(topic.full_name(self.prefix), value, partition=partition)
        assert producer.flush(30) == 0

    def ask(self, sql: str, **parameters: object) -> list[Record]:
        """The rows of a query."""
        with open_store(self.clickhouse) as store:
            return list(store.ask(sql, parameters))

    def end(self, topic: Topic) -> int:
        """Messages ever written to a topic."""
        consumer = Consumer({**self.kafka.client_config(), "group.id": "looks-only"})
        try:
            places = [TopicPartition(topic.full_name(self.prefix), number) for number in range(PARTITIONS)]
            return sum(watermarks(consumer, place, timeout_s=10)[1] for place in places)
        finally:
            consumer.close()

    def caught_up(self, group: str, topic: Topic) -> None:
        """Wait until a group has committed all of a topic."""
        name = topic.full_name(self.prefix)

        def is_there() -> bool:
            places = [(name, number) for number in range(PARTITIONS)]
            return sum(committed_offsets(self.kafka, group, places, timeout_s=10).values()) == self.end(topic)

        logs = [log.read_text("utf-8")[-800:] for log in self.folder.glob("*.log")]
        wait_until(is_there, timeout_s=60, interval_s=0.2, what=f"{group} to commit all of {name}: {logs}")


def _is_ready(log: Path) -> bool:
    return READY_LINE.removeprefix("(?i)").replace(r"\b", "") in log.read_text("utf-8").lower()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(30)
