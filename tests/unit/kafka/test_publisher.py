"""Publishing without a broker: an error names what was not taken, and the way out."""

import pytest

from causeline.kafka.publisher import NotDelivered, ProducerRecord, Publisher
from causeline.runtime.connections import KafkaConnection


def test_a_broker_that_is_not_there_is_named() -> None:
    publisher = Publisher(KafkaConnection(bootstrap_servers="127.0.0.1:1"), client_id="test", timeout_s=0.2)
    with pytest.raises(NotDelivered, match="has not taken 2 of 2 messages") as caught:
        publisher.publish([ProducerRecord("t", b"x"), ProducerRecord("t", b"y")])
    assert caught.value.offsets == [None, None]
    assert "Kafka does not answer at 127.0.0.1:1" in str(caught.value.hint)
