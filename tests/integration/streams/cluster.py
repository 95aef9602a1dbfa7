"""Topics of a test's own on the real broker, worker processes on them, and what the broker says of both."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from causeline.kafka.offsets import committed, watermarks
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES, TOPICS
from causeline.stack.waiting import wait_until

PARTITIONS = 2
SCHEMAS = Schemas()
_MAIN = """
import logging, sys
from causeline.schemas.errors import CauselineError
from causeline.streams.worker.process import WorkerSettings, run_worker
logging.basicConfig(level="INFO", stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
try:
    sys.exit(run_worker(WorkerSettings.from_environment()))
except CauselineError as error:
    sys.stderr.write(f"error: {error}")
    sys.exit(error.exit_code)
"""


@dataclass
class WorkerProcess:
    """A worker of its own process."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8")

    def wait_for_line(self, text: str) -> None:
        wait_until(lambda: text in self.log, timeout_s=30, what=f"the worker to say {text!r}: {self.log[-2000:]}")

    def listening_ports(self) -> list[int]:
        """The ports that the process has open."""
        sockets = psutil.Process(self.process.pid).net_connections(kind="tcp")
        return [each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


class Cluster:
    """The topics of one test."""

    def __init__(self, kafka: KafkaConnection, folder: Path) -> None:
        self.kafka = kafka
        self.prefix = f"test-{uuid.uuid4().hex[:12]}"
        self.group = f"{self.prefix}.worker"
        self._folder = folder
        self._workers = 0
        admin = AdminClient({**kafka.client_config(), "log_level": 0})
        topics = [NewTopic(topic.full_name(self.prefix), PARTITIONS, 1, config=topic.config()) for topic in TOPICS]
        for made in admin.create_topics(topics).values():
            made.result(timeout=30)
        self._producer = self._made_producer()
        self._consumer = Consumer(
            {
                **kafka.client_config(),
                "group.id": self.group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )

    def close(self) -> None:
        self._consumer.close()

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def publish(self, partition: int, *values: bytes | None, topic: str = "events") -> None:
        failed: list[str] = []

        def told(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error.str())

        for value in values:
            self._producer.produce(self.name(topic), value, partition=partition, on_delivery=told)
        assert (self._producer.flush(30), failed) == (0, [])

    def make_again(self, topic: str) -> None:
        """The topic is deleted and made again, as large as it was."""
        admin = AdminClient({**self.kafka.client_config(), "log_level": 0})
        [gone] = admin.delete_topics([self.name(topic)]).values()
        gone.result(30)
        wait_until(
            lambda: self.name(topic) not in admin.list_topics(timeout=10).topics, timeout_s=30, what="it is not gone"
        )
        found = next(each for each in TOPICS if each.name == topic)
        [made] = admin.create_topics([NewTopic(self.name(topic), PARTITIONS, 1, config=found.config())]).values()
        made.result(30)
        self._producer = self._made_producer()

    def _made_producer(self) -> Producer:
        own = {"enable.idempotence": True, "message.max.bytes": MAX_MESSAGE_BYTES, "log_level": 0}
        return Producer({**self.kafka.client_config(), **own})

    def publish_in_transactions(self, partition: int, values: Sequence[bytes], aborted: Sequence[bytes] = ()) -> None:
        """Each value in a transaction of its own; then those that are aborted in one."""
        name = f"{self.prefix}-{uuid.uuid4().hex}"
        producer = Producer({**self.kafka.client_config(), "transactional.id": name, "log_level": 0})
        producer.init_transactions(30)
        for value in values:
            producer.begin_transaction()
            producer.produce(self.name("events"), value, partition=partition)
            producer.commit_transaction(30)
        if aborted:
            producer.begin_transaction()
            for value in aborted:
                producer.produce(self.name("events"), value, partition=partition)
            producer.flush(30)
            producer.abort_transaction(30)

    @contextmanager
    def worker(self, *, instance: str | None = None, **settings: object) -> Iterator[WorkerProcess]:
        """A worker that is ready, if only for the group's next rebalance."""
        self._workers += 1
        log_file = self._folder / f"worker-{self._workers}.log"
        environment = {
            **os.environ,
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "CAUSELINE_TOPIC_PREFIX": self.prefix,
            "CAUSELINE_WORKER_SESSION_TIMEOUT_S": "6",
            **{f"CAUSELINE_WORKER_{name.upper()}": str(value) for name, value in settings.items()},
        }
        if instance is not None:
            environment["CAUSELINE_WORKER_INSTANCE"] = instance
        with log_file.open("wb") as log:
            process = subprocess.Popen([sys.executable, "-c", _MAIN], env=environment, stderr=log)
        worker = WorkerProcess(process, log_file)
        try:
            worker.wait_for_line("ready: ")
            yield worker
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)

    # --- what the broker says

    def ends(self, topic: str = "events") -> list[int]:
        return [
            watermarks(self._consumer, TopicPartition(self.name(topic), number), timeout_s=10)[1]
            for number in range(PARTITIONS)
        ]

    def committed(self) -> list[int]:
        asked = [TopicPartition(self.name("events"), number) for number in range(PARTITIONS)]
        return [max(0, each.offset) for each in committed(self._consumer, asked, timeout_s=10)]

    def wait_until_drained(self, timeout_s: float = 40) -> None:
        wait_until(
            lambda: self.committed() == self.ends(),
            timeout_s=timeout_s,
            what=f"the committed offsets to reach the ends of {self.name('events')}",
            interval_s=0.2,
        )

    def messages(self, topic: str) -> list[Message]:
        """All that stands on a topic."""
        found: list[Message] = []
        for partition, end in enumerate(self.ends(topic)):
            if end == 0:
                continue
            self._consumer.assign([TopicPartition(self.name(topic), partition, 0)])
            while True:
                message = self._consumer.poll(10)
                assert message is not None, f"{topic} cannot be read to its end"
                if (error := message.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    break
                found.append(message)
            self._consumer.unassign()
        return found

    def runs(self) -> list[Record]:
        """All runs that were published, however often."""
        return [
            record
            for message in self.messages("runs")
            for record in wire.decode_items(wire.read_block(message.value(), "run-batch", SCHEMAS))
        ]


def run_ids(runs: Sequence[Record]) -> list[str]:
    return sorted(str(run["run_id"]) for run in runs)
