"""What an event costs while many runs are open, and what holding a million open events takes of memory.

The worker first takes in runs that only begin; when the complete runs sent after them have come out, it has them all.
Then lots of complete runs are sent one after the other, and the CPU of the process is read around each.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.joining.broker import Bench, collected, working
from benchmarks.joining.contenders import our_runs, our_worker, publish_batches
from benchmarks.joining.runs import EVENTS_A_RUN, PARTITIONS, SCHEMA, batches, events_of
from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.ids import new_run_id
from causeline.schemas.partition import partition_of
from causeline.schemas.topics import TOPICS

_BATCH = 1000
_HOUR_S = "3600"
_PATIENT = {
    "CAUSELINE_WORKER_IDLE_TIMEOUT_S": _HOUR_S,
    "CAUSELINE_WORKER_MAX_OPEN_S": _HOUR_S,
    "CAUSELINE_WORKER_MAX_OPEN_EVENTS": "5000000",
}
_MARKS = 40
"""Complete runs sent after the open ones, ten a partition."""


@dataclass(frozen=True, slots=True)
class Held:
    """A worker with many open runs: CPU microseconds an event of each lot that it joined beside them, and its size."""

    us_per_event: list[float]
    rss_mb: float


def beside_open_runs(bench: Bench, prefix: str, open_runs: int, lots: Sequence[list[list[Record]]]) -> Held:
    """`lots` of complete runs joined one after the other while `open_runs` have begun and do not end."""
    return _held(bench, prefix, _begun(open_runs), lots)


def open_events(bench: Bench, prefix: str, events: int, lots: Sequence[list[list[Record]]]) -> Held:
    """The same beside `events` wide events of runs that lack their end."""
    return _held(bench, prefix, _endless(events), lots)


def _held(bench: Bench, prefix: str, first: Iterator[tuple[int, bytes]], lots: Sequence[list[list[Record]]]) -> Held:
    bench.topics(prefix, [topic.name for topic in TOPICS])
    publish_batches(bench, prefix, first)
    marks = [list(events_of(number)) for number in range(1, _MARKS + 1)]
    publish_batches(bench, prefix, batches(marks))
    command, environment = our_worker(bench, prefix, _PATIENT)
    with working(command, environment) as worker:
        known = psutil.Process(worker.process.pid)
        expected = _MARKS
        collected(bench, f"{prefix}.runs", expected, our_runs, worker)
        spent = []
        for lot in lots:
            ready = list(batches(lot))
            before = _settled(known)
            publish_batches(bench, prefix, iter(ready))
            expected += len(lot)
            collected(bench, f"{prefix}.runs", expected, our_runs, worker)
            spent.append((_cpu_s(known) - before) * 1e6 / (len(lot) * EVENTS_A_RUN))
        return Held(spent, _peak_mb(worker.process.pid))


def _settled(process: psutil.Process) -> float:
    """CPU seconds once the process has little to do."""
    deadline = time.monotonic() + 60
    before = _cpu_s(process)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = _cpu_s(process)
        if now - before < 0.1:
            return now
        before = now
    return before


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak.split()[1]) / 1024


def _begun(runs: int) -> Iterator[tuple[int, bytes]]:
    start = 1_780_000_000_000_000
    records = (
        {
            "run_id": new_run_id(), "project": "bench", "workflow": "invoice", "emitter_id": "e",
            "run_started_at": start, "event_id": f"{number:032x}", "seq": 0, "event_type": "run_started",
            "occurred_at": start,
        }
        for number in range(1, runs + 1)
    )  # fmt: skip
    return _batched(records)


def _endless(events: int) -> Iterator[tuple[int, bytes]]:
    held = EVENTS_A_RUN - 1
    runs = (list(events_of(1_000_000 + number))[:held] for number in range(events // held))
    return _batched(event for run in runs for event in run)


def _batched(records: Iterator[Record]) -> Iterator[tuple[int, bytes]]:
    waiting: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    header = wire.encode_string("e")
    for record in records:
        partition = partition_of(str(record["run_id"]), PARTITIONS)
        items = waiting[partition]
        items.append(wire.encode_item(SCHEMA, record))
        if len(items) >= _BATCH:
            yield partition, wire.encode_batch(SCHEMA.schema_id, header, items)
            items.clear()
    for partition, items in waiting.items():
        if items:
            yield partition, wire.encode_batch(SCHEMA.schema_id, header, items)
