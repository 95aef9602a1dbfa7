"""Publishing and waiting: every record is acknowledged, or named as not; a full queue is waited for."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from causeline.kafka.publisher import NotDelivered, ProducerRecord, Publisher
from causeline.runtime.connections import KafkaConnection

pytestmark = pytest.mark.stack

MORE_THAN_A_QUEUE = 120_000
"""librdkafka's own queue holds 100,000 messages."""


@pytest.fixture
def topic(kafka: KafkaConnection) -> str:
    name = f"t{secrets.token_hex(6)}"
    admin = AdminClient({**kafka.client_config()})
    for made in admin.create_topics([NewTopic(name, 2, 1)]).values():
        made.result(30)
    return name


def test_each_record_stands_where_it_was_meant_with_its_key_and_headers(kafka: KafkaConnection, topic: str) -> None:
    publisher = Publisher(kafka, client_id="test")
    assert publisher.publish([]) == []
    records = [ProducerRecord(topic, b"%d" % n, b"key", 1, (("h", b"1"),)) for n in range(3)]
    assert publisher.publish(records) == [0, 1, 2]
    consumer = Consumer({**kafka.client_config(), "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 1, 0)])
    got = consumer.consume(3, 30)
    consumer.close()
    assert [(each.value(), each.key(), each.headers()) for each in got] == [
        (b"%d" % n, b"key", [("h", b"1")]) for n in range(3)
    ]


def test_a_full_queue_is_waited_for(kafka: KafkaConnection, topic: str) -> None:
    offsets = Publisher(kafka, client_id="test").publish([ProducerRecord(topic, b"x", partition=0)] * MORE_THAN_A_QUEUE)
    assert offsets == list(range(MORE_THAN_A_QUEUE))


def test_threads_do_not_hear_of_each_other_s_failures(kafka: KafkaConnection, topic: str) -> None:
    publisher = Publisher(kafka, client_id="test")
    good, bad = ProducerRecord(topic, b"x", partition=0), ProducerRecord(topic, b"x", partition=7)
    with ThreadPoolExecutor(2) as pool:
        fails, works = pool.submit(publisher.publish, [good, bad]), pool.submit(publisher.publish, [good] * 10)
        assert len(works.result()) == 10
        with pytest.raises(NotDelivered, match="1 of 2 messages: _UNKNOWN_PARTITION") as caught:
            fails.result()
    assert [offset is None for offset in caught.value.offsets] == [False, True]
