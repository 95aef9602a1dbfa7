"""The emitter gathers, bounds, retries and counts; its caller never waits."""

import logging
import os
import threading

import pytest

from causeline.producers.batches import Gatherer
from causeline.producers.emitter import Emitter
from causeline.producers.stats import Left, RateLimitedLog
from causeline.schemas import ids, wire
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from tests.unit.producers.recording import RecordingTransport, emitter_over

ITEM = b"x" * 100


def _emit(emitter: Emitter, count: int, run_id: str | None = None) -> list[str]:
    event_ids = [ids.new_event_id() for _ in range(count)]
    for event_id in event_ids:
        emitter.emit(run_id or ids.new_run_id(), event_id, ITEM)
    return event_ids


def test_events_of_a_run_go_to_its_partition_in_order() -> None:
    transport = RecordingTransport(partitions=8)
    gathered = Gatherer(batch_events=1000, batch_bytes=10**6, batch_age_s=1)
    gathered.partitions_are(8, 0)
    run_ids = [ids.new_run_id() for _ in range(50)]
    for n in range(10):
        for run_id in run_ids:
            gathered.add(run_id, f"{run_id}{n}", ITEM, 0)

    for batch in gathered.take_all():
        assert {partition_of(event_id[:32], 8) for event_id in batch.event_ids} == {batch.partition}
        for run_id in run_ids:
            numbers = [event_id[32:] for event_id in batch.event_ids if event_id.startswith(run_id)]
            assert numbers == sorted(numbers)
    assert transport.sent == []


@pytest.mark.parametrize(("events", "size", "batches"), [(10, 10**6, 10), (1000, 1024, 10), (1000, 10**6, 1)])
def test_a_batch_closes_when_it_is_many_or_large(events: int, size: int, batches: int) -> None:
    gathered = Gatherer(batch_events=events, batch_bytes=size, batch_age_s=60)
    gathered.partitions_are(1, 0)

    full = [batch for n in range(100) if (batch := gathered.add("a" * 32, str(n), ITEM, 0))]

    assert len(full + gathered.take_all()) == batches


def test_a_batch_closes_when_it_is_old_and_not_before() -> None:
    gathered = Gatherer(batch_events=1000, batch_bytes=10**6, batch_age_s=0.05)
    gathered.partitions_are(1, 0)
    gathered.add("a" * 32, "1", ITEM, 10.0)

    assert gathered.next_due_s() == pytest.approx(10.05)
    assert gathered.take_old(10.049) == []
    assert len(gathered.take_old(10.051)) == 1
    assert gathered.next_due_s() is None


def test_what_is_emitted_is_delivered_once_and_told_by_batch() -> None:
    told: list[str] = []
    transport = RecordingTransport()
    emitter = emitter_over(transport, on_delivered=told.extend)

    event_ids = _emit(emitter, 1000)

    assert not emitter.close(5)
    assert sorted(told) == sorted(event_ids)
    assert sum(wire.read_block(value, "trace-batch", Schemas()).count for _, value in transport.sent) == 1000
    stats = emitter.stats()
    assert (stats.accepted, stats.delivered, stats.waiting, stats.lost) == (1000, 1000, 0, 0)
    assert transport.closed


def test_a_batch_that_fails_is_sent_again_and_then_given_up() -> None:
    transport = RecordingTransport(partitions=1, fail_first=2)
    emitter = emitter_over(transport, delivery_attempts=3)
    _emit(emitter, 10)
    assert not emitter.close(5)
    assert emitter.stats().delivered == 10

    hopeless = emitter_over(RecordingTransport(partitions=1, fail_first=3), delivery_attempts=3)
    _emit(hopeless, 10)
    assert not hopeless.flush(5)
    stats = hopeless.stats()
    assert (stats.delivered, stats.lost, stats.waiting) == (0, 10, 0)
    assert stats.last_error == "A batch was not delivered: planted."
    hopeless.close()


def test_a_full_transport_is_waited_for_by_the_thread_and_not_by_the_caller() -> None:
    transport = RecordingTransport(partitions=1, room=1)
    emitter = emitter_over(transport, batch_events=1)

    _emit(emitter, 50)

    assert not emitter.close(5)
    assert len(transport.sent) == 50


def test_a_full_buffer_drops_the_newest_and_counts_it() -> None:
    transport = RecordingTransport(partitions=None)
    emitter = emitter_over(transport, buffer_events=10)

    _emit(emitter, 15)

    stats = emitter.stats()
    assert (stats.accepted, stats.dropped, stats.waiting) == (10, 5, 10)
    transport.count = 4
    assert not emitter.close(5)
    assert emitter.stats().delivered == 10


def test_bytes_are_bounded_too() -> None:
    emitter = emitter_over(RecordingTransport(partitions=None), buffer_bytes=1024)

    _emit(emitter, 15)

    assert emitter.stats().accepted == 10
    emitter.close(0)


def test_close_says_what_is_left_and_logs_the_way_out(caplog: pytest.LogCaptureFixture) -> None:
    emitter = emitter_over(RecordingTransport(partitions=None))
    _emit(emitter, 7)

    with caplog.at_level(logging.WARNING):
        assert emitter.flush(0.3) != Left()
        left = emitter.close(0)

    assert (left.events, left.batches) == (7, 1)
    assert "7 events" in caplog.text
    assert "causeline topics apply" in caplog.text
    assert emitter.emit("a" * 32, "b" * 32, ITEM) is False
    assert emitter.close(0) == Left()


def test_a_hook_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("planted")

    emitter = emitter_over(RecordingTransport(), on_delivered=broken)
    _emit(emitter, 10)

    with caplog.at_level(logging.ERROR):
        assert not emitter.close(5)
    assert emitter.stats().delivered == 10
    assert "on_delivered hook failed" in caplog.text


def test_many_threads_emit_at_once() -> None:
    told: list[str] = []
    emitter = emitter_over(RecordingTransport(), on_delivered=told.extend)
    threads = [threading.Thread(target=_emit, args=(emitter, 500)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not emitter.close(10)
    assert len(set(told)) == len(told) == 4000


def test_a_forked_child_is_an_emitter_of_its_own() -> None:
    transport = RecordingTransport(partitions=None)
    emitter = emitter_over(transport)
    _emit(emitter, 5)
    parent_id = emitter.emitter_id
    read_end, write_end = os.pipe()

    child = os.fork()
    if child == 0:
        transport.count = 4
        stats = emitter.stats()
        _emit(emitter, 3)
        left = emitter.close(5)
        said = f"{emitter.emitter_id != parent_id} {stats.accepted} {left.events} {emitter.stats().delivered}"
        os.write(write_end, said.encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)

    assert os.read(read_end, 100) == b"True 0 0 3"
    os.close(read_end)
    transport.count = 4
    assert not emitter.close(5)
    assert emitter.stats().delivered == 5


def test_complaints_of_one_kind_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = RateLimitedLog(logging.getLogger("test"), lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            log.complain("kind", "said %s", "x")
        log.complain("other", "other")
        now[0] = 60.0
        log.complain("kind", "said %s", "y")

    assert [record.getMessage() for record in caplog.records] == [
        "said x",
        "other",
        "said y (99 more since the last such line)",
    ]
