"""Where causes go: the topic, and the wait for the broker to have them."""

from causeline.kafka.publisher import Gathering, ProducerRecord
from causeline.runtime.connections import KafkaConnection


class KafkaPublisher(Gathering):
    """The topic of causes; what is handed over is sent when it is to be delivered."""

    def __init__(self, connection: KafkaConnection, topic: str, *, timeout_s: float) -> None:
        self._topic = topic
        super().__init__(connection, client_id="causeline-diagnoser", timeout_s=timeout_s)

    def publish(self, partition: int, key: bytes, value: bytes) -> None:
        """See `diagnoser.Publisher`."""
        self.add(ProducerRecord(self._topic, value, key, partition))
