"""The diagnoser on a real broker: what one that died did not commit the next tells again, and a reader sees it
once.
"""

import secrets
import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from causeline.causes.diagnoser import Diagnoser
from causeline.causes.process import Process
from causeline.causes.publish import KafkaPublisher
from causeline.causes.settings import DiagnoserSettings
from causeline.kafka.consumer import member_config
from causeline.kafka.member import Member
from causeline.kafka.offsets import committed
from causeline.kafka.publisher import ProducerRecord, Publisher
from causeline.runtime.clock import system_clock
from causeline.runtime.connections import KafkaConnection
from causeline.runtime.health import Pulse
from causeline.schemas import wire
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import CAUSES, RUNS
from tests.unit.causes.build import MemoryStore, failed, message
from tests.unit.diagnosis.test_neighbours import a_run

pytestmark = pytest.mark.stack

TOLD = [a_run(number) for number in range(1, 41)] + [failed(70)]


class Killed(BaseException):
    """Stands for a signal that cannot be caught."""


class DiesAfterDelivery(KafkaPublisher):
    """The broker has the records, and nobody hears of it any more."""

    def deliver(self) -> None:
        super().deliver()
        raise Killed


@pytest.fixture
def settings(kafka: KafkaConnection) -> DiagnoserSettings:
    prefix = f"t{secrets.token_hex(6)}"
    admin = AdminClient({**kafka.client_config()})
    wanted = [NewTopic(topic.full_name(prefix), 1, 1, config=topic.config()) for topic in (RUNS, CAUSES)]
    for made in admin.create_topics(wanted).values():
        made.result(30)
    value = message(*TOLD).value
    Publisher(kafka, client_id="test").publish([ProducerRecord(RUNS.full_name(prefix), value, partition=0)])
    return DiagnoserSettings(kafka=kafka, topic_prefix=prefix)


def process(settings: DiagnoserSettings, kind: type[KafkaPublisher]) -> Process:
    diagnoser = Diagnoser(
        settings,
        store=MemoryStore(),
        publisher=kind(settings.kafka, CAUSES.full_name(settings.topic_prefix), timeout_s=30),
        schemas=Schemas(),
        clock=system_clock,
        drift_of=lambda _store, _workflow: None,
        partitions=1,
    )
    consumer = Consumer(member_config(settings, client_id="test", read_ahead_bytes=1 << 20))
    return Process(settings, diagnoser, Member("diagnoser", consumer, settings.kafka))


def causes(settings: DiagnoserSettings, count: int) -> Iterator[dict[str, object]]:
    """The first records of the topic."""
    consumer = Consumer({**settings.kafka.client_config(), "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition(CAUSES.full_name(settings.topic_prefix), 0, 0)])
    for each in consumer.consume(count, 60):
        yield dict(wire.decode_datum(each.value(), CAUSES.subject, Schemas()))
    consumer.close()


def committed_offset(settings: DiagnoserSettings) -> int:
    consumer = Consumer({**settings.kafka.client_config(), "group.id": settings.group})
    [place] = committed(consumer, [TopicPartition(RUNS.full_name(settings.topic_prefix), 0)], timeout_s=30)
    consumer.close()
    return int(place.offset)


def test_what_was_told_and_not_committed_is_told_again_and_shown_once(settings: DiagnoserSettings) -> None:
    with pytest.raises(Killed):
        process(settings, DiesAfterDelivery).run(Pulse("diagnoser", 60))
    assert committed_offset(settings) < 0, "the broker had the causes, and nothing said that the runs were done"

    second = process(settings, KafkaPublisher)
    thread = threading.Thread(target=second.run, args=(Pulse("diagnoser", 60),))
    thread.start()
    told = list(causes(settings, 2 * len(TOLD)))
    second.stop()
    thread.join(60)

    assert not thread.is_alive()
    assert committed_offset(settings) == 1
    assert len(told) == 2 * len(TOLD)
    shown = {each["run_id"]: each for each in sorted(told, key=lambda each: int(str(each["version"])))}
    assert shown.keys() == {run.run_id for run in TOLD}
    assert shown[TOLD[-1].run_id]["kind"] == "step_error"
