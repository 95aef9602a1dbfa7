"""What the Kafka client says goes wrong becomes a sentence with the way out; a client broken for good is replaced."""

import gc
import weakref

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.transport import KafkaTransport, QueueFull
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import UsageError


class FakeProducer:
    """A client whose next call fails with `error`."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.produced: list[bytes] = []

    def produce(self, _topic: str, value: bytes, **_options: object) -> None:
        if self.error is not None:
            raise self.error
        self.produced.append(value)

    def purge(self) -> None:
        self.produced.clear()

    def flush(self, _timeout_s: float) -> int:
        return 0


class Scripted(KafkaTransport):
    """A transport over the clients of a script, one after the other."""

    def __init__(self, *clients: FakeProducer) -> None:
        self.clients = list(clients)
        super().__init__(KafkaConnection(), EmitterSettings(), "causeline.events")

    def _new_producer(self) -> Producer:
        return self.clients.pop(0)  # type: ignore[return-value]


def test_a_client_that_failed_for_good_is_replaced() -> None:
    broken = FakeProducer(KafkaException(KafkaError(KafkaError._FATAL, "out of order", fatal=True)))
    fresh = FakeProducer(None)
    transport = Scripted(broken, fresh)
    told: list[str | None] = []
    transport.send(0, b"first", told.append)
    assert len(told) == 1
    assert told[0]
    transport.send(0, b"second", told.append)
    assert fresh.produced == [b"second"]
    assert len(told) == 1


def test_an_abandoned_client_is_never_destroyed() -> None:
    client = FakeProducer(None)
    alive = weakref.ref(client)
    transport = Scripted(client)
    transport.abandon()
    del client, transport
    gc.collect()
    assert alive() is not None


def test_a_client_that_is_full_says_so() -> None:
    with pytest.raises(QueueFull):
        Scripted(FakeProducer(BufferError())).send(0, b"x", lambda _: None)


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (KafkaError._UNKNOWN_TOPIC, "causeline topics apply"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "causeline topics apply"),
        (KafkaError._ALL_BROKERS_DOWN, "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"),
        (KafkaError._MSG_TIMED_OUT, "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"),
        (KafkaError.SASL_AUTHENTICATION_FAILED, "CAUSELINE_KAFKA_SASL_"),
        (KafkaError._SSL, "CAUSELINE_KAFKA_SSL_"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "the right to write"),
        (KafkaError.MSG_SIZE_TOO_LARGE, "causeline topics apply"),
        (KafkaError._UNKNOWN_PARTITION, "new number"),
        (KafkaError.INVALID_RECORD, "causeline topics apply"),
    ],
)
def test_an_error_names_the_way_out(code: int, way_out: str) -> None:
    told: list[str | None] = []
    Scripted(FakeProducer(KafkaException(KafkaError(code)))).send(0, b"x", told.append)
    assert told[0] is not None
    assert way_out in told[0]
    assert told[0].endswith((".", "?"))


def test_settings_come_from_the_environment() -> None:
    settings = EmitterSettings.from_environment(
        {"CAUSELINE_EMITTER_BATCH_EVENTS": "10", "CAUSELINE_TOPIC_PREFIX": "mine", "CAUSELINE_EMITTER_BATCH_AGE_S": ""}
    )
    assert settings == EmitterSettings(batch_events=10, topic_prefix="mine")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("BATCH_EVENTS", "0"), ("BATCH_AGE_S", "nan"), ("COMPRESSION", "brotli"), ("BUFFER_EVENTS", "many")],
)
def test_a_setting_that_cannot_be_meant_is_named(variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"CAUSELINE_EMITTER_{variable}: "):
        EmitterSettings.from_environment({f"CAUSELINE_EMITTER_{variable}": value})
