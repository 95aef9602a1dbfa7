"""Half of what this machine can carry, for long, with a random fault every twenty seconds: `--long` only.

CAUSELINE_FAULTS_SOAK_S=<seconds> says how long, CAUSELINE_FAULTS_SEED=<n> repeats the faults of one.
"""

import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.demo.publish import demo_policy_text
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.schemas.topics import DEAD
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, status, up
from causeline.stack.settings import StackSettings
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.compact import CountingEmitter, judge_compact, read_compact
from tests.faults.oracle import Measured, judge_measures, report
from tests.faults.recorder import RecordingEmitter
from tests.faults.site import emit_runs, spooling

pytestmark = [pytest.mark.stack, pytest.mark.soak]

SPAN_S = float(os.environ.get("CAUSELINE_FAULTS_SOAK_S", "1800"))
FAULT_EVERY_S = 20.0
FROZEN_S = 8.0
CAPACITY_RUNS = 20_000
BURST = 20
"""Runs emitted at once; the pace is kept between bursts."""
OURS = ("worker-1", "worker-2", "load-1", "amend")
VICTIMS = (*OURS, "clickhouse", "kafka")
RSS_CAP = 800 << 20
GROWN, SLACK_MIB = 1.2, 32
"""The second half's median memory may be so many times the first's, and so much more, at most."""
FRESH_WITHIN_S = 30.0
PATIENCE_S = 600.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Endpoints]:
    """A stack of the soak's own."""
    endpoints = up(
        StackSettings(state_dir=tmp_path / "stack", partitions=4, workers=2, loaders=1), policy=demo_policy_text()
    )
    yield endpoints
    down(endpoints.state_dir)


def test_half_the_capacity_with_a_fault_every_twenty_seconds(
    stack: Endpoints, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    capacity = events_a_second(stack, seed)
    tell(f"capacity, emitting and joining and loading on this machine: {capacity:.0f} events/s")
    watch = Watch(stack)
    trouble = Trouble(stack, random.Random(seed))
    emitter = CountingEmitter(stack, **spooling(tmp_path / "spool"))
    with Tracer("soak", emitter=emitter, enabled=True) as tracer:
        watch.start()
        trouble.start()
        try:
            emit_at(tracer, capacity / 2, random.Random(seed))
        finally:
            trouble.finish()
        assert not tracer.flush(PATIENCE_S), tracer.stats()
        wait_until(lambda: not tracer.stats().waiting, timeout_s=PATIENCE_S, what="the disk still holds events")
        stats = tracer.stats()
    ended = time.monotonic()
    ledger = emitter.ledger()
    assert not stats.dropped, stats
    wait_until(lambda: status(stack.state_dir).ready, timeout_s=180, what="the stack did not come back")
    wait_until_all_is_there(stack, "soak", len(ledger.acknowledged), len(np.unique(ledger.runs)))
    caught_up_s = time.monotonic() - ended
    watch.finish()
    began = time.monotonic()
    emit_at_once(stack, "fresh", 1, random.Random(seed))
    measured = Measured(time.monotonic() - began, watch.peaks())
    seen = read_compact(stack, "soak")
    dead = sum(
        end for (name, _), end in evidence.end_offsets(stack).items() if name == DEAD.full_name(stack.topic_prefix)
    )
    tell(
        f"seed {seed}: {SPAN_S:.0f} s, {len(trouble.done)} faults; {len(ledger.events)} emitted,"
        f" {len(ledger.acknowledged)} acknowledged, {len(np.unique(seen.events))} visible, {dead} dead,"
        f" all visible {caught_up_s:.1f} s after the last; a fresh run in {measured.fresh_run_s:.1f} s"
    )
    tell(f"memory, MiB, median of the first half and of the second: {watch.halves()}; peaks {watch.peaks_mib()}")
    tell(f"ready again after: {trouble.summary()}")
    found = judge_compact(ledger, seen)
    found += judge_measures(measured, fresh_within_s=FRESH_WITHIN_S, rss_cap=RSS_CAP)
    assert not found, report(found)
    assert dead == 0
    grown = {name: halves for name, halves in watch.halves().items() if halves[1] > GROWN * halves[0] + SLACK_MIB}
    assert not {name for name in grown if name in OURS}, grown
    assert len(trouble.done) >= SPAN_S / FAULT_EVERY_S - 2


def events_a_second(stack: Endpoints, seed: int) -> float:
    """From the first event emitted, as fast as one process does, to the last one visible."""
    began = time.monotonic()
    events = emit_at_once(stack, "capacity", CAPACITY_RUNS, random.Random(seed))
    return events / (time.monotonic() - began)


def emit_at_once(stack: Endpoints, project: str, runs: int, dice: random.Random) -> int:
    """Emit runs and wait until they are complete in the views; gives the number of events."""
    emitter = RecordingEmitter(stack)
    with Tracer(project, emitter=emitter, enabled=True) as tracer:
        emit_runs(tracer, runs, dice)
        assert not tracer.flush(120)
    ledger = emitter.ledger()
    wait_until_all_is_there(stack, project, len(ledger.acknowledged), len(ledger.runs), interval_s=0.2)
    return len(ledger.emitted)


def emit_at(tracer: Tracer, events_a_s: float, dice: random.Random) -> None:
    """Emit evenly for the whole span. A run has five events on average: its start, its end, and its steps."""
    began, idle, bursts = time.monotonic(), threading.Event(), 0
    while (at := BURST * 5 * bursts / events_a_s) < SPAN_S:
        idle.wait(max(0.0, began + at - time.monotonic()))
        emit_runs(tracer, BURST, dice)
        bursts += 1


def wait_until_all_is_there(stack: Endpoints, project: str, events: int, runs: int, interval_s: float = 5.0) -> None:
    """Until the views have as many complete runs and events as were acknowledged, or patience ends: the oracle says."""
    deadline = time.monotonic() + PATIENCE_S

    def there() -> bool:
        try:
            with clickhouse_client(stack.clickhouse(), timeout_s=300) as client:
                asked = "SELECT count() FROM events WHERE project = {p:String}"
                counted = int(client.query(asked, parameters={"p": project}).result_rows[0][0])
                asked = "SELECT count() FROM runs WHERE project = {p:String} AND verdict = 'complete'"
                complete = int(client.query(asked, parameters={"p": project}).result_rows[0][0])
        except (ClickHouseError, OSError):
            return False  # it is on its way back
        enough = counted >= events and complete >= runs
        return enough or time.monotonic() >= deadline

    wait_until(there, timeout_s=PATIENCE_S + 60, what="the views do not answer", interval_s=interval_s)


class Trouble:
    """Kills or freezes a random process every twenty seconds, in a thread of its own."""

    def __init__(self, stack: Endpoints, dice: random.Random) -> None:
        self.done: list[tuple[str, float]] = []
        """What was done to whom, and seconds until all was ready again."""
        self._stack = stack
        self._dice = dice
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin; the first fault is due after one interval."""
        self._thread.start()

    def finish(self) -> None:
        """No more faults; raises what went wrong."""
        self._enough.set()
        self._thread.join(FAULT_EVERY_S + 120)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def summary(self) -> dict[str, str]:
        """By fault: how often, and the median and the longest time in seconds until all was ready again."""
        times: dict[str, list[float]] = defaultdict(list)
        for what, seconds in self.done:
            times[what].append(seconds)
        return {what: f"{len(each)} x, {median(each):.1f}, {max(each):.1f}" for what, each in sorted(times.items())}

    def _run(self) -> None:
        due = time.monotonic() + FAULT_EVERY_S
        try:
            while not self._enough.wait(max(0.0, due - time.monotonic())):
                due += FAULT_EVERY_S
                self._strike(self._dice.choice(VICTIMS), kill=self._dice.random() < 0.6)
        except BaseException as error:  # noqa: BLE001 - told by `finish`, in the thread of the test
            self._failure = error

    def _strike(self, service: str, *, kill: bool) -> None:
        pid = wait_until(
            lambda: evidence.pid_of(self._stack.state_dir, service), timeout_s=180, what=f"{service} has no process"
        )
        began = time.monotonic()
        process = psutil.Process(pid)
        if kill:
            process.send_signal(signal.SIGKILL)
            wait_until(lambda: self._is_another(service, pid), timeout_s=180, what=f"{service} is not started again")
        else:
            process.send_signal(signal.SIGSTOP)
            self._enough.wait(FROZEN_S)
            if process.is_running():
                process.send_signal(signal.SIGCONT)
        wait_until(lambda: status(self._stack.state_dir).ready, timeout_s=180, what="the stack did not come back")
        self.done.append((f"{'SIGKILL' if kill else f'SIGSTOP {FROZEN_S:.0f} s'} {service}", time.monotonic() - began))

    def _is_another(self, service: str, pid: int) -> bool:
        now = evidence.pid_of(self._stack.state_dir, service)
        return now is not None and now != pid


class Watch:
    """Memory of every process, looked at every two seconds in a thread of its own."""

    def __init__(self, stack: Endpoints) -> None:
        self._stack = stack
        self._seen: dict[str, list[int]] = defaultdict(list)
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def finish(self) -> None:
        """Look no more."""
        self._enough.set()
        self._thread.join(30)
        assert set(VICTIMS) <= set(self._seen), f"only {sorted(self._seen)} were seen"

    def peaks(self) -> dict[str, int]:
        """The most that each of ours held, bytes."""
        return {name: max(self._seen[name]) for name in OURS}

    def peaks_mib(self) -> dict[str, int]:
        """So of all, MiB."""
        return {name: max(values) >> 20 for name, values in sorted(self._seen.items())}

    def halves(self) -> dict[str, tuple[int, int]]:
        """Median MiB of the first and the second half, by service; the first fifth is its start and left out."""
        found = {}
        for name, values in sorted(self._seen.items()):
            steady = values[len(values) // 5 :]
            middle = len(steady) // 2
            found[name] = (int(median(steady[:middle])) >> 20, int(median(steady[middle:])) >> 20)
        return found

    def _run(self) -> None:
        while not self._enough.wait(2.0):
            for each in status(self._stack.state_dir).services:
                if each.name in VICTIMS and each.process is not None and psutil.pid_exists(each.process.pid):
                    rss = evidence.rss_of(each.process.pid)
                    if rss:
                        self._seen[each.name].append(rss)
