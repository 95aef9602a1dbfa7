"""The worker on a real broker: joined, killed, rebalanced, and judged by what the broker says is committed."""

import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.kafka.preflight import check_topics
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import wire
from causeline.schemas.errors import EnvironmentFault, Unreachable
from causeline.schemas.events import Record
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.stack.waiting import wait_until
from causeline.streams.worker.rebuild import RunsReader
from tests.integration.streams.cluster import PARTITIONS, SCHEMAS, Cluster, run_ids
from tests.unit.streams.build import batch, event, run_id, whole_run

pytestmark = pytest.mark.stack


@pytest.fixture
def cluster(kafka: KafkaConnection, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(kafka, tmp_path)
    yield made
    made.close()


def interleaved_batches(first: int, count: int, *, seed: int, size: int = 20) -> list[bytes]:
    """The events of `count` runs, many of them open at a time, in batches."""
    choose = random.Random(seed)
    waiting = [whole_run(number) for number in range(first, first + count)]
    open_runs: list[list[Record]] = []
    events: list[Record] = []
    while waiting or open_runs:
        while waiting and len(open_runs) < 30:
            open_runs.append(waiting.pop(0))
        run = choose.choice(open_runs)
        events.append(run.pop(0))
        open_runs = [each for each in open_runs if each]
    return [batch(events[at : at + size]) for at in range(0, len(events), size)]


def test_interleaved_runs_are_joined_and_what_cannot_be_read_is_told(cluster: Cluster) -> None:
    sent = {partition: interleaved_batches(1 + 300 * partition, 300, seed=partition) for partition in range(PARTITIONS)}
    broken = b"\x00\x00\x0f\x42\x41\x02e\x06broken\x00"
    late = event("review_recorded", run=9000)
    with cluster.worker() as worker:
        for partition, values in sent.items():
            cluster.publish(partition, *values[:40], broken, None, *values[40:])
        cluster.publish(0, batch([late]), batch([event("evidence_checked", run=9001), *whole_run(9001)]))
        cluster.wait_until_drained()
        assert worker.listening_ports() == []
        assert worker.end(signal.SIGTERM) == 0
    runs = cluster.runs()
    assert run_ids(runs) == sorted([run_id(number) for number in range(1, 601)] + [run_id(9001)])
    assert {run["verdict"] for run in runs if run["run_id"] != run_id(9001)} == {"complete"}
    for message in cluster.messages("runs"):
        whole = wire.decode_datum(message.value(), "run-batch", SCHEMAS)
        assert whole["source_partition"] == message.partition(), "partition N of one is partition N of the other"
    letters = [wire.decode_datum(message.value(), "dead-letter", SCHEMAS) for message in cluster.messages("dead")]
    assert sorted((str(each["reason"]), each["partition"], each["offset"]) for each in letters) == [
        ("empty", 0, 41),
        ("empty", 1, 41),
        ("oversized", 0, 40),
        ("oversized", 1, 40),
    ]
    assert [message.key() for message in cluster.messages("gaps")] == [run_id(9001).encode()]
    (sent_on,) = cluster.messages("late")
    assert [
        each["event_id"] for each in wire.decode_items(wire.read_block(sent_on.value(), "trace-batch", SCHEMAS))
    ] == [late["event_id"]]


@pytest.mark.slow
def test_a_worker_killed_on_the_way_loses_no_run(cluster: Cluster) -> None:
    sent = interleaved_batches(1, 400, seed=7)
    with cluster.worker(instance="one") as worker:
        for at in range(0, len(sent) // 2, 10):
            cluster.publish(0, *sent[at : at + 10])
        wait_until(lambda: cluster.ends("runs")[0] > 0, timeout_s=60, what="the first runs to be published")
        worker.end(signal.SIGKILL)
    cluster.publish(0, *sent[len(sent) // 2 :])
    with cluster.worker(instance="one"):
        cluster.wait_until_drained()
    runs = cluster.runs()
    assert set(run_ids(runs)) == {run_id(number) for number in range(1, 401)}
    assert {run["verdict"] for run in runs} == {"complete"}
    assert cluster.messages("late") == []


@pytest.mark.slow
def test_workers_that_join_and_leave_lose_no_run(cluster: Cluster) -> None:
    sent = {partition: interleaved_batches(1 + 200 * partition, 200, seed=partition) for partition in range(PARTITIONS)}
    with cluster.worker() as first:
        for partition, values in sent.items():
            cluster.publish(partition, *values[:15])
        with cluster.worker():
            for partition, values in sent.items():
                cluster.publish(partition, *values[15:30])
            assert first.end(signal.SIGTERM) == 0
            for partition, values in sent.items():
                cluster.publish(partition, *values[30:])
            cluster.wait_until_drained()
    runs = cluster.runs()
    assert set(run_ids(runs)) == {run_id(number) for number in range(1, 401)}
    assert {run["verdict"] for run in runs} == {"complete"}


@pytest.mark.slow
def test_a_run_that_straddles_the_committed_offset_does_not_freeze_the_commits(cluster: Cluster) -> None:
    """Message 0 is committed; message 1 ends run 1, which is published, and begins run 2, which is open."""
    straddling, holder = whole_run(1), whole_run(2)
    with cluster.worker(instance="one") as worker:
        cluster.publish(0, batch(straddling[:2]), batch([*straddling[2:], *holder[:2]]))
        wait_until(lambda: cluster.committed()[0] == 1, timeout_s=60, what="message 0 to be committed")
        worker.end(signal.SIGKILL)
    cluster.publish(0, batch(holder[2:]))
    with cluster.worker(instance="one") as worker:
        cluster.wait_until_drained(timeout_s=60)
        assert "partition 0 from offset 1 on, 1 runs known as published" in worker.log
    assert run_ids(cluster.runs()) == [run_id(1), run_id(2)], "and run 1 is published once"
    assert cluster.messages("late") == [], "nor is its rest taken for a run without a start"


@pytest.mark.slow
def test_a_worker_with_nothing_to_do_stays(cluster: Cluster) -> None:
    """It starts where all is read and nothing comes, longer than a worker may stand still that has something to do."""
    cluster.publish(0, batch(whole_run(1)))
    with cluster.worker() as worker:
        cluster.wait_until_drained()
        assert worker.end(signal.SIGTERM) == 0
    with cluster.worker(stall_timeout_s=5) as worker:
        with pytest.raises(subprocess.TimeoutExpired):
            worker.process.wait(10)
        cluster.publish(0, batch(whole_run(2)))
        cluster.publish(1, batch(whole_run(3)))
        cluster.wait_until_drained()
        assert worker.end(signal.SIGTERM) == 0
    assert run_ids(cluster.runs()) == [run_id(1), run_id(2), run_id(3)]


@pytest.mark.slow
def test_messages_of_a_transactional_producer_are_read_and_committed_over_its_markers(cluster: Cluster) -> None:
    """Each transaction ends with a marker, which has an offset of its own: the first after the very first message, the
    last at the topic's end; and a run is open across some of them. One transaction is aborted.
    """
    values = [batch(whole_run(1)), batch([event("run_started", run=2)]), *(batch(whole_run(n)) for n in range(3, 40))]
    with cluster.worker(stall_timeout_s=5, idle_timeout_s=3) as worker:
        cluster.publish_in_transactions(0, values[:20])
        cluster.publish_in_transactions(0, [], aborted=[batch(whole_run(99))])
        cluster.publish_in_transactions(0, values[20:])
        cluster.wait_until_drained()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.process.wait(10)
        assert worker.end(signal.SIGTERM) == 0
    assert run_ids(cluster.runs()) == [run_id(n) for n in range(1, 40)], "and not what was aborted"
    assert cluster.committed() == cluster.ends(), "the markers too"


@pytest.mark.slow
def test_a_topic_that_is_made_again_is_read_from_its_start(cluster: Cluster) -> None:
    """Its new messages stand at offsets that were read before, and beyond; a run that was published comes again too."""
    with cluster.worker() as worker:
        cluster.publish(0, *(batch(whole_run(n)) for n in range(1, 20)))
        cluster.wait_until_drained()
        cluster.make_again("events")
        cluster.publish(0, *(batch(whole_run(n)) for n in range(101, 151)), batch([event("review_recorded", run=1)]))
        worker.wait_for_line("was deleted and made again")
        assert worker.process.wait(30) == 5
    with cluster.worker():
        cluster.wait_until_drained()
    assert set(run_ids(cluster.runs())) >= {run_id(n) for n in (*range(1, 20), *range(101, 151))}
    assert len(cluster.messages("late")) == 1, "and not taken for one that was counted"


def test_a_message_as_large_as_a_topic_takes_is_read(cluster: Cluster) -> None:
    """Between small ones: a client that reads a megabyte at a time must not go over it."""
    steps = [event("step_finished", run=2, seq=n, validation_errors=["r" * 20_000]) for n in range(1, 200)]
    large = batch([event("run_started", run=2), *steps, event("run_finished", run=2, seq=200)])
    assert MAX_MESSAGE_BYTES * 0.9 < len(large) < MAX_MESSAGE_BYTES
    cluster.publish(0, batch(whole_run(1)), large, batch(whole_run(3)))
    with cluster.worker():
        cluster.wait_until_drained()
    assert run_ids(cluster.runs()) == [run_id(1), run_id(2), run_id(3)]


def test_a_flood_of_unreadable_messages_stops_the_worker_and_says_why(cluster: Cluster) -> None:
    with cluster.worker(batch_messages=50) as worker:
        cluster.publish(0, *[b"\x01junk"] * 400)
        assert worker.process.wait(30) == 5
        assert "dead letters from the last" in worker.log
    assert sum(cluster.ends("dead")) <= 400


def test_the_done_map_is_read_back_no_further_than_it_matters(cluster: Cluster) -> None:
    with cluster.worker():
        cluster.publish(0, *(batch(whole_run(number)) for number in range(1, 31)))
        cluster.wait_until_drained()
    reader = RunsReader(cluster.kafka, cluster.name("runs"), SCHEMAS)
    try:
        done = reader.done_map(0, committed=25)
        assert len(done) == 5
        assert done.reach == 29
        assert len(reader.done_map(1, committed=0)) == 0
        cluster.publish(0, b"not a batch", topic="runs")
        assert len(reader.done_map(0, committed=25)) == 5, "what is not ours is passed over"
    finally:
        reader.close()


def test_a_worker_without_its_topics_says_how_to_make_them(cluster: Cluster) -> None:
    assert check_topics(cluster.kafka, cluster.prefix) == PARTITIONS
    with pytest.raises(EnvironmentFault, match=r"There is no topic nowhere\.events\.") as fault:
        check_topics(cluster.kafka, "nowhere")
    assert fault.value.hint == "Make the topics: causeline topics apply."


@pytest.mark.slow
def test_a_worker_without_kafka_says_so() -> None:
    with pytest.raises(Unreachable, match=r"Kafka does not answer at 127\.0\.0\.1:1\."):
        check_topics(KafkaConnection(bootstrap_servers="127.0.0.1:1"), "any")
