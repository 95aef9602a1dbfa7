"""The emitter gathers, bounds, sends, sends again and counts; its caller never waits."""

import asyncio
import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.stats import Counters, Left
from causeline.producers.emitter.transport import Delivered, Permanent
from causeline.schemas import ids
from causeline.schemas.events import EVENT_MODELS, StepFinished, TraceEvent, from_record
from causeline.schemas.partition import partition_of
from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.schemas.wire.writer import RunWriter
from causeline.stack.waiting import wait_until
from tests.unit.producers.recording import QUICK, RecordingTransport, decode, emitting
from tests.unit.schemas import strategies

RUN = "a" * 32


def item(run_id: str = RUN, seq: int = 0, **fields: object) -> tuple[str, str, bytes]:
    writer = RunWriter(run_id=run_id, project="p", workflow="w", emitter_id="e", run_started_at=1)
    event_id = ids.new_event_id()
    encoded = writer.encode(EventType.RUN_STARTED, event_id=event_id, seq=seq, occurred_at=2, fields=fields)
    return run_id, event_id, encoded


def has_sent(transport: RecordingTransport, batches: int) -> bool:
    return len(transport.sent) == batches


def test_each_event_arrives_once_in_the_partition_of_its_run_and_in_order() -> None:
    transport = RecordingTransport(partitions=7)
    runs = [ids.new_run_id() for _ in range(20)]
    with emitting(transport) as emitter:
        for seq, run_id in itertools.product(range(30), runs):
            assert emitter.emit(*item(run_id, seq))
        assert not emitter.flush()
    for partition, value in transport.sent:
        assert {partition_of(str(record["run_id"]), 7) for record in decode(value)} == {partition}
    for run_id in runs:
        assert [event["seq"] for event in transport.events() if event["run_id"] == run_id] == list(range(30))


@settings(max_examples=60, deadline=None)
@given(st.lists(strategies.any_event(), min_size=1, max_size=12))
def test_what_is_emitted_is_what_is_read(events: list[TraceEvent]) -> None:
    transport = RecordingTransport()
    with emitting(transport) as emitter:
        assert all(emitter.emit_event(event) for event in events)
    read = [from_record(record) for record in transport.events()]
    assert sorted(read, key=repr) == sorted(events, key=repr)


@pytest.mark.parametrize("kind", EventType)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_type_of_event_comes_back_equal(kind: EventType, data: st.DataObject) -> None:
    event = data.draw(strategies.any_event(kind))
    transport = RecordingTransport()
    with emitting(transport) as emitter:
        emitter.emit_event(event)
    (read,) = transport.events()
    assert type(from_record(read)) is EVENT_MODELS[kind]
    assert from_record(read) == event


def test_a_batch_is_closed_by_its_number_of_events() -> None:
    transport = RecordingTransport(partitions=1)
    patient = EmitterSettings(batch_events=10, batch_age_s=60)
    with emitting(transport, patient) as emitter:
        emitter.emit(*item())
        wait_until(lambda: transport.sent, timeout_s=60, what="the number of partitions to be known")
        for seq in range(25):
            emitter.emit(*item(seq=seq))
        wait_until(lambda: len(transport.sent) >= 3, timeout_s=60, what="full batches to be sent")
        assert [len(decode(value)) for _, value in transport.sent] == [1, 10, 10]


def test_a_batch_is_closed_by_its_size() -> None:
    transport = RecordingTransport(partitions=1)
    patient = EmitterSettings(batch_bytes=1024, batch_age_s=60)
    with emitting(transport, patient) as emitter:
        emitter.emit(*item())
        wait_until(lambda: transport.sent, timeout_s=60, what="the number of partitions to be known")
        emitter.emit(*item(input_ref="a:" + "r" * 2000))
        wait_until(lambda: len(transport.sent) == 2, timeout_s=60, what="the large batch to be sent")


def test_a_batch_is_closed_by_its_age() -> None:
    transport = RecordingTransport()
    with emitting(transport) as emitter:
        for sent in range(3):
            emitter.emit(*item())
            wait_until(partial(has_sent, transport, sent + 1), timeout_s=60, what="a lone event to be sent")


def test_events_wait_for_the_number_of_partitions() -> None:
    transport = RecordingTransport(partitions=None)
    with emitting(transport) as emitter:
        for seq in range(600):
            assert emitter.emit(*item(seq=seq))
        wait_until(lambda: emitter.stats().last_error, timeout_s=60, what="the missing topic to be told")
        assert emitter.stats().last_error == "The topic does not exist; `causeline topics apply` makes it."
        assert emitter.flush(0.01) == Left(events=600, batches=1)
        transport.count = 4
        assert not emitter.flush()
    assert [event["seq"] for event in transport.events()] == list(range(600))


class Stalled(RecordingTransport):
    """Hangs in every call until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def partitions(self, timeout_s: float) -> int | None:
        self.go.wait(30)
        return super().partitions(timeout_s)

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        self.go.wait(30)
        super().send(partition, value, delivered)


@pytest.mark.parametrize("known", [False, True], ids=["looking-up", "sending"])
def test_the_caller_does_not_wait_for_a_hanging_broker(known: bool) -> None:
    transport = Stalled()
    with emitting(transport) as emitter:
        if known:
            transport.go.set()
            emitter.emit(*item())
            assert not emitter.flush()
            transport.go.clear()
        prepared = [item() for _ in range(2000)]
        started = time.monotonic()
        for each in prepared:
            emitter.emit(*each)
        assert time.monotonic() - started < 2
        transport.go.set()
        assert not emitter.flush()
        assert len(transport.events()) == 2000 + known


def test_a_full_buffer_drops_the_newest_and_counts_it() -> None:
    transport = RecordingTransport()
    transport.answers.clear()
    with emitting(transport, EmitterSettings(buffer_events=5)) as emitter:
        assert [emitter.emit(*item(seq=seq)) for seq in range(8)] == [True] * 5 + [False] * 3
        assert emitter.stats().dropped == 3
        assert emitter.stats().waiting == 5
        transport.answers.set()
        assert not emitter.flush(60)
        assert emitter.emit(*item(seq=9)), "there is room again"
    assert [event["seq"] for event in transport.events()] == [0, 1, 2, 3, 4, 9]


def test_a_buffer_is_full_by_its_bytes_too() -> None:
    transport = RecordingTransport()
    transport.answers.clear()
    large = item(input_ref="a:" + "r" * 2000)
    with emitting(transport, EmitterSettings(buffer_bytes=3 * len(large[2]))) as emitter:
        assert [emitter.emit(*large) for _ in range(4)] == [True, True, True, False]


def test_a_failed_batch_is_sent_again() -> None:
    transport = RecordingTransport()
    transport.errors = ["The broker was away."]
    with emitting(transport) as emitter:
        emitter.emit(*item())
        assert not emitter.flush(60)
        stats = emitter.stats()
    assert (stats.delivered, stats.lost, stats.last_error) == (1, 0, "The broker was away.")
    assert len(transport.events()) == 1


def test_a_batch_that_fails_for_good_is_counted_as_lost() -> None:
    transport = RecordingTransport()
    transport.errors = [Permanent("The broker finds the batch invalid.")] * 2
    told: list[str] = []
    twice = QUICK.model_copy(update={"delivery_attempts": 2})
    emitter = Emitter(twice, transport=lambda: transport, on_delivered=told.extend)
    lost, kept = item(), item()
    emitter.emit(*lost)
    assert not emitter.flush(60), "what is given up is not left"
    emitter.emit(*kept)
    assert not emitter.close(60)
    stats = emitter.stats()
    assert (stats.accepted, stats.delivered, stats.lost, stats.waiting) == (2, 1, 1, 0)
    assert told == [kept[1]]


def test_a_broker_that_takes_nothing_for_long_costs_no_event_while_there_is_room() -> None:
    """The memory's bounds hold what the broker cannot take, and not a number of attempts."""
    transport = RecordingTransport()
    transport.errors = ["The broker's disk is full."] * 12
    with emitting(transport, QUICK.model_copy(update={"delivery_attempts": 1, "batch_events": 10})) as emitter:
        for seq in range(100):
            assert emitter.emit(*item(seq=seq))
        assert not emitter.flush(30)
        assert (emitter.stats().delivered, emitter.stats().lost) == (100, 0)
    assert sorted(int(str(read["seq"])) for read in transport.events()) == list(range(100))


def test_a_batch_whose_partition_is_gone_goes_by_the_new_number() -> None:
    transport = RecordingTransport(partitions=8)
    with emitting(transport) as emitter:
        emitter.emit(*item())
        assert not emitter.flush(60)
        run_id = next(run for run in iter(ids.new_run_id, "") if partition_of(run, 8) == 7)
        transport.count = 2
        emitter.emit(*item(run_id))
        assert not emitter.flush(60)
        assert emitter.stats().lost == 0
    assert transport.sent[-1][0] == partition_of(run_id, 2)


def test_a_batch_that_is_too_large_for_the_topic_is_split_and_only_a_single_event_can_be_lost() -> None:
    transport = RecordingTransport(partitions=1)
    transport.most_bytes = 1000
    emitter = Emitter(QUICK.model_copy(update={"batch_age_s": 30}), transport=lambda: transport)
    small, large = [item(seq=seq) for seq in range(200)], item(seq=200, input_ref="a:" + "r" * 1500)
    for each in (*small[:100], large, *small[100:]):
        emitter.emit(*each)
    assert not emitter.flush(60)
    stats = emitter.stats()
    assert (stats.delivered, stats.lost, stats.waiting) == (200, 1, 0)
    assert sorted(int(str(read["seq"])) for read in transport.events()) == list(range(200))
    assert stats.last_invalid == (f"event {large[1]} of run {RUN} has {len(large[2])} bytes, too many for the topic.",)
    for each in small:
        emitter.emit(*each)
    refused_before = stats.batches
    assert not emitter.flush(60)
    assert emitter.stats().batches - refused_before > 10, "what comes later is gathered no larger than the topic takes"
    assert not emitter.close()


@pytest.mark.parametrize("error", [OSError("the ledger's disk is full"), asyncio.CancelledError(), SystemExit(1)])
def test_a_hook_that_fails_does_not_stop_emission(caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    def hook(_event_ids: Sequence[str]) -> None:
        raise error

    transport = RecordingTransport()
    emitter = Emitter(QUICK, transport=lambda: transport, on_delivered=hook)
    for _ in range(2):
        emitter.emit(*item())
        assert not emitter.flush(60)
    emitter.close()
    assert emitter.stats().delivered == 2
    assert "The on_delivered hook failed." in caplog.messages


def test_a_client_that_cannot_be_made_is_told_and_tried_again() -> None:
    transport = RecordingTransport()
    attempts = itertools.count()

    def make() -> RecordingTransport:
        if next(attempts) == 0:
            raise ValueError("ssl.ca.location: no such file")
        return transport

    emitter = Emitter(QUICK, transport=make)
    emitter.emit(*item())
    wait_until(lambda: emitter.stats().last_error, timeout_s=60, what="the fault to be told")
    assert emitter.stats().last_error == "The Kafka client cannot be used: ssl.ca.location: no such file."
    assert not emitter.close(60)
    assert emitter.stats().delivered == 1


def test_a_client_that_raises_loses_no_count() -> None:
    class Raising(RecordingTransport):
        def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
            raise RuntimeError("no handle")

    transport = Raising()
    emitter = Emitter(QUICK, transport=lambda: transport)
    emitter.emit(*item())
    wait_until(lambda: emitter.stats().last_error, timeout_s=60, what="the fault to be told")
    assert emitter.stats().last_error == "A batch could not be handed to the Kafka client: no handle."
    assert (emitter.stats().lost, emitter.stats().waiting) == (0, 1)
    assert emitter.close(0).events == 1


def test_a_full_client_is_waited_for() -> None:
    transport = RecordingTransport()
    transport.room = 1
    with emitting(transport, EmitterSettings(batch_events=1)) as emitter:
        for seq in range(50):
            emitter.emit(*item(ids.new_run_id(), seq))
        assert not emitter.flush(60)
    assert len(transport.events()) == 50


def test_flush_says_what_is_left_and_close_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    transport = RecordingTransport(partitions=1)
    transport.answers.clear()
    emitter = Emitter(QUICK, transport=lambda: transport)
    for _ in range(3):
        emitter.emit(*item())
    left = emitter.flush(0.2)
    assert (left.events, bool(left)) == (3, True)
    assert emitter.close(0.2).events == 3
    assert emitter.close(0.2) == Left()
    assert transport.closed
    assert any(message.startswith("3 events in") for message in caplog.messages)
    assert not emitter.emit(*item()), "a closed emitter takes nothing"
    assert emitter.stats().dropped == 1
    assert emitter.stats().lost == 3


def test_flush_does_not_wait_for_what_comes_after_it() -> None:
    transport = RecordingTransport()
    with emitting(transport, EmitterSettings(batch_age_s=60)) as emitter, ThreadPoolExecutor(1) as pool:
        emitter.emit(*item())
        assert not emitter.flush(60)
        transport.patience = 0
        emitter.emit(*item())
        flushing = pool.submit(emitter.flush, 60)
        wait_until(lambda: transport.under_way == 1, timeout_s=60, what="flush to hurry the batch")
        emitter.emit(*item())
        transport.patience = 1
        assert flushing.result(10) == Left(events=1, batches=1)
        transport.patience = 10


def test_many_threads_emit_at_once() -> None:
    transport = RecordingTransport()
    with emitting(transport) as emitter:

        def emit_some() -> None:
            for seq in range(300):
                emitter.emit(*item(ids.new_run_id(), seq))

        threads = [threading.Thread(target=emit_some) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not emitter.flush()
        stats = emitter.stats()
    assert (stats.accepted, stats.delivered) == (2400, 2400)
    assert set(Counter(event["event_id"] for event in transport.events()).values()) == {1}


def test_an_event_may_be_emitted_in_the_midst_of_emitting_another() -> None:
    """As a finaliser or a signal handler does, which may run anywhere in the thread that they interrupt."""
    transport = RecordingTransport()
    with emitting(transport) as emitter:
        inner = item(seq=1)

        class Interrupted(bytes):
            def __len__(self) -> int:
                if emitter.stats().accepted == 0:
                    assert emitter.emit(*inner)
                    assert emitter.stats().accepted == 0, "it is put aside"
                return super().__len__()

        run_id, event_id, encoded = item(seq=0)
        emitter.emit(run_id, event_id, Interrupted(encoded))
        assert not emitter.flush()
    assert [event["seq"] for event in transport.events()] == [0, 1]


def test_events_of_a_topic_that_has_grown_go_by_its_new_number() -> None:
    transport = RecordingTransport(partitions=4)
    with emitting(transport) as emitter:
        emitter.emit(*item())
        assert not emitter.flush()
        transport.count, transport.errors = 1, ["The topic has no such partition."]
        emitter.emit(*item())
        wait_until(lambda: emitter.stats().last_error, timeout_s=60, what="the batch to be refused")
        runs = [ids.new_run_id() for _ in range(8)]
        wait_until(lambda: emitter._buffer.partitions == 1, timeout_s=60, what="the topic to be looked up again")
        for run_id in runs:
            emitter.emit(*item(run_id))
        emitter.flush(10)
    arrived = {str(event["run_id"]) for event in transport.events()}
    assert set(runs) <= arrived


def test_an_event_over_the_limit_is_counted_by_itself() -> None:
    transport = RecordingTransport()
    event = StepFinished.checked(
        event_id="b" * 32,
        run_id=RUN,
        project="p",
        workflow="w",
        emitter_id="e",
        seq=0,
        run_started_at=1,
        occurred_at=2,
        started_at=1,
        step_id="c" * 16,
        step_name="n",
        step_kind=StepKind.RETRIEVE,
        status=Status.OK,
        context_refs=("a:" + "r" * 2046,) * 200,
    )
    with emitting(transport) as emitter:
        assert not emitter.emit_event(event)
        stats = emitter.stats()
    assert (stats.too_large, stats.invalid, stats.accepted) == (1, 0, 0)


def test_one_line_a_minute_tells_of_faults(caplog: pytest.LogCaptureFixture) -> None:
    now = [1000.0]
    counters = Counters(logging.getLogger("causeline.test"), lambda: now[0])
    for _ in range(500):
        counters.unpublished("invalid", "step_finished: route: is too long.")
        now[0] += 0.125
    said = "An event was not published: step_finished: route: is too long."
    assert caplog.messages == [said, f"{said} (479 more since the last such line)"]
    stats = counters.snapshot()
    assert stats.invalid == 500
    assert len(stats.last_invalid) == 10
