"""One contract for every transport: the recording one of the unit tests and Kafka's."""

import secrets
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from causeline.producers.emitter import Emitter
from causeline.producers.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.producers.transport import KafkaTransport, Transport
from causeline.schemas import ids, wire
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from causeline.stack.ports import free_ports
from tests.unit.producers.recording import RecordingTransport

PARTITIONS = 5


@pytest.fixture
def topic(kafka: KafkaConnection) -> str:
    """A fresh events topic; its prefix is what comes before `.events`."""
    name = f"t{secrets.token_hex(6)}.events"
    admin = AdminClient({**kafka.client_config()})
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
        made.result(30)
    return name


@pytest.fixture(params=["recording", "kafka"])
def transport(request: pytest.FixtureRequest, kafka: KafkaConnection, topic: str) -> Iterator[Transport]:
    made: Transport = (
        RecordingTransport(partitions=PARTITIONS)
        if request.param == "recording"
        else KafkaTransport(kafka, EmitterSettings(), topic)
    )
    yield made
    made.close()


def _until(condition: Callable[[], bool], act: Callable[[], object], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        act()


def test_it_knows_the_partitions(transport: Transport) -> None:
    found: list[int | None] = [None]
    _until(lambda: found[-1] is not None, lambda: found.append(transport.partitions(1.0)))

    assert found[-1] == PARTITIONS
    assert transport.fault() is None


def test_it_tells_of_each_batch_once_and_from_poll_only(transport: Transport) -> None:
    told: list[str | None] = []
    for partition in range(PARTITIONS):
        transport.send(partition, b"value", told.append)
    assert told == []

    _until(lambda: len(told) == PARTITIONS, lambda: transport.poll(0.1))

    assert told == [None] * PARTITIONS


def test_kafka_says_that_a_topic_is_missing_and_the_way_out(kafka: KafkaConnection) -> None:
    transport = KafkaTransport(kafka, EmitterSettings(), f"none{secrets.token_hex(6)}.events")

    _until(lambda: "does not exist" in (transport.fault() or ""), lambda: transport.partitions(1.0))

    assert "causeline topics apply" in str(transport.fault())
    transport.close()


def test_kafka_says_that_the_broker_is_away_and_the_way_out() -> None:
    away = KafkaConnection(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    emitter = Emitter(EmitterSettings(), kafka=away)
    began = time.monotonic()
    for _ in range(1000):
        emitter.emit(ids.new_run_id(), ids.new_event_id(), b"x" * 100)
    assert time.monotonic() - began < 5, "the caller waited for the network"

    _until(lambda: emitter.stats().last_error is not None, lambda: emitter.flush(0.1))

    assert "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS" in str(emitter.stats().last_error)
    left = emitter.close(0.1)
    assert left.events == 1000


def test_what_a_tracer_says_stands_in_the_partition_of_its_run(kafka: KafkaConnection, topic: str) -> None:
    delivered: list[str] = []
    emitter = Emitter(
        EmitterSettings(topic_prefix=topic.removesuffix(".events"), batch_events=10),
        kafka=kafka,
        on_delivered=delivered.extend,
    )
    tracer = Tracer("tests", emitter=emitter)
    for _ in range(40):
        with tracer.run("invoice") as run:
            for step in range(3):
                with run.tool(f"t{step}"):
                    pass
    assert not tracer.close(30)

    consumer = Consumer({**kafka.client_config(), "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    seen: list[str] = []

    def read() -> None:
        message = consumer.poll(1.0)
        if message is None or message.error():
            return
        for record in wire.decode_items(wire.read_block(message.value(), "trace-batch", Schemas())):
            assert partition_of(str(record["run_id"]), PARTITIONS) == message.partition()
            seen.append(str(record["event_id"]))

    _until(lambda: len(seen) >= 200, read)
    consumer.close()
    assert sorted(seen) == sorted(delivered)
    assert len(set(seen)) == 200


def test_librdkafka_would_have_chosen_the_same_partition(kafka: KafkaConnection, topic: str) -> None:
    chosen: dict[str, int | None] = {}
    producer = Producer({**kafka.client_config(), "partitioner": "murmur2_random"})
    run_ids = [ids.new_run_id() for _ in range(50)]

    def note(_error: object, message: Message) -> None:
        chosen[(message.key() or b"").decode()] = message.partition()

    for run_id in run_ids:
        producer.produce(topic, b"x", key=run_id, on_delivery=note)
    assert producer.flush(30) == 0

    assert chosen == {run_id: partition_of(run_id, PARTITIONS) for run_id in run_ids}
