"""While the broker is away events go to the disk, and from there to the broker, by this process or the next."""

import itertools
import logging
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.producers.emitter.batches import Batch
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.outage import Outage
from causeline.producers.emitter.segments import Segment, segments_in
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.spool import Spool
from causeline.producers.emitter.stats import Counters
from causeline.producers.tracer import Tracer
from causeline.schemas import catalogue, wire
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.ids import new_run_id
from causeline.schemas.losses import LOSS_STEP, LOST_EVENTS
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.writer import RunWriter
from causeline.stack.waiting import wait_until
from tests.unit.producers.recording import QUICK, RecordingTransport

ROOT = Path(__file__).parents[4]
RUN = "a" * 32


def event(run_id: str = RUN, seq: int = 0, size: int = 10) -> tuple[str, str, bytes]:
    writer = RunWriter(run_id=run_id, project="p", workflow="w", emitter_id="e", run_started_at=1)
    event_id, item = writer.write(
        EventType.RUN_STARTED, seq=seq, occurred_at=10**15, fields={"input_ref": "a:" + "r" * size}
    )
    return run_id, event_id, item


def spooling(folder: Path, **more: object) -> EmitterSettings:
    return QUICK.model_copy(update={"spool": folder, "spool_after_s": 0.05, "batch_events": 10, **more})


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def silent(_: str) -> None:
    """No fault is expected that a test does not look at."""


# --- segments


@settings(max_examples=50)
@given(st.lists(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5), max_size=5))
def test_what_is_written_is_read_by_the_next_process(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[bytes]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "1-a.0.spool"
    segment = Segment.create(path)
    assert segment is not None
    for number, items in enumerate(records):
        segment.append(number, items)
    (held,) = segments_in(path.parent)
    assert (held.is_held, held.events, held.size_bytes) == (True, sum(map(len, records)), segment.size_bytes)
    assert Segment.adopt(path) is None
    segment.close()
    assert [state.is_held for state in segments_in(path.parent)] == [False]

    adopted = Segment.adopt(path)
    assert adopted is not None
    assert [(record.first, record.items()) for record in adopted.records.values()] == list(enumerate(records))
    assert adopted.damaged_bytes == 0
    adopted.remove()
    assert not path.exists()


def test_what_is_only_looked_at_can_be_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "1-a.0.spool"
    segment = Segment.create(path)
    assert segment is not None
    segment.append(0, [b"x" * 20] * 1_000)
    segment.close()
    looks = itertools.count()
    over = Event()

    def look() -> None:
        while not over.is_set():
            assert [state.events for state in segments_in(tmp_path)] == [1_000]
            next(looks)

    with ThreadPoolExecutor() as threads:
        looker = threads.submit(look)
        try:
            while next(looks) < 400:
                adopted = Segment.adopt(path)
                assert adopted is not None
                adopted.close()
        finally:
            over.set()
        looker.result()


def test_a_torn_or_altered_end_is_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "1-a.0.spool"
    segment = Segment.create(path)
    assert segment is not None
    whole = [segment.append(number, [b"x" * 20, b"y"]) for number in range(3)]
    segment.close()
    data = path.read_bytes()
    assert len(data) == 3 * whole[0].size_bytes

    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        _records_are(path, cut // whole[0].size_bytes)
    for place in range(whole[0].size_bytes, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        _records_are(path, place // whole[0].size_bytes)


def _records_are(path: Path, count: int) -> None:
    adopted = Segment.adopt(path)
    assert adopted is not None
    assert [record.items() for record in adopted.records.values()] == [[b"x" * 20, b"y"]] * count
    adopted.close()


def test_a_record_that_is_altered_while_it_waits_is_an_error(tmp_path: Path) -> None:
    segment = Segment.create(tmp_path / "1-a.0.spool")
    assert segment is not None
    record = segment.append(0, [b"x" * 20])
    segment.path.write_bytes(segment.path.read_bytes()[:-1] + b"!")

    with pytest.raises(EnvironmentFault, match="has been altered"):
        record.items()


# --- the spool


def test_records_come_out_in_order_those_of_processes_before_first(tmp_path: Path) -> None:
    before = Spool(tmp_path, "9-old", max_bytes=2**20, fault=silent)
    assert before.append(1, [b"a"])
    before.close()
    spool = Spool(tmp_path, "1-new", max_bytes=2**20, fault=silent)
    for first in (30, 10, 20):
        assert spool.append(first, [b"x", b"y"])
    assert (spool.adopt(), spool.events) == (1, 7)

    taken = [spool.take() for _ in range(5)]
    assert [record and record.first for record in taken] == [1, 10, 20, 30, None]
    for record in taken[:2]:
        assert record is not None
        spool.again(record)
    assert [record and record.first for record in (spool.take(), spool.take(), spool.take())] == [1, 10, None]
    for record in taken[:4]:
        assert record is not None
        spool.done(record)
    assert (spool.events, files(tmp_path)) == (0, [])


def test_a_full_spool_drops_its_oldest_events_and_their_runs_say_how_many(tmp_path: Path) -> None:
    told: list[str] = []
    spool = Spool(tmp_path, "1-a", max_bytes=400_000, fault=told.append)
    runs = [f"{number:032x}" for number in range(1, 6)]
    for first in range(0, 2000, 10):
        assert spool.append(first, [event(runs[(first // 10) % 5], seq, 500)[2] for seq in range(first, first + 10)])
        assert spool.size_bytes <= 400_000 + 20_000
    assert spool.dropped > 1000
    assert "is full" in told[0]

    losses, kept = Counter[str](), Counter[str]()
    while (record := spool.take()) is not None:
        for read in _decoded(record.items()):
            if read["step_name"] == LOSS_STEP:
                (pair,) = read["labels"]
                assert (pair["key"], read["error_type"], read["status"]) == (LOST_EVENTS, "EventsLost", "skipped")
                losses[read["run_id"]] += int(pair["value"])
            else:
                kept[read["run_id"]] += 1
        spool.done(record)
    assert {run: losses[run] + kept[run] for run in runs} == dict.fromkeys(runs, 400)


def _decoded(items: list[bytes]) -> list[dict[str, Any]]:
    block = wire.Block(catalogue.latest("trace-batch"), len(items), memoryview(b"".join(items)))
    return [dict(record) for record in wire.decode_items(block)]


# --- the emitter


def test_events_of_an_outage_go_to_the_disk_and_arrive_in_order_when_it_is_over(tmp_path: Path) -> None:
    transport = RecordingTransport()
    acknowledged: list[str] = []
    emitter = Emitter(spooling(tmp_path), transport=lambda: transport, on_delivered=acknowledged.extend)
    numbers = itertools.count()
    emitted = [event(seq=next(numbers)) for _ in range(5)]
    for each in emitted:
        emitter.emit(*each)
    assert not emitter.flush(60)
    transport.answers.clear()
    emitted += [event(seq=next(numbers)) for _ in range(5)]
    for each in emitted[5:]:
        emitter.emit(*each)

    def is_spooling() -> bool:
        emitted.append(event(seq=next(numbers)))
        emitter.emit(*emitted[-1])
        return emitter.stats().spooled > 20

    wait_until(is_spooling, timeout_s=60, what="events to go to the disk")
    assert files(tmp_path)
    transport.answers.set()
    wait_until(lambda: emitter.stats().waiting == 0, timeout_s=60, what="the spool to be drained")
    assert not emitter.flush(60)
    stats = emitter.stats()
    emitter.close()
    assert (stats.accepted, stats.delivered, stats.lost, stats.spooled) == (len(emitted), len(emitted), 0, 0)
    assert [read["seq"] for read in transport.events()] == list(range(len(emitted)))
    assert sorted(acknowledged) == sorted(event_id for _, event_id, _ in emitted)
    assert files(tmp_path) == []


@pytest.mark.parametrize("partitions", [None, 4], ids=["never-reached", "lost-under-way"])
def test_what_the_broker_has_not_when_a_process_ends_the_next_one_delivers(
    tmp_path: Path, partitions: int | None
) -> None:
    away, back = RecordingTransport(partitions), RecordingTransport(3)
    away.answers.clear()
    settled = spooling(tmp_path, spool_after_s=60)
    first = Emitter(settled, transport=lambda: away)
    runs = [new_run_id() for _ in range(7)]
    for seq, run_id in itertools.product(range(20), runs):
        assert first.emit(*event(run_id, seq))
    assert not first.close(0.1), "what is on the disk is not left"
    assert files(tmp_path)

    second = Emitter(spooling(tmp_path), transport=lambda: back)
    second.emit(*event("b" * 32))
    wait_until(lambda: len(back.events()) >= 141, timeout_s=60, what="what was left to be delivered")
    assert not second.close(60)
    for run_id in runs:
        assert [read["seq"] for read in back.events() if read["run_id"] == run_id] == list(range(20))
    assert files(tmp_path) == []


def test_what_a_killed_process_had_on_the_disk_the_next_one_delivers(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from causeline.producers.emitter.emitter import Emitter
        from causeline.stack.waiting import wait_until
        from tests.unit.producers.recording import RecordingTransport
        from tests.unit.producers.emitter.test_spool import event, spooling

        emitter = Emitter(spooling(Path(sys.argv[1])), transport=lambda: RecordingTransport(None))
        for seq in range(50):
            emitter.emit(*event(seq=seq))
        wait_until(lambda: emitter.stats().spooled == 50, timeout_s=60, what="all to be on the disk")
        os.kill(os.getpid(), signal.SIGKILL)
        """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL

    transport = RecordingTransport()
    emitter = Emitter(spooling(tmp_path), transport=lambda: transport)
    emitter.emit(*event("b" * 32))
    wait_until(lambda: len(transport.events()) >= 51, timeout_s=60, what="what was left to be delivered")
    emitter.close()
    assert [read["seq"] for read in transport.events() if read["run_id"] == RUN] == list(range(50))


def test_a_batch_that_the_broker_refuses_goes_to_the_disk_and_is_sent_again(tmp_path: Path) -> None:
    transport = RecordingTransport()
    transport.errors = ["The broker was away."]
    emitter = Emitter(spooling(tmp_path), transport=lambda: transport)
    emitter.emit(*event())
    wait_until(lambda: emitter.stats().delivered == 1, timeout_s=60, what="the second attempt")
    assert not emitter.close()
    assert (emitter.stats().last_error, emitter.stats().lost) == ("The broker was away.", 0)


def test_a_spool_that_cannot_be_written_is_told_and_events_wait_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    transport = RecordingTransport(None)
    emitter = Emitter(spooling(tmp_path / "file"), transport=lambda: transport)
    for seq in range(30):
        emitter.emit(*event(seq=seq))
    wait_until(
        lambda: "cannot be written" in (emitter.stats().last_error or ""), timeout_s=60, what="the fault to be told"
    )
    transport.count = 4
    wait_until(lambda: emitter.stats().delivered == 30, timeout_s=60, what="events to be delivered all the same")
    assert not emitter.close()


def test_what_comes_while_the_spool_is_not_empty_goes_behind_what_is_in_it(tmp_path: Path) -> None:
    now = [100.0]
    counters = Counters(logging.getLogger("causeline.test"), lambda: now[0])
    outage = Outage(spooling(tmp_path, spool_after_s=3.0), "1-a", counters, lambda: now[0])
    assert not outage.is_spooling
    now[0] += 3.1
    assert outage.is_spooling, "nothing has been delivered for so long"
    outage.progress()
    assert not outage.is_spooling
    assert outage.keep(Batch(0, 1, 0.0, [event()[2]]))
    outage.progress()
    assert outage.is_spooling

    sent: list[Callable[[str | None], None]] = []
    outage.drain(4, lambda _partition, _items, report: sent.append(report))
    assert outage.is_spooling, "it is under way"
    sent.pop()("The broker was away.")
    outage.drain(4, lambda _partition, _items, report: sent.append(report))
    assert not sent, "not at once again"
    now[0] += 1.1
    outage.drain(4, lambda _partition, _items, report: sent.append(report))
    sent.pop()(None)
    assert not outage.is_spooling
    assert counters.snapshot().delivered == 1
    outage.close()


def test_drain_delivers_what_processes_before_have_left(tmp_path: Path) -> None:
    before = Spool(tmp_path, "9-old", max_bytes=2**20, fault=silent)
    assert before.append(1, [event(seq=seq)[2] for seq in range(5)])
    before.close()
    away = Emitter(spooling(tmp_path), transport=lambda: RecordingTransport(None))
    assert away.drain(0.1) == 5
    away.close(0)

    transport = RecordingTransport()
    emitter = Emitter(spooling(tmp_path), transport=lambda: transport)
    assert emitter.drain(60) == 0
    emitter.close()
    assert [read["seq"] for read in transport.events()] == list(range(5))


def test_what_neither_the_broker_nor_the_disk_took_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    emitter = Emitter(spooling(tmp_path / "file"), transport=lambda: RecordingTransport(None))
    for seq in range(30):
        emitter.emit(*event(seq=seq))
    assert emitter.close(0.1).events == 30


def test_what_the_masking_hook_takes_out_or_fails_on_is_not_on_the_disk(tmp_path: Path) -> None:
    def mask(kind: EventType, said: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if said.get("step_name") == "fails":
            raise ValueError("canary-in-the-error")
        if said.get("step_name") == "withheld":
            return None
        return {name: value for name, value in said.items() if name != "input_ref"}

    emitter = Emitter(spooling(tmp_path), transport=lambda: RecordingTransport(None))
    tracer = Tracer("p", emitter=emitter, mask=mask)
    with tracer.run("invoice", input_ref="a:canary-of-the-run") as run:
        for name in ("kept", "fails", "withheld"):
            with run.tool(name, input_ref=f"a:canary-{name}", raw_output_ref=f"a:output-{name}"):
                pass
    wait_until(lambda: tracer.stats().spooled == 3, timeout_s=60, what="the run to be on the disk")
    stats = tracer.stats()
    written = b"".join(path.read_bytes() for path in files(tmp_path))
    tracer.close(0)
    assert b"output-kept" in written
    assert not any(word in written for word in (b"canary", b"output-fails", b"output-withheld"))
    assert (stats.mask_failed, "canary" in repr(stats)) == (2, False)


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "spool", "1-a", max_bytes=2**20, fault=silent)
    assert spool.append(0, [b"x"])
    (path,) = files(tmp_path / "deep" / "spool")
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    spool.close()


def test_what_comes_from_the_disk_and_is_too_large_for_the_topic_is_split_too(tmp_path: Path) -> None:
    transport = RecordingTransport(partitions=None)
    emitter = Emitter(spooling(tmp_path, batch_events=100), transport=lambda: transport)
    for seq in range(50):
        emitter.emit(*event(seq=seq))
    emitter.emit(*event(seq=50, size=1500))
    wait_until(lambda: emitter.stats().spooled == 51, timeout_s=60, what="the events to be on the disk")
    transport.most_bytes, transport.count = 1000, 4
    wait_until(lambda: not emitter.stats().waiting, timeout_s=60, what="the disk to be empty")
    stats = emitter.stats()
    assert (stats.delivered, stats.lost) == (50, 1)
    assert sorted({int(str(read["seq"])) for read in transport.events()}) == list(range(50))
    assert not emitter.close()
    assert not files(tmp_path)
