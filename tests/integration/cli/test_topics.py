"""Topics of a real broker, made to agree with the catalogue."""

import json
import secrets
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.kafka.admin import admin_client
from causeline.kafka.group_offsets import committed_offsets
from causeline.ops.lag import read_lags
from causeline.ops.topics import read
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import EVENTS, RUNS, TOPICS
from causeline.stack.waiting import wait_until


@pytest.fixture
def prefix() -> str:
    return f"t{secrets.token_hex(4)}"


def run(kafka: KafkaConnection, prefix: str, *words: str) -> Result:
    arguments = ["topics", *words, "--kafka", kafka.bootstrap_servers, "--prefix", prefix]
    environment = dict.fromkeys(("CAUSELINE_PARTITIONS", "CAUSELINE_TOPIC_PREFIX"))
    return CliRunner().invoke(app, arguments, env={**environment, "CAUSELINE_STATE_DIR": "/nonexistent"})


def soon(condition: Callable[[], bool], what: str) -> None:
    """A broker answers a change before every later question knows of it."""
    wait_until(condition, timeout_s=60, what=what)


def needs(result: Result) -> dict[str, list[str]]:
    return {each["name"]: each["needs"] for each in map(json.loads, result.stdout.splitlines())}


def test_topics_are_created_once_and_then_left_alone(kafka: KafkaConnection, prefix: str) -> None:
    first = run(kafka, prefix, "apply", "--partitions", "3", "--json")
    assert first.exit_code == 0, first.output
    assert all(each == ["create"] for each in needs(first).values())
    found = read(admin_client(kafka), prefix)
    assert {name: each.partitions for name, each in found.items()} == {
        topic.full_name(prefix): 3 if topic.like_events else 1 for topic in TOPICS
    }
    again = run(kafka, prefix, "apply", "--json")
    assert (again.exit_code, set(map(tuple, needs(again).values()))) == (0, {()})
    assert "as it should be" in run(kafka, prefix, "apply").stdout


def test_a_setting_changed_by_hand_is_mended(kafka: KafkaConnection, prefix: str) -> None:
    run(kafka, prefix, "apply", "--partitions", "1")
    admin = admin_client(kafka)
    name = RUNS.full_name(prefix)
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(10)
    soon(lambda: needs(run(kafka, prefix, "list", "--json"))[name] == ["configure"], "the setting is not changed")
    mended = run(kafka, prefix, "apply")
    assert (mended.exit_code, f"{name}: set retention.ms={RUNS.config()['retention.ms']}" in mended.stdout) == (0, True)
    ours = RUNS.config()["retention.ms"]
    soon(lambda: read(admin, prefix)[name].config["retention.ms"] == ours, "the setting is not mended")


def test_partitions_of_a_topic_that_exists_are_never_changed(kafka: KafkaConnection, prefix: str) -> None:
    run(kafka, prefix, "apply", "--partitions", "2")
    result = run(kafka, prefix, "apply", "--partitions", "4")
    assert result.exit_code == 1
    assert "has 2 partitions, not 4" in result.stdout
    assert read(admin_client(kafka), prefix)[EVENTS.full_name(prefix)].partitions == 2


def test_topics_follow_an_events_topic_that_was_given_more_partitions(kafka: KafkaConnection, prefix: str) -> None:
    run(kafka, prefix, "apply", "--partitions", "2")
    admin = admin_client(kafka)
    [raised] = admin.create_partitions([NewPartitions(EVENTS.full_name(prefix), 5)]).values()
    raised.result(30)
    name = EVENTS.full_name(prefix)
    soon(lambda: name in (told := read(admin, prefix)) and told[name].partitions == 5, "the broker does not know of it")
    result = run(kafka, prefix, "apply", "--partitions", "2", "--accept-partitions")
    assert result.exit_code == 0, result.output
    assert "given 5 partitions, it had 2" in result.stdout
    like_events = {topic.full_name(prefix) for topic in TOPICS if topic.like_events}
    soon(
        lambda: (
            {name: each.partitions for name, each in read(admin, prefix).items() if name in like_events}
            == dict.fromkeys(like_events, 5)
        ),
        "they do not follow",
    )


def test_lag_is_measured_at_the_broker(kafka: KafkaConnection, prefix: str) -> None:
    run(kafka, prefix, "apply", "--partitions", "2")
    topic = EVENTS.full_name(prefix)
    producer = Producer(kafka.client_config())
    for number in range(10):
        producer.produce(topic, b"x", partition=number % 2)
    assert producer.flush(30) == 0
    consumer = Consumer({**kafka.client_config(), "group.id": prefix, "enable.auto.commit": False})
    try:
        consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    finally:
        consumer.close()
    [found] = [each for each in read_lags(kafka, prefix) if each.group == prefix]
    assert (found.topic, found.end, found.committed, found.lag) == (topic, 10, 4, 6)


def test_a_group_that_was_never_there_has_committed_nothing(kafka: KafkaConnection, prefix: str) -> None:
    """Asked of the admin client, the first such question to a new broker ends the process."""
    run(kafka, prefix, "apply", "--partitions", "1")
    place = (EVENTS.full_name(prefix), 0)
    assert committed_offsets(kafka, f"{prefix}.nobody", [place], timeout_s=20) == {}
