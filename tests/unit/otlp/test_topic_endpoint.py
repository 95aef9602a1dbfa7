"""The topic's door without a broker: what counts as read, what is read again, and what becomes a dead letter."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Message, TopicPartition
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from causeline.otlp.receiver.dead_letters import STAGE
from causeline.otlp.receiver.settings import KafkaEncoding, ReceiverSettings
from causeline.otlp.receiver.topic_endpoint import TopicEndpoint
from causeline.schemas import wire
from causeline.schemas.dead_letter import DeadLetter, dead_letter_value
from causeline.schemas.errors import Reason, Unreachable
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DEAD, MAX_MESSAGE_BYTES
from causeline.stack.waiting import wait_until
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question, as_json

TOPIC = "otlp_spans"


class Topic:
    """Partitions in memory; a member may have lost some of them."""

    def __init__(self, *values: bytes | None, partition: int = 0) -> None:
        self._log: dict[int, list[bytes | None]] = {partition: list(values)}
        self._at = dict.fromkeys(self._log, 0)
        self.stored: dict[int, int] = {}
        self.lost: set[int] = set()
        self.closed = False

    def add(self, partition: int, *values: bytes | None) -> None:
        self._log[partition] = list(values)
        self._at[partition] = 0

    def poll(self, timeout: float = 0) -> Message | None:
        return next(iter(self.consume(1)), None)

    def consume(self, num_messages: int = 1, timeout: float = 0) -> list[Message]:
        found: list[Message] = []
        for partition, log in self._log.items():
            while self._at[partition] < len(log) and len(found) < num_messages:
                offset = self._at[partition]
                found.append(Message(TOPIC, partition, offset, b"k", log[offset], timestamp=(1, 1_700_000_000_000)))
                self._at[partition] += 1
        return found

    def store_offsets(self, message: Message | None = None, offsets: list[TopicPartition] | None = None) -> None:
        for place in offsets or ():
            if place.partition in self.lost:
                raise KafkaException("Erroneous state")
            self.stored[place.partition] = place.offset

    def seek(self, partition: TopicPartition) -> None:
        self._at[partition.partition] = partition.offset

    def close(self) -> None:
        self.closed = True

    @property
    def is_read(self) -> bool:
        return all(self.stored.get(partition) == len(log) for partition, log in self._log.items())


class Cemetery:
    """Dead letters in memory."""

    def __init__(self) -> None:
        self.bad: list[DeadLetter] = []
        self.refusals = 0

    def bury(self, bad: Sequence[DeadLetter]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unreachable("Kafka did not take a dead letter.")
        self.bad += bad

    def close(self) -> None:
        return


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, ReceiverSettings(durable_timeout_s=0.2))


async def read_all(reader: TopicEndpoint, topic: Topic) -> None:
    """Serve until all is read, then stop."""
    serving = asyncio.create_task(reader.serve())
    await until(lambda: topic.is_read or serving.done(), "the topic is not read")
    reader.stop()
    await serving


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait beside the door for a condition."""
    await asyncio.to_thread(wait_until, condition, timeout_s=60, what=what, interval_s=0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causeline.otlp.receiver.topic_endpoint._REST_S", (0.01,))


def serve(door: Door, topic: Topic, dead: Cemetery, settings: ReceiverSettings | None = None) -> None:
    async def all_of_it() -> None:
        await read_all(TopicEndpoint(settings or door.settings, door.intake, topic, dead), topic)

    try:
        asyncio.run(all_of_it())
    finally:
        door.close()


def question() -> tuple[Recorded, str]:
    app = Recorded()
    return app, answer_a_question(app)


def test_a_message_is_a_request(door: Door) -> None:
    app, trace = question()
    topic, dead = Topic(app.body(*app.spans[:2]), app.body(*app.spans[2:])), Cemetery()
    topic.add(1, app.body())
    serve(door, topic, dead)
    assert set(door.runs) == {trace}
    assert topic.stored == {0: 2, 1: 1}
    assert topic.closed
    assert not dead.bad


def test_json_is_read_where_the_encoding_says_so(door: Door) -> None:
    app, trace = question()
    topic, dead = Topic(as_json(app.request()), app.body()), Cemetery()
    serve(door, topic, dead, ReceiverSettings(kafka_encoding=KafkaEncoding.JSON, durable_timeout_s=0.2))
    assert set(door.runs) == {trace}
    assert [each.value for each in dead.bad] == [app.body()]


def test_nothing_counts_as_read_that_the_broker_does_not_have(door: Door) -> None:
    app, trace = question()
    topic, dead = Topic(app.body()), Cemetery()
    door.transport.answers.clear()

    async def refused_then_taken() -> None:
        reader = TopicEndpoint(door.settings, door.intake, topic, dead)
        serving = asyncio.create_task(reader.serve())
        await until(lambda: door.intake.counts.refused >= 2, "nothing is refused")
        assert topic.stored in ({}, {0: 0})
        assert not dead.bad
        door.transport.answers.set()
        await until(lambda: topic.is_read, "it is not read after the outage")
        reader.stop()
        await serving

    try:
        asyncio.run(refused_then_taken())
    finally:
        door.transport.answers.set()
        door.close()
    assert set(door.runs) == {trace}


def test_poison_becomes_dead_letters_and_stops_nothing(door: Door) -> None:
    app, trace = question()
    twisted = ExportTraceServiceRequest.FromString(app.body())
    twisted.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    partly = twisted.SerializeToString()
    too_large = b"\0" * 4096
    topic, dead = Topic(b"\xff\xffpoison", None, too_large, partly, app.body()), Cemetery()
    serve(door, topic, dead, ReceiverSettings(max_body_bytes=4000, durable_timeout_s=0.2))
    assert set(door.runs) == {trace}
    buried = {each.offset: (each.reason, each.value, each.key) for each in dead.bad}
    assert buried == {
        0: (Reason.CORRUPT, b"\xff\xffpoison", b"k"),
        1: (Reason.EMPTY, b"", b"k"),
        2: (Reason.OVERSIZED, too_large, b"k"),
        3: (Reason.INVALID_EVENT, partly, b"k"),
    }
    assert dead.bad[-1].produced_at == 1_700_000_000_000_000
    assert door.intake.counts.buried == 4


def test_what_breaks_the_decoder_is_buried_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    app, trace = question()
    topic, dead = Topic(b"deep", app.body()), Cemetery()
    take = door.intake.take

    async def broken(body: bytes, read: object) -> object:
        if body == b"deep":
            raise RecursionError
        return await take(body, read)  # type: ignore[arg-type] # as it came

    monkeypatch.setattr(door.intake, "take", broken)
    serve(door, topic, dead)
    assert [(each.offset, each.reason) for each in dead.bad] == [(0, Reason.CORRUPT)]
    assert "RecursionError" in dead.bad[0].detail
    assert set(door.runs) == {trace}


def test_a_message_whose_letter_is_not_taken_is_read_again(door: Door) -> None:
    app, trace = question()
    topic, dead = Topic(b"\xffpoison", app.body()), Cemetery()
    dead.refusals = 2
    serve(door, topic, dead)
    assert [each.offset for each in dead.bad] == [0]
    assert set(door.runs) == {trace}
    assert door.intake.counts.messages > 2


def test_a_partition_that_went_to_another_member_stops_nothing(door: Door) -> None:
    app, trace = question()
    topic, dead = Topic(app.body(), partition=1), Cemetery()
    topic.add(0, app.body())
    topic.lost = {1}

    async def until_the_other_is_read() -> None:
        reader = TopicEndpoint(door.settings, door.intake, topic, dead)
        serving = asyncio.create_task(reader.serve())
        await until(lambda: topic.stored.get(0) == 1 or serving.done(), "the other partition is not read")
        reader.stop()
        await serving

    try:
        asyncio.run(until_the_other_is_read())
    finally:
        door.close()
    assert set(door.runs) == {trace}


def test_the_letter_has_the_bytes_and_one_id_however_often_it_is_written() -> None:
    large = b"x" * (MAX_MESSAGE_BYTES + 1)
    bad = DeadLetter(STAGE, TOPIC, 3, 14, b"k" * 5000, large, Reason.CORRUPT, "No request.", None)

    def read(at: int) -> dict[str, object]:
        value = dead_letter_value(bad, at, Schemas())
        assert len(value) < MAX_MESSAGE_BYTES
        return dict(wire.decode_datum(value, DEAD.subject, Schemas()))

    first, second = read(1), read(2)
    assert first["dead_id"] == second["dead_id"]
    kept = first["value"]
    assert isinstance(kept, bytes)
    assert large.startswith(kept)
    assert f"the first {len(kept)} of its {len(large)} bytes" in str(first["detail"])
    assert (first["stage"], first["topic"], first["partition"], first["offset"]) == ("receiver", TOPIC, 3, 14)
