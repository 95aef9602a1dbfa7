"""Worker, loader, engine and broker each die once while runs are published: nothing acknowledged is lost or doubled.

CAUSELINE_FAULTS_RUNS=20000 is a longer version, CAUSELINE_FAULTS_SEED=<n> repeats one.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from causeline.demo.plan import plan
from causeline.demo.publish import demo_policy_text, publish_planned
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.tracer import Tracer
from causeline.schemas.errors import CauselineError
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, status, up
from causeline.stack.settings import StackSettings
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.killer import Killed, Killer, plan_kills
from tests.faults.oracle import Ledger, Measured, Seen, Violation, judge, judge_measures, report
from tests.faults.recorder import RecordingEmitter, spread

pytestmark = pytest.mark.stack

RUNS = int(os.environ.get("CAUSELINE_FAULTS_RUNS", "1500"))
VICTIMS = ("worker-1", "load-1", "clickhouse", "kafka")
OURS = ("worker-1", "load-1")
PROJECT, FRESH = "faults", "faults-fresh"
RSS_CAP = 600 << 20
FRESH_WITHIN_S = 30.0
LOAD_S = max(40.0, RUNS / 100)
"""How long publishing is spread over: long enough that every recovery happens under load."""
PATIENCE_S = 240.0 + RUNS / 50


@pytest.fixture
def private_stack(tmp_path: Path) -> Iterator[Endpoints]:
    """A stack of this test's own: what dies here is nobody else's."""
    endpoints = up(
        StackSettings(state_dir=tmp_path / "stack", partitions=4, workers=1, loaders=1, ephemeral=False),
        policy=demo_policy_text(),
    )
    yield endpoints
    down(endpoints.state_dir)


Tell = Callable[[str], None]


def test_every_process_dies_once_and_nothing_acknowledged_is_lost(
    private_stack: Endpoints, tmp_path: Path, seed: int, tell: Tell
) -> None:
    tell(f"{RUNS} runs: repeat with CAUSELINE_FAULTS_SEED={seed} CAUSELINE_FAULTS_RUNS={RUNS}")
    ledger, killed = publish_under_fire(private_stack, tmp_path / "truth.jsonl", seed, tell)
    wait_until_recovered(private_stack)

    wait_until_visible(private_stack, ledger, tell)
    fresh_s = seconds_to_a_fresh_run(private_stack, tell)
    measured = Measured(fresh_s, peaks(private_stack, killed))
    seen = evidence.read_views(private_stack, PROJECT)
    tell(f"{len(ledger.emitted)} events of {len(ledger.runs)} runs emitted, {len(ledger.acknowledged)} acknowledged;")
    tell(f"{len(seen.event_ids)} events and {len(seen.runs)} runs visible, {len(seen.dead)} dead; {measured}")

    assert {each.service for each in killed} == set(VICTIMS)
    assert ledger.acknowledged, "nothing was acknowledged, so nothing was proven"
    violations = [*judge(ledger, seen), *judge_measures(measured, fresh_within_s=FRESH_WITHIN_S, rss_cap=RSS_CAP)]
    assert not violations, explain(private_stack, seen, violations, seed)
    for rows, distinct in evidence.count_views(private_stack, PROJECT).values():
        assert rows == distinct
    assert wait_until_read_to_the_end(private_stack) == {}


def publish_under_fire(endpoints: Endpoints, truth_file: Path, seed: int, tell: Tell) -> tuple[Ledger, list[Killed]]:
    """Publish the demo's runs while the killer is at work; the ledger, and who died."""
    kills = plan_kills(VICTIMS, LOAD_S * 0.9, random.Random(seed))
    killer = Killer(endpoints.state_dir, kills, tell)
    emitter = RecordingEmitter(endpoints)
    tracer = Tracer(PROJECT, emitter=emitter, enabled=True)
    killer.start()
    try:
        published = publish_planned(
            spread(plan(seed, RUNS), RUNS, LOAD_S),
            count=RUNS,
            tracer=tracer,
            artifacts=ArtifactStore.open(endpoints.artifacts),
            truth_file=truth_file,
            session_label=f"seed-{seed}",
        )
        killed = killer.finish(LOAD_S + 60)
        left = tracer.flush(PATIENCE_S)
        stats = tracer.stats()
    finally:
        killer.cancel()
        tracer.close()
    ledger = emitter.ledger()
    assert not left, f"{left} after {PATIENCE_S:g} s: {stats}"
    assert stats.delivered == len(ledger.acknowledged)
    assert len(set(published.run_ids)) == RUNS
    assert ledger.runs == set(published.run_ids)
    if not stats.lost and not stats.dropped:
        assert ledger.acknowledged == ledger.emitted.keys()
    return ledger, killed


def wait_until_recovered(endpoints: Endpoints) -> None:
    """Every service is ready again, by the supervisor's own doing."""

    def recovered() -> bool:
        now = status(endpoints.state_dir)
        assert now.running, "the supervisor itself is gone"
        return now.ready

    wait_until(recovered, timeout_s=PATIENCE_S, what="the stack did not come back after the kills")


def wait_until_visible(endpoints: Endpoints, ledger: Ledger, tell: Tell) -> None:
    """Return when the views keep every promise, or when nothing has moved for long: the oracle has the last word."""
    deadline = time.monotonic() + PATIENCE_S
    began = time.monotonic()

    def settled() -> bool:
        try:
            counted = evidence.count_views(endpoints, PROJECT)
            enough = counted["events"][1] >= len(ledger.acknowledged) and counted["runs"][1] >= len(ledger.runs)
            promises_kept = enough and not judge(ledger, evidence.read_views(endpoints, PROJECT))
        except CauselineError as error:
            tell(f"not to be asked yet: {error}")
            promises_kept = False
        return promises_kept or time.monotonic() >= deadline

    wait_until(settled, timeout_s=PATIENCE_S + 60, what="the views do not answer", interval_s=1.0)
    tell(f"visible {time.monotonic() - began:.1f} s after the last event")


def wait_until_read_to_the_end(endpoints: Endpoints) -> dict[str, str]:
    """What is still behind at the broker when it had time to catch up; empty when every group is at the end."""
    deadline = time.monotonic() + FRESH_WITHIN_S
    last: dict[str, str] = {}

    def caught_up() -> bool:
        last.clear()
        last.update(evidence.behind(endpoints))
        return not last or time.monotonic() >= deadline

    wait_until(caught_up, timeout_s=FRESH_WITHIN_S + 30, what="the broker does not tell offsets", interval_s=0.5)
    return last


def seconds_to_a_fresh_run(endpoints: Endpoints, tell: Tell) -> float | None:
    """Seconds from the first event of a new run until it is visible and complete; None if it never is."""
    began = time.monotonic()
    emitter = RecordingEmitter(endpoints)
    with Tracer(FRESH, emitter=emitter, enabled=True) as tracer, tracer.run("fresh") as run, run.step("tool", "look"):
        pass

    def is_complete() -> bool:
        return [each.verdict for each in evidence.read_views(endpoints, FRESH).runs] == ["complete"]

    try:
        wait_until(is_complete, timeout_s=2 * FRESH_WITHIN_S, what="the fresh run is not complete", interval_s=0.2)
    except CauselineError as error:
        tell(str(error))
        return None
    return time.monotonic() - began


def peaks(endpoints: Endpoints, killed: list[Killed]) -> dict[str, int]:
    """Peak memory of worker and loader, of the process that died and of the one that took its place."""
    found = {}
    for service in OURS:
        pid = evidence.pid_of(endpoints.state_dir, service)
        assert pid is not None, f"{service} has no process"
        before = max(each.peak for each in killed if each.service == service)
        found[service] = max(before, evidence.peak_rss(pid))
    return found


def explain(endpoints: Endpoints, seen: Seen, violations: list[Violation], seed: int) -> str:
    """The violations, each with where its subject was last seen."""
    told = evidence.whereabouts(endpoints, [each.subject for each in violations], seen)
    return f"seed {seed}\n{report(violations, told)}"
