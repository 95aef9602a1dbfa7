"""Kafka behind TLS, log-ins and rights: every part gets in with its own and no further, and says why it does not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from causeline.kafka.admin import admin_client
from causeline.kafka.preflight import check_topics
from causeline.ops import topics
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import wire
from causeline.schemas.errors import EnvironmentFault, Unreachable
from causeline.schemas.registry import Schemas
from causeline.stack.waiting import wait_until
from tests.integration.security.secure_kafka import SecureKafka, secure_kafka

pytestmark = pytest.mark.stack

EVENTS, RUNS, DECISIONS = "causeline.events", "causeline.runs", "causeline.decisions"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as broker:
        yield broker


def trace_one_run(kafka: KafkaConnection) -> tuple[Tracer, str]:
    tracer = Tracer("secure", emitter=Emitter(EmitterSettings(), kafka=kafka))
    with tracer.run("invoice") as run, run.tool("lookup"):
        pass
    return tracer, run.run_id


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "causeline.cli", *arguments]


def denied(error: KafkaException) -> bool:
    return error.args[0].code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}


def test_each_part_does_its_work_with_the_least_rights(kafka: SecureKafka, tmp_path: Path) -> None:
    tracer, run_id = trace_one_run(kafka.connection("emitter"))
    assert not tracer.close(20)
    environment = kafka.environment("worker")
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(command("worker"), env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        said = " ".join(psutil.Process(worker.pid).cmdline())
        found = wait_until(
            lambda: run_ids_on_the_topic(kafka), timeout_s=180, what=f"the run: {log.read_text()[-2000:]}"
        )
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert found == [run_id]
    assert not any(password in log.read_text() + said for password in kafka.passwords.values())


def run_ids_on_the_topic(kafka: SecureKafka) -> list[str]:
    """What the loader's user reads there."""
    consumer = Consumer({**kafka.connection("loader").client_config(), "group.id": "causeline.loader", "log_level": 0})
    try:
        consumer.assign([TopicPartition(RUNS, partition, 0) for partition in range(2)])
        messages = [message for message in consumer.consume(10, timeout=3) if message.error() is None]
    finally:
        consumer.close()
    records = [wire.decode_items(wire.read_block(message.value(), "run-batch", Schemas())) for message in messages]
    return [str(record["run_id"]) for batch in records for record in batch]


def test_an_emitter_cannot_read_what_others_wrote(kafka: SecureKafka) -> None:
    consumer = Consumer({**kafka.connection("emitter").client_config(), "group.id": "spy", "log_level": 0})
    try:
        consumer.assign([TopicPartition(EVENTS, 0, 0)])
        told: set[int] = set()

        def refused() -> bool:
            for message in consumer.consume(10, timeout=0.5):
                error = message.error()
                assert error is not None, "an emitter has read an event"
                told.add(error.code())
            return KafkaError.TOPIC_AUTHORIZATION_FAILED in told

        wait_until(refused, timeout_s=180, what="the broker to refuse")
    finally:
        consumer.close()


@pytest.mark.parametrize("user", ["emitter", "worker", "loader", "amender"])
def test_no_part_can_alter_or_delete_a_topic(kafka: SecureKafka, user: str) -> None:
    admin = AdminClient({**kafka.connection(user).client_config(), "log_level": 0})
    for futures in (
        admin.create_partitions([NewPartitions(EVENTS, 50)]),
        admin.delete_topics([EVENTS]),
    ):
        with pytest.raises(KafkaException) as caught:
            futures[EVENTS].result(20)
        assert denied(caught.value)


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        ("worker", EVENTS),
        ("loader", EVENTS),
        ("emitter", RUNS),
        ("emitter", DECISIONS),
        ("worker", DECISIONS),
        ("console", EVENTS),
        ("nobody", EVENTS),
    ],
)
def test_no_part_writes_where_it_has_no_business(kafka: SecureKafka, user: str, topic: str) -> None:
    told: list[KafkaError | None] = []
    producer = Producer({**kafka.connection(user).client_config(), "log_level": 0})
    producer.produce(topic, b"x", partition=0, on_delivery=lambda error, _: told.append(error))
    producer.flush(20)
    assert [error.code() for error in told if error is not None] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]


def test_the_operator_makes_topics_and_others_are_told_that_they_may_not(kafka: SecureKafka) -> None:
    other = "causeline.other"
    topics.apply(kafka.connection("operator"), prefix=other, partitions=1, replication=1)
    with pytest.raises(EnvironmentFault, match="does not allow this user"):
        topics.apply(kafka.connection("worker"), prefix="causeline.third", partitions=1, replication=1)


def test_a_password_that_is_wrong_is_told_in_a_sentence(kafka: SecureKafka) -> None:
    guess = {"CAUSELINE_KAFKA_SASL_PASSWORD_FILE": "", "CAUSELINE_KAFKA_SASL_PASSWORD": "a-guessed-word"}
    for ask in (check, lambda connection: topics.read(admin_client(connection), "causeline")):
        with pytest.raises(Unreachable, match=r"^Kafka at [0-9.:]+ does not let 'worker' in\.$") as caught:
            ask(kafka.connection("worker", **guess))
        assert "CAUSELINE_KAFKA_SASL_USERNAME" in str(caught.value.hint)
        assert "a-guessed-word" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_an_authority_that_is_not_trusted_is_told_in_a_sentence(kafka: SecureKafka) -> None:
    with pytest.raises(Unreachable, match="do not agree on TLS") as caught:
        check(kafka.connection("worker", CAUSELINE_KAFKA_SSL_CA_LOCATION=""))
    assert "CAUSELINE_KAFKA_SSL_CA_LOCATION" in str(caught.value.hint)


def test_a_right_that_is_missing_is_told_in_a_sentence(kafka: SecureKafka) -> None:
    with pytest.raises(EnvironmentFault, match=r"does not let 'nobody' use the topic causeline\.events"):
        check(kafka.connection("nobody"))


def check(connection: KafkaConnection) -> object:
    """What a worker and an amender ask before they begin."""
    return check_topics(connection, "causeline")


@pytest.mark.parametrize(("user", "changed", "told"), [
    ("emitter", {"CAUSELINE_KAFKA_SASL_PASSWORD_FILE": "", "CAUSELINE_KAFKA_SASL_PASSWORD": "a-guess"}, "KAFKA_SASL_"),
    ("emitter", {"CAUSELINE_KAFKA_SSL_CA_LOCATION": ""}, "KAFKA_SSL_"),
    ("loader", {}, "the right to write"),
], ids=["password", "authority", "rights"])  # fmt: skip
def test_an_emitter_that_is_not_let_in_says_so_and_the_application_goes_on(
    kafka: SecureKafka, user: str, changed: dict[str, str], told: str
) -> None:
    tracer, _ = trace_one_run(kafka.connection(user, **changed))
    try:
        wait_until(lambda: told in str(tracer.stats().last_error), timeout_s=180, what=f"{told}: {tracer.stats()}")
        assert "a-guess" not in str(tracer.stats())
    finally:
        tracer.close(0.1)
