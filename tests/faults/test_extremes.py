"""Clocks a day off, disks that are full, topics of the wrong size, and a million runs at ten times the load.

CAUSELINE_FAULTS_LOAD_RUNS=<n> says how many runs the last of them makes.
"""

import json
import os
import random
import resource
import time
from collections.abc import Callable

import psutil
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clock import system_clock
from causeline.schemas.topics import EVENTS, RUNS
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.site import PROJECT, STORED, Site, emit_runs, spooling
from tests.faults.test_clickhouse_faults import QUICK_BACKOFF

pytestmark = pytest.mark.stack

DAY_US = 24 * 3600 * 1_000_000
RUNS_AT_ONCE = int(os.environ.get("CAUSELINE_FAULTS_LOAD_RUNS", "40000"))
RSS_CAP = {"worker": 400 << 20, "load": 300 << 20}


def answers(site: Site, sql: str) -> list[tuple[object, ...]]:
    """Rows, as the engine has them."""
    with clickhouse_client(site.endpoints.clickhouse()) as client:
        return [tuple(row) for row in client.query(sql).result_rows]


@pytest.mark.parametrize("days", [1, -1])
def test_a_producer_whose_clock_is_a_day_off_is_joined_and_told(site: Site, days: int) -> None:
    """Half of each run is told by another process, in another day."""
    emitter = site.emitter()
    with (
        site.running("worker"),
        site.running("load"),
        Tracer(PROJECT, emitter=emitter, enabled=True) as here,
        Tracer(PROJECT, emitter=emitter, enabled=True, clock=lambda: system_clock() + days * DAY_US) as there,
    ):
        for _ in range(30):
            headers: dict[str, str] = {}
            with here.run("w") as run:
                run.inject(headers)
                with run.step("tool", "near"):
                    pass
                with there.continue_run(headers) as other, other.step("tool", "far"):
                    pass
        assert not here.flush(60)
        found = site.violations(emitter.ledger())
    assert found == [], site.explain(found)
    told = "SELECT verdict, length(steps), round(toInt64(labels['clock.skew_s']) / 86400) FROM runs"
    assert set(answers(site, told)) == {("complete", 2, float(days))}


def test_the_loader_waits_while_the_engines_disk_is_full(site: Site, tell: Callable[[str], None]) -> None:
    """It keeps more of the disk free than there is, so every insert is refused for want of space."""
    for table in STORED:
        site.command(f"ALTER TABLE {table} MODIFY SETTING min_free_disk_bytes_to_perform_insert = {1 << 62}")
    with site.running("worker"), site.running("load", **QUICK_BACKOFF) as loader:
        ledger = site.publish()
        wait_until(lambda: "NOT_ENOUGH_SPACE" in loader.log or None, timeout_s=180, what="the engine takes everything")
        assert site.visible() == 0
        assert any(".loader" in each for each in evidence.behind(site.endpoints)), "committed what is not stored"
        for table in STORED:
            site.command(f"ALTER TABLE {table} RESET SETTING min_free_disk_bytes_to_perform_insert")
        healed = time.monotonic()
        found = site.violations(ledger)
        caught_up_s = time.monotonic() - healed
    assert found == [], site.explain(found)
    assert site.dead_letters() == 0
    tell(f"{site.figures(ledger)}; caught up within {caught_up_s:.1f} s")


def test_a_broker_whose_disk_is_full_comes_back_with_all_of_it(site: Site, tell: Callable[[str], None]) -> None:
    """Its files may not grow: what it does when a disk is full, it gives up its log; then there is space again."""
    dice = random.Random(site.seed)
    emitter = site.emitter(None, **spooling(site.folder / "spool"))
    with site.running("worker"), site.running("load"), site.running("amend --follow"):
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            emit_runs(tracer, 30, dice)
            assert not tracer.flush(60)
            pid = evidence.pid_of(site.endpoints.state_dir, "kafka")
            assert pid is not None
            java = psutil.Process(pid)
            java.rlimit(psutil.RLIMIT_FSIZE, (1 << 12, resource.RLIM_INFINITY))
            emit_runs(tracer, 300, dice)
            wait_until(lambda: not java.is_running(), timeout_s=180, what="the broker goes on with a full disk")
            emit_runs(tracer, 30, dice)
            wait_until(lambda: not tracer.flush(5) or None, timeout_s=180, what="the broker does not come back")
            wait_until(lambda: not tracer.stats().waiting, timeout_s=180, what="the disk still holds events")
        found = site.violations(emitter.ledger())
    assert found == [], site.explain(found)
    assert emitter.ledger().acknowledged == emitter.ledger().emitted.keys()
    tell(site.figures(emitter.ledger()))


def test_a_topic_of_too_few_partitions_is_told_by_the_doctor_and_the_worker(site: Site) -> None:
    """What is joined from a partition goes to the one of the same number, which has to be there."""
    name = RUNS.full_name(site.endpoints.topic_prefix)
    admin = AdminClient({**site.endpoints.kafka().client_config()})
    admin.delete_topics([name])[name].result(30)
    wait_until(lambda: name not in admin.list_topics(timeout=10).topics, timeout_s=180, what="the topic stays")
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    wait_until(lambda: name in admin.list_topics(timeout=10).topics, timeout_s=180, what="the topic does not come")
    done = CliRunner().invoke(app, ["doctor"], env=dict(site.environment))
    assert done.exit_code != 0
    assert name in done.output
    started = CliRunner().invoke(app, ["worker"], env=dict(site.environment))
    assert started.exit_code != 0
    assert "fewer than the events'" in started.output


def test_many_run_ids_at_once_leave_memory_bounded_and_lag_drained(site: Site, tell: Callable[[str], None]) -> None:
    """As fast as one process emits, more than the rest carries on the same cores: the lag grows, and drains."""
    emitter = site.emitter()
    with (
        site.running("worker") as worker,
        site.running("load") as loader,
        Tracer(PROJECT, emitter=emitter, enabled=True) as tracer,
    ):
        wait_until(lambda: "ready" in worker.log and "ready" in loader.log, timeout_s=180, what="they are not ready")
        began = time.monotonic()
        for _ in range(RUNS_AT_ONCE):
            with tracer.run("w"):
                pass
        assert not tracer.flush(300), tracer.stats()
        emitted_s = time.monotonic() - began
        name = EVENTS.full_name(site.endpoints.topic_prefix)
        behind = [each for each in evidence.behind(site.endpoints) if name in each]
        wait_until(
            lambda: not evidence.behind(site.endpoints) or None,
            timeout_s=180 + RUNS_AT_ONCE / 1000,
            what="the lag does not drain",
            interval_s=0.5,
        )
        drained_s = time.monotonic() - began - emitted_s
        peaks = {"worker": evidence.peak_rss(worker.pid), "load": evidence.peak_rss(loader.pid)}
    stats = tracer.stats()
    assert not stats.lost, stats
    assert not stats.dropped, stats
    assert evidence.count_views(site.endpoints, PROJECT) == {
        "events": (2 * RUNS_AT_ONCE, 2 * RUNS_AT_ONCE),
        "runs": (RUNS_AT_ONCE, RUNS_AT_ONCE),
    }
    tell(
        f"{RUNS_AT_ONCE} runs emitted in {emitted_s:.1f} s; {len(behind)} partitions behind, drained {drained_s:.1f} s"
        f" later; most memory in MiB {json.dumps({name: peak >> 20 for name, peak in peaks.items()})}"
    )
    assert all(peaks[name] < cap for name, cap in RSS_CAP.items()), peaks
