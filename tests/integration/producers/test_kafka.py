"""Kafka's transport keeps the contract, and what a tracer says stands on the broker."""

import secrets
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.transport import KafkaTransport
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import ids, wire
from causeline.schemas.events import Record
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from causeline.stack.kafka import running_broker
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from tests.contract.producers.transport_contract import PARTITIONS, TransportContract

pytestmark = pytest.mark.stack


def make_topic(kafka: KafkaConnection, name: str, partitions: int = PARTITIONS) -> str:
    admin = AdminClient({**kafka.client_config()})
    for made in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        made.result(30)
    return name


@pytest.fixture
def topic(kafka: KafkaConnection) -> str:
    """A fresh events topic; its prefix is what comes before `.events`."""
    return make_topic(kafka, f"t{secrets.token_hex(6)}.events")


def settings_for(topic: str, **settings: float) -> EmitterSettings:
    return EmitterSettings(topic_prefix=topic.removesuffix(".events")).model_copy(update=settings)


def read(kafka: KafkaConnection, topic: str, events: int) -> list[tuple[int, Record]]:
    """So many events of a topic, each with the partition that it stands in."""
    consumer = Consumer({**kafka.client_config(), "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    seen: list[tuple[int, Record]] = []

    def all_there() -> bool:
        for message in consumer.consume(100, timeout=0.2):
            assert message.error() is None
            records = wire.decode_items(wire.read_block(message.value(), "trace-batch", Schemas()))
            seen.extend((message.partition() or 0, record) for record in records)
        return len(seen) >= events

    try:
        wait_until(all_there, timeout_s=90, what=lambda: f"{events} events, not {len(seen)}")
    finally:
        consumer.close()
    return seen


class TestKafkaTransport(TransportContract):
    @pytest.fixture
    def transport(self, kafka: KafkaConnection, topic: str) -> Iterator[KafkaTransport]:
        made = KafkaTransport(kafka, settings_for(topic), topic)
        yield made
        made.close()

    @pytest.fixture
    def lost(self, kafka: KafkaConnection) -> Iterator[KafkaTransport]:
        made = KafkaTransport(kafka, EmitterSettings(), f"none{secrets.token_hex(6)}.events")
        yield made
        made.close()


def test_what_a_tracer_says_stands_once_in_the_partition_of_its_run(kafka: KafkaConnection, topic: str) -> None:
    delivered: list[str] = []
    emitter = Emitter(settings_for(topic, batch_events=10), kafka=kafka, on_delivered=delivered.extend)
    tracer = Tracer("tests", emitter=emitter)
    for _ in range(40):
        with tracer.run("invoice") as run:
            for step in range(3):
                with run.tool(f"t{step}"):
                    pass
    assert not tracer.close(30)

    seen = read(kafka, topic, 200)
    assert all(partition_of(str(event["run_id"]), PARTITIONS) == partition for partition, event in seen)
    assert sorted(str(event["event_id"]) for _, event in seen) == sorted(delivered)
    assert len(set(delivered)) == len(seen) == 200


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


def test_a_broker_that_is_away_costs_the_caller_nothing_and_is_told_with_the_way_out() -> None:
    away = KafkaConnection(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    emitter = Emitter(EmitterSettings(), kafka=away)
    began = time.monotonic()
    for _ in range(1000):
        emitter.emit(ids.new_run_id(), ids.new_event_id(), b"x" * 100)
    assert time.monotonic() - began < 5, "the caller waited for the network"

    wait_until(lambda: emitter.stats().last_error, timeout_s=30, what="the fault to be told")

    assert "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS" in str(emitter.stats().last_error)
    left = emitter.close(0.1)
    assert left.events == 1000


def test_events_wait_for_a_topic_that_is_made_later(kafka: KafkaConnection) -> None:
    name = f"t{secrets.token_hex(6)}.events"
    with Tracer("tests", emitter=Emitter(settings_for(name), kafka=kafka)) as tracer:
        with tracer.run("invoice"):
            pass
        wait_until(lambda: tracer.stats().last_error, timeout_s=30, what="the missing topic to be told")
        assert tracer.stats().last_error == f"The topic {name} does not exist; `causeline topics apply` makes it."
        make_topic(kafka, name)
        assert not tracer.flush(30)
    assert len(read(kafka, name, 2)) == 2


@pytest.mark.slow
def test_a_broker_that_is_killed_and_comes_back_has_every_event_once(tmp_path: Path) -> None:
    """From memory; and from the disk, where a process that was there before the broker's end left them."""
    with running_broker(tmp_path / "broker") as broker:
        topic, other = (make_topic(broker.connection, f"t{secrets.token_hex(6)}.events") for _ in range(2))
        delivered: list[str] = []
        emitter = Emitter(settings_for(topic, batch_events=5), kafka=broker.connection, on_delivered=delivered.extend)
        tracer = Tracer("tests", emitter=emitter)
        spooled: list[str] = []
        spooling = settings_for(other, batch_events=5, spool_after_s=0.2).model_copy(
            update={"spool": tmp_path / "spool"}
        )
        before = Tracer("tests", emitter=Emitter(spooling, kafka=broker.connection, on_delivered=spooled.extend))

        def work(of: Tracer, runs: int) -> None:
            for _ in range(runs):
                with of.run("invoice") as run, run.tool("t"):
                    pass

        for each in (tracer, before):
            work(each, 20)
            assert not each.flush(30)
        broker.kill()
        for each in (tracer, before):
            work(each, 20)
        wait_until(lambda: before.stats().spooled, timeout_s=30, what="events to go to the disk")
        assert not before.close(0.5), "what the broker has not is on the disk"
        broker.start()
        work(tracer, 20)
        after = Emitter(spooling, kafka=broker.connection)
        assert after.drain(60) == 0
        assert not after.close(30)
        assert not tracer.close(60)
        seen = [str(event["event_id"]) for _, event in read(broker.connection, topic, 180)]
        from_disk = [str(event["event_id"]) for _, event in read(broker.connection, other, 120)]
    assert (tracer.stats().delivered, tracer.stats().lost) == (180, 0)
    assert sorted(seen) == sorted(delivered)
    assert sorted(set(from_disk)) == sorted(spooled)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_topic_that_takes_smaller_batches_than_before_loses_no_event_that_fits(
    kafka: KafkaConnection, topic: str
) -> None:
    """The limit is the broker's and lowered under the emitter's feet; one event by itself is larger than it."""
    admin = AdminClient({**kafka.client_config()})
    emitter = Emitter(settings_for(topic, batch_age_s=2.0), kafka=kafka)
    tracer = Tracer("tests", emitter=emitter)
    with tracer.run("before"):
        pass
    assert not tracer.flush(30)
    limit = ConfigResource(
        ConfigResource.Type.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry("max.message.bytes", "4096", incremental_operation=AlterConfigOpType.SET),
        ],
    )
    for altered in admin.incremental_alter_configs([limit]).values():
        altered.result(30)

    def random_ref(size: int) -> str:
        return "a:" + secrets.token_hex(size)

    for _ in range(100):
        with tracer.run("invoice") as run:
            for step in range(7):
                with run.tool(f"t{step}", input_ref=random_ref(100)):
                    pass
    with tracer.run("large") as run, run.retrieve("all", context_refs=[random_ref(900) for _ in range(10)]):
        pass
    assert not tracer.close(60)
    stats = tracer.stats()
    assert (stats.accepted, stats.delivered, stats.lost) == (905, 904, 1)
    assert f"of run {run.run_id} has " in stats.last_invalid[-1]
    seen = {str(event["event_id"]) for _, event in read(kafka, topic, 904)}
    assert len(seen) == 904


SCRIPT = """
from causeline import ArtifactStore, Tracer

store = ArtifactStore.from_environment()
tracer = Tracer(project="claims")


def answer(question: str) -> str:
    with tracer.run("faq", input_ref=store.put(question.encode())) as run:
        with run.retrieve("handbook", input_ref="w3c:" + run.traceparent) as step:
            page = store.put(b"Claims are paid within 14 days.")
            step.set(context_refs=[page])
        with run.model_call("draft", model_provider="local", model_name="tiny", prompt_version="3") as step:
            text = "Within 14 days."
            step.set(raw_output_ref=store.put(text.encode()), input_tokens=20, output_tokens=5)
        decision = run.evidence("$.answer", refs=[page + "#page=1"], score=0.92)
        if not decision.ok:
            run.fallback("safe_message", reason=str(decision.kind))
            text = "I do not know."
        return text


print(answer("When are claims paid?"))
print(tracer.close(timeout_s=10).events, "events left")
"""


def test_a_users_own_script_needs_nothing_but_its_environment(
    kafka: KafkaConnection, topic: str, tmp_path: Path
) -> None:
    assert len(SCRIPT.strip().splitlines()) <= 25
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        cwd=tmp_path,
        env={
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "CAUSELINE_TOPIC_PREFIX": topic.removesuffix(".events"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Within 14 days.\n0 events left\n", "")
    events = [event for _, event in read(kafka, topic, 5)]
    assert [event["event_type"] for event in sorted(events, key=lambda event: str(event["seq"]))] == [
        "run_started", "step_finished", "step_finished", "evidence_checked", "run_finished",
    ]  # fmt: skip
    assert len(list((tmp_path / ".causeline" / "artifacts").rglob("*"))) > 3
