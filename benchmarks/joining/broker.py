"""A broker with topics of its own for each round, and worker processes whose CPU is read while they join."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import psutil
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.joining.runs import PARTITIONS
from causeline.schemas.topics import MAX_MESSAGE_BYTES

_PATIENCE_S = 240.0
Run = tuple[int, str | None, float, str | None, tuple[str, ...]]
"""Events, route, cost, final state, and the names of the steps."""
Joined = dict[str, Run]
"""By run id."""


class Bench:
    """A broker with topics of its own for each round."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def topics(self, prefix: str, names: Sequence[str]) -> None:
        config = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
        made = self.admin.create_topics([NewTopic(f"{prefix}.{name}", PARTITIONS, 1, config=config) for name in names])
        for each in made.values():
            each.result(timeout=30)

    def producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.servers,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "zstd",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "log_level": 0,
            }
        )

    @contextmanager
    def consumer(self, topic: str) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"read-{time.time_ns()}",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe([topic])
        try:
            yield consumer
        finally:
            consumer.close()


@dataclass(frozen=True, slots=True)
class Working:
    """A worker process, and what it says."""

    process: "subprocess.Popen[bytes]"
    said: IO[bytes]

    def check(self) -> None:
        """Raise with the end of what it said once it has died."""
        if self.process.poll() is not None:
            self.said.seek(0)
            tail = self.said.read().decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"the worker ended with {self.process.returncode}:\n{tail}")


@contextmanager
def working(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Working]:
    """The worker, until the block ends; it may take its time to stop, so that it leaves nothing behind."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        try:
            yield Working(process, said)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def measured(
    command: Sequence[str], environment: Mapping[str, str], topic: Callable[[Working], "Came"]
) -> tuple[Joined, float, float, float]:
    """What a worker process joined, its CPU seconds beyond its coming up, wall seconds, and its resident MB."""
    with working(command, environment) as worker:
        joined, began, ended = topic(worker)
        known = psutil.Process(worker.process.pid)
        times = known.cpu_times()
        rss = known.memory_info().rss / 2**20
        return joined, times.user + times.system, ended - began, rss


Came = tuple[Joined, float, float]
"""What came out, and when the first and the last of it did."""


def collected(bench: Bench, topic: str, expected: int, read: Any, worker: Working) -> Came:
    """Runs out of `topic` until `expected` of them are in; raises when the worker has died."""
    joined: Joined = {}
    began = ended = time.monotonic()
    with bench.consumer(topic) as consumer:
        while len(joined) < expected and time.monotonic() - ended < _PATIENCE_S:
            worker.check()
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    if not joined:
                        began = time.monotonic()
                    joined.update(read(message.value()))
                    ended = time.monotonic()
    if len(joined) < expected:
        raise RuntimeError(f"{expected - len(joined)} of {expected} runs were not joined into {topic}")
    return joined, began, ended
