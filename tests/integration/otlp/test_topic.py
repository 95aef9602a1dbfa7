"""`causeline receive` reads the Collector's topic of a real broker, is killed on the way, and loses nothing."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from causeline.kafka.offsets import committed, watermarks
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import wire
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.topics import DEAD
from causeline.stack.waiting import wait_until
from causeline.streams.definition.reading import Message
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question
from tests.unit.streams.both import assemble

pytestmark = pytest.mark.stack

TRACES = 60
POISON = (b"\xff\xfenot a request", b"\x0a\xff")
OF_ARRIVAL = {"first_offset", "last_offset", "source_partition"}


class Place:
    """Topics of their own on the broker: what the Collector writes to, and ours."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self.kafka = kafka
        self.prefix = f"doors{secrets.token_hex(4)}"
        self.topic = f"otlp_spans_{self.prefix}"
        wanted = [(self.topic, 3), (f"{self.prefix}.events", 2), (f"{self.prefix}.dead", 1)]
        admin = AdminClient(dict(kafka.client_config()))
        for made in admin.create_topics([NewTopic(name, partitions, 1) for name, partitions in wanted]).values():
            made.result(30)

    def write(self, values: list[bytes]) -> None:
        producer = Producer(dict(self.kafka.client_config()))
        for number, value in enumerate(values):
            producer.produce(self.topic, value, partition=number % 3)
        assert producer.flush(30) == 0

    def committed(self, group: str) -> int:
        """How many messages the group has read, by its offsets."""
        with Consumer({**self.kafka.client_config(), "group.id": group}) as consumer:
            places = committed(consumer, [TopicPartition(self.topic, number) for number in range(3)], timeout_s=10)
        return sum(max(0, place.offset) for place in places)

    def read(self, topic: str, partitions: int) -> list[Message]:
        """All that stands on a topic now."""
        config = {**self.kafka.client_config(), "group.id": "none", "enable.auto.commit": False}
        with Consumer(config) as consumer:
            ends = {
                number: watermarks(consumer, TopicPartition(topic, number), timeout_s=10)[1]
                for number in range(partitions)
            }
            consumer.assign([TopicPartition(topic, number, 0) for number, end in ends.items() if end])
            found: list[Message] = []
            while len(found) < sum(ends.values()):
                message = consumer.poll(10)
                assert message is not None
                assert message.error() is None
                found.append(Message(message.partition() or 0, message.offset() or 0, message.value()))
        return found

    def runs(self) -> dict[str, Run]:
        joined = assemble(self.read(f"{self.prefix}.events", 2)).runs
        return {record["run_id"]: Run.from_record(record) for record in joined}

    @contextmanager
    def receiver(self, folder: Path, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
        environment = {
            **os.environ,
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "CAUSELINE_STATE_DIR": str(folder / "state"),
            "CAUSELINE_ARTIFACTS": str(folder / "artifacts"),
        }
        command = [sys.executable, "-m", "causeline.cli", "receive", "--port", "0", "--grpc-port", "-1"]
        command += ["--prefix", self.prefix, "--kafka-topic", self.topic, *options]
        log = folder / "receiver.log"
        with log.open("ab") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            try:
                yield process
            except BaseException:
                process.kill()
                process.wait(30)
                raise
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0, log.read_text("utf-8")


def differing(run: Run, other: Run) -> set[str]:
    return {field.name for field in fields(run) if getattr(other, field.name) != getattr(run, field.name)}


@pytest.mark.slow
def test_a_killed_receiver_reads_on_and_a_second_reading_gives_the_same_runs(
    kafka: KafkaConnection, tmp_path: Path
) -> None:
    place, app = Place(kafka), Recorded()
    traces = {answer_a_question(app) for _ in range(TRACES)}
    bodies = [app.body(*app.spans[at : at + 3]) for at in range(0, len(app.spans), 3)]
    values = [*bodies[:20], *POISON, *bodies[20:]]
    place.write(values)
    group = f"{place.prefix}.receiver"

    with place.receiver(tmp_path) as first:
        wait_until(lambda: place.committed(group) > 0, timeout_s=60, what="nothing is read")
        first.send_signal(signal.SIGKILL)
        first.wait(30)
    place.write(bodies[:10])  # while nobody reads
    written = len(values) + 10
    with place.receiver(tmp_path):
        wait_until(lambda: place.committed(group) == written, timeout_s=60, what="not all is read")

    door = Door(tmp_path / "door")
    try:
        assert door.post(app.body()).status_code == 200
        by_http = door.runs
    finally:
        door.close()
    by_topic = place.runs()
    assert set(by_topic) == traces == set(by_http)
    for trace, run in by_http.items():
        assert differing(run, by_topic[trace]) <= OF_ARRIVAL | {"project"}

    letters = [wire.decode_datum(each.value, DEAD.subject, Schemas()) for each in place.read(f"{place.prefix}.dead", 1)]
    assert {(each["value"], each["reason"], each["stage"], each["topic"]) for each in letters} == {
        (poison, "corrupt", "receiver", place.topic) for poison in POISON
    }
    assert len({each["dead_id"] for each in letters}) == len(POISON)

    os.environ["CAUSELINE_RECEIVE_KAFKA_GROUP"] = again = f"{place.prefix}.again"
    with place.receiver(tmp_path):
        wait_until(lambda: place.committed(again) == written, timeout_s=60, what="the second group has not read all")
    twice = place.runs()
    assert {trace: differing(run, twice[trace]) - OF_ARRIVAL for trace, run in by_topic.items()} == {
        trace: set() for trace in traces
    }
