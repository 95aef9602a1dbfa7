"""The broker frozen, gone, half-open, or without its topic: steps go on, and nothing acknowledged is lost."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from statistics import quantiles

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.producers.tracer import Tracer
from causeline.schemas.topics import EVENTS
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.proxy import Proxy
from tests.faults.recorder import RecordingEmitter
from tests.faults.site import PROJECT, Site, emit_runs, spooling

pytestmark = pytest.mark.stack

AWAY_S = 12.0
"""Longer than an attempt of the emitter's to deliver, which is 4 s here."""
FROZEN_S = 20.0
STEPS_A_S = 200
ADDED_P99_MS = 50.0
"""What a step may cost its caller at the 99th percentile on a busy machine; a wait for the broker is ten times that."""


def steps_for(tracer: Tracer, span_s: float, dice: random.Random) -> list[float]:
    """Runs of a few steps for so long, at a steady pace; what each step took its caller, in milliseconds."""
    took: list[float] = []
    began, idle = time.monotonic(), threading.Event()
    while (now := time.monotonic()) - began < span_s:
        with tracer.run("w") as run:
            for _ in range(dice.randint(1, 5)):
                idle.wait(max(0.0, began + len(took) / STEPS_A_S - now))
                at = time.perf_counter()
                with run.step("tool", "s"):
                    pass
                took.append((time.perf_counter() - at) * 1e3)
    return took


def bring_in(tracer: Tracer) -> None:
    """Until the broker has everything, from memory and from the disk, whose events count as acknowledged."""
    assert not tracer.flush(90), tracer.stats()
    wait_until(lambda: not tracer.stats().waiting, timeout_s=180, what="the disk still holds events", interval_s=0.02)


def in_words(took: list[float]) -> str:
    """Median, 99th percentile and maximum."""
    cuts = quantiles(took, n=100)
    return f"{len(took)} steps, p50 {cuts[49]:.3f} ms, p99 {cuts[98]:.3f} ms, most {max(took):.2f} ms"


@pytest.mark.parametrize("trouble", ["gone", "deaf", "slow"])
def test_steps_go_on_while_the_broker_is_out_of_reach(
    site: Site, bad_broker: Proxy, trouble: str, tell: Callable[[str], None]
) -> None:
    """Past the delivery time-out: the spool fills, what steps cost stays, and all of it comes when the broker does."""
    dice = random.Random(site.seed)
    emitter = site.emitter(bad_broker.port, **spooling(site.folder / "spool"))
    with site.running("worker"), site.running("load"), site.running("amend --follow"):
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            before = steps_for(tracer, 4.0, dice)
            if trouble == "gone":
                bad_broker.go_away()
            bad_broker.is_deaf = trouble == "deaf"
            bad_broker.delay_s = 0.5 if trouble == "slow" else 0.0
            meanwhile = steps_for(tracer, AWAY_S, dice)
            spooled = tracer.stats().spooled
            assert trouble == "slow" or spooled > 0, tracer.stats()
            bad_broker.heal()
            healed = time.monotonic()
            bring_in(tracer)
            drained_s = time.monotonic() - healed
            stats = tracer.stats()
        found = site.violations(emitter.ledger())
    assert found == [], site.explain(found)
    assert not stats.lost, stats
    assert not stats.dropped, stats
    assert emitter.ledger().acknowledged == emitter.ledger().emitted.keys()
    assert quantiles(meanwhile, n=100)[98] < ADDED_P99_MS, in_words(meanwhile)
    tell(f"{site.figures(emitter.ledger())}; {spooled} on disk at the end, drained {drained_s:.1f} s after")
    tell(f"a step with the broker up: {in_words(before)}; {trouble}: {in_words(meanwhile)}")


def test_a_broker_frozen_for_twenty_seconds_holds_everything_up_and_loses_nothing(
    site: Site, tell: Callable[[str], None]
) -> None:
    dice = random.Random(site.seed)
    emitter = site.emitter(None, **spooling(site.folder / "spool"))
    with site.running("worker"), site.running("load"), site.running("amend --follow"):
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            steps_for(tracer, 3.0, dice)
            pid = evidence.pid_of(site.endpoints.state_dir, "kafka")
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            try:
                meanwhile = steps_for(tracer, FROZEN_S, dice)
            finally:
                os.kill(pid, signal.SIGCONT)
            woken = time.monotonic()
            assert evidence.pid_of(site.endpoints.state_dir, "kafka") == pid
            bring_in(tracer)
        found = site.violations(emitter.ledger())
        caught_up_s = time.monotonic() - woken
    assert found == [], site.explain(found)
    assert quantiles(meanwhile, n=100)[98] < ADDED_P99_MS, in_words(meanwhile)
    tell(f"{site.figures(emitter.ledger())}; all visible {caught_up_s:.1f} s after it woke; {in_words(meanwhile)}")


def test_a_broker_killed_under_load_comes_back_with_all_of_it(site: Site, tell: Callable[[str], None]) -> None:
    dice = random.Random(site.seed)
    emitter = site.emitter(None, **spooling(site.folder / "spool"))
    with site.running("worker"), site.running("load"), site.running("amend --follow"):
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            steps_for(tracer, 3.0, dice)
            pid = evidence.pid_of(site.endpoints.state_dir, "kafka")
            assert pid is not None
            killed = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            delivered = emitter.stats().delivered
            steps_for(tracer, 5.0, dice)
            wait_until(lambda: emitter.stats().delivered > delivered, timeout_s=180, what="nothing is delivered again")
            again_s = time.monotonic() - killed
            bring_in(tracer)
        found = site.violations(emitter.ledger())
    assert evidence.pid_of(site.endpoints.state_dir, "kafka") != pid
    assert found == [], site.explain(found)
    tell(f"{site.figures(emitter.ledger())}; delivering again {again_s:.1f} s after the kill")


def test_a_worker_whose_topic_is_gone_for_a_while_says_so_and_the_next_reads_it(site: Site) -> None:
    """It is given nothing while the topic is away, and does not go on at the old topic's offsets when it is back."""
    with site.running("worker") as worker, site.running("load"):
        wait_until(lambda: "ready: 2 partitions" in worker.log, timeout_s=180, what="the worker is not ready")
        admin = AdminClient({**site.endpoints.kafka().client_config()})
        name = EVENTS.full_name(site.endpoints.topic_prefix)
        admin.delete_topics([name])[name].result(30)
        wait_until(lambda: "assigned: 0 partitions" in worker.log, timeout_s=180, what="the worker keeps the topic")
        assert CliRunner().invoke(app, ["topics", "apply", "--partitions", "2"], env=site.environment).exit_code == 0
        wait_until(lambda: worker.log.count("ready: 2 partitions") == 2, timeout_s=180, what="no worker follows")
        assert "was deleted and made again" in worker.log
        found = site.violations(site.publish(20))
    assert found == [], site.explain(found)


def test_events_that_come_five_times_and_shuffled_are_shown_once(site: Site, tell: Callable[[str], None]) -> None:
    dice = random.Random(site.seed)
    made: list[tuple[str, str, bytes]] = []

    class Keeping(RecordingEmitter):
        """Keeps what it is handed, and publishes nothing."""

        def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
            made.append((run_id, event_id, item))
            return True

    with Tracer(PROJECT, emitter=Keeping(site.endpoints), enabled=True) as tracer:
        emit_runs(tracer, 60, dice)
    copies = [each for each in made for _ in range(5)]
    dice.shuffle(copies)
    emitter = site.emitter(None, batch_events=50)
    with site.running("worker"), site.running("load"), site.running("amend --follow"):
        for run_id, event_id, item in copies:
            assert emitter.emit(run_id, event_id, item)
        assert not emitter.close(30)
        found = site.violations(emitter.ledger())
    assert len(copies) == 5 * len(emitter.ledger().emitted)
    assert found == [], site.explain(found)
    tell(f"each event 5 times; {site.figures(emitter.ledger())}")


def test_a_topic_that_is_missing_is_told_by_the_doctor_and_the_emitter(site: Site) -> None:
    name = EVENTS.full_name(site.endpoints.topic_prefix)
    admin = AdminClient({**site.endpoints.kafka().client_config()})

    def doctor() -> tuple[int, str]:
        done = CliRunner().invoke(app, ["doctor"], env=dict(site.environment))
        return done.exit_code, done.output

    assert name not in doctor()[1]
    admin.delete_topics([name])[name].result(30)
    wait_until(lambda: name not in admin.list_topics(timeout=10).topics, timeout_s=180, what="the topic stays")
    code, said = doctor()
    assert code != 0
    assert name in said, said
    emitter = site.emitter(None, delivery_timeout_s=2.0, delivery_attempts=1)
    with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
        emit_runs(tracer, 1, random.Random(site.seed))
        wait_until(lambda: tracer.stats().last_error, timeout_s=180, what="the emitter says nothing")
        assert name in str(tracer.stats().last_error)
