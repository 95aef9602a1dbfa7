"""The local broker is a real Kafka: what two clients write it keeps, also through a crash."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.stack.kafka import running_broker

pytestmark = pytest.mark.stack


def administer(kafka: KafkaConnection) -> AdminClient:
    return AdminClient({**kafka.client_config(), "log_level": 0})


def new_topic(kafka: KafkaConnection, *, partitions: int = 2) -> str:
    name = f"test-{uuid.uuid4().hex}"
    admin = administer(kafka)
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(timeout=30)
    return name


def produce(kafka: KafkaConnection, topic: str, values: list[bytes]) -> None:
    producer = Producer({**kafka.client_config(), "enable.idempotence": True, "message.max.bytes": MAX_MESSAGE_BYTES})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def consume(kafka: KafkaConnection, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({**kafka.client_config(), "group.id": "none"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
    values: list[bytes] = []
    try:
        while len(values) < count:
            messages = consumer.consume(count, timeout=30)
            assert messages, f"{len(values)} of {count} messages came"
            values += [value for each in messages if (value := each.value()) is not None]
    finally:
        consumer.close()
    return values


def test_both_clients_read_what_an_idempotent_producer_wrote(kafka: KafkaConnection) -> None:
    topic = new_topic(kafka)
    sent = [json.dumps({"n": n}).encode() for n in range(500)]
    produce(kafka, topic, sent)

    async def with_aiokafka() -> list[bytes]:
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", group_id=topic
        )
        await consumer.start()
        try:
            async with asyncio.timeout(30):
                return [(await consumer.getone()).value or b"" for _ in sent]
        finally:
            await consumer.stop()

    assert sorted(consume(kafka, topic, len(sent))) == sorted(sent)
    assert sorted(asyncio.run(with_aiokafka())) == sorted(sent)


def test_a_batch_of_nearly_the_largest_size_passes(kafka: KafkaConnection) -> None:
    topic = new_topic(kafka)
    value = os.urandom(MAX_MESSAGE_BYTES - 1024)
    produce(kafka, topic, [value])
    assert consume(kafka, topic, 1) == [value]


def test_topics_are_never_created_by_a_mistyped_name(kafka: KafkaConnection) -> None:
    failures: list[KafkaError | None] = []
    producer = Producer({**kafka.client_config(), "message.timeout.ms": 1500, "log_level": 0})
    name = f"never-{uuid.uuid4().hex}"
    producer.produce(name, b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(10)
    assert failures
    assert failures[0] is not None
    assert name not in administer(kafka).list_topics(timeout=10).topics


def test_the_broker_listens_on_loopback_only_and_keeps_its_folder_private(kafka: KafkaConnection) -> None:
    admin = administer(kafka)
    broker = next(iter(admin.describe_cluster().result(timeout=10).nodes))
    config = admin.describe_configs([ConfigResource(ResourceType.BROKER, str(broker.id))])
    settings = next(iter(config.values())).result(timeout=10)
    assert broker.host == "127.0.0.1"
    assert all("://127.0.0.1:" in each for each in settings["listeners"].value.split(","))
    assert Path(settings["log.dirs"].value).stat().st_mode & 0o077 == 0
    assert settings["auto.create.topics.enable"].value == "false"
    assert settings["group.initial.rebalance.delay.ms"].value == "0"


@pytest.mark.slow
def test_a_killed_broker_comes_back_with_its_data(tmp_path: Path) -> None:
    with running_broker(tmp_path / "broker") as broker:
        topic = new_topic(broker.connection)
        sent = [b"%d" % n for n in range(200)]
        produce(broker.connection, topic, sent)
        broker.kill()
        with pytest.raises(KafkaException):
            administer(broker.connection).list_topics(timeout=0.5)
        broker.start()
        produce(broker.connection, topic, [b"after"])
        assert sorted(consume(broker.connection, topic, 201)) == sorted([*sent, b"after"])


def test_a_busy_port_is_one_sentence_and_exit_code_4(kafka: KafkaConnection, tmp_path: Path) -> None:
    port = kafka.bootstrap_servers.rpartition(":")[2]
    command = [sys.executable, "-m", "causeline.stack.kafka", "--state-dir", str(tmp_path), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 4
    assert done.stderr == f"error: Port {port} for Kafka is in use. Choose another port, or 0 for a free one.\n"


def test_python_is_all_it_needs(tmp_path: Path) -> None:
    tools = Path("/usr/bin")
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("env", "cat", "uname"):
        (path / name).symlink_to(tools / name)
    program = (
        "import sys, pathlib; from causeline.stack.kafka import running_broker\n"
        "with running_broker(pathlib.Path(sys.argv[1])) as broker: print(broker.connection.bootstrap_servers)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    environment |= {
        "PATH": str(path),
        "JAVA_TOOL_OPTIONS": "-XX:+NoSuchOption",
        "JDK_JAVA_OPTIONS": "-XX:+NoSuchOption",
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "broker")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("127.0.0.1:")
